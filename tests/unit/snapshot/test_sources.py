"""Where a cluster is read from: as kubectl finds it, also where a program tells who one is."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from wellhead.client.connection import connect, load
from wellhead.client.kubeconfig import KubeconfigError
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


def test_of_several_files_the_first_has_the_say_and_those_that_are_not_there_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second, empty = (tmp_path / each for each in ("first", "second/config", "empty"))
    second.parent.mkdir()
    empty.touch()
    (second.parent / "token").write_text("from-file")
    kubeconfig(first, token="abc")
    other = yaml.safe_load(Path(kubeconfig(second, token="not-asked")).read_text())
    other["contexts"].append({"name": "there", "context": {"cluster": "c", "user": "v"}})
    other["users"].append({"name": "v", "user": {"tokenFile": "token"}})
    other["current-context"] = "there"
    second.write_text(yaml.safe_dump(other))
    monkeypatch.setenv("KUBECONFIG", f"{tmp_path / 'missing'}:{empty}:{first}:{second}")
    assert connect(None).headers() == load(None).headers() == {"Authorization": "Bearer abc"}
    assert connect(None, "there").headers() == {"Authorization": "Bearer from-file"}
    with pytest.raises(KubeconfigError, match="no entry 'nowhere' in contexts"):
        connect(None, "nowhere")
    monkeypatch.setenv("KUBECONFIG", f"{tmp_path / 'missing'}:{second}")
    assert connect(None).headers() == {"Authorization": "Bearer from-file"}
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "missing"))
    with pytest.raises(KubeconfigError, match="missing: No such file"):
        connect(None)


def test_without_a_current_context_it_says_how_to_choose_one(tmp_path: Path) -> None:
    config = yaml.safe_load(Path(kubeconfig(tmp_path / "config")).read_text())
    del config["current-context"]
    (tmp_path / "config").write_text(yaml.safe_dump(config))
    with pytest.raises(
        KubeconfigError, match="no current-context: choose one by `kubectl config use-context`"
    ):
        connect(str(tmp_path / "config"))
    assert connect(str(tmp_path / "config"), "here").namespace == "team"
