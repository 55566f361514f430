"""Where a cluster is read from: as kubectl finds it, also where a program tells who one is."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from wellhead.client.connection import KubeconfigError
from wellhead.snapshot.connecting import connect
from wellhead.snapshot.sources import NoSource, world_of


def kubeconfig(path: Path, **user: object) -> str:
    path.write_text(
        yaml.safe_dump(
            {
                "current-context": "here",
                "contexts": [{"name": "here", "context": {"cluster": "c", "user": "u", "namespace": "team"}}],
                "clusters": [{"name": "c", "cluster": {"server": "http://127.0.0.1:1"}}],
                "users": [{"name": "u", "user": user}],
            }
        )
    )
    return str(path)


def program(path: Path, answer: str) -> str:
    path.write_text(f"#!/bin/sh\n[ -n \"$KUBERNETES_EXEC_INFO\" ] && echo '{answer}'\n")
    path.chmod(0o755)
    return str(path)


def test_a_program_that_tells_a_token_is_asked(tmp_path: Path) -> None:
    told = json.dumps({"kind": "ExecCredential", "status": {"token": "abc"}})
    plugin = {"command": program(tmp_path / "login", told), "apiVersion": "client.authentication.k8s.io/v1"}
    found = connect(kubeconfig(tmp_path / "config", exec=plugin))
    assert (found.headers(), found.namespace) == ({"Authorization": "Bearer abc"}, "team")


def test_a_program_that_fails_is_named(tmp_path: Path) -> None:
    plugin = {"command": program(tmp_path / "login", "no json")}
    with pytest.raises(KubeconfigError, match=r"the credential program .*login.* gave none"):
        connect(kubeconfig(tmp_path / "config", exec=plugin))


def test_the_usual_places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("KUBECONFIG", raising=False)
    with pytest.raises(NoSource, match="or give manifests with -f"):
        world_of((), None, "")
    (tmp_path / ".kube").mkdir()
    kubeconfig(tmp_path / ".kube" / "config", token="abc")
    assert connect(None).server == "http://127.0.0.1:1"
    with pytest.raises(NoSource, match="the API server can't be reached"):
        world_of((), None, "")
