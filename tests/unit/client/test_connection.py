"""Kubeconfigs: what is understood, and what is said about those that can't be."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from wellhead.client.connection import TokenFile, load
from wellhead.client.kubeconfig import KubeconfigError


def write(path: Path, *, cluster: dict[str, object], user: dict[str, object]) -> str:
    config = {
        "current-context": "here",
        "contexts": [{"name": "here", "context": {"cluster": "c", "user": "u", "namespace": "space"}}],
        "clusters": [{"name": "c", "cluster": cluster}],
        "users": [{"name": "u", "user": user}],
    }
    path.write_text(yaml.safe_dump(config))
    return str(path)


def test_a_token_and_a_namespace_are_read(tmp_path: Path) -> None:
    file = write(tmp_path / "config", cluster={"server": "http://127.0.0.1:1/"}, user={"token": "secret"})
    connection = load(file)
    assert connection.server == "http://127.0.0.1:1"
    assert connection.headers() == {"Authorization": "Bearer secret"}
    assert connection.namespace == "space"
    assert "secret" not in repr(connection)


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"#" * (9 << 20), "config view --minify"),
        (b"[" * 40, "nested deeper than 32"),
        (b"- a\n" * 60_000, "more than 50000 parts"),
    ],
    ids=["large", "deep", "many"],
)
def test_one_that_is_too_much_is_refused(tmp_path: Path, content: bytes, why: str) -> None:
    file = tmp_path / "config"
    file.write_bytes(content)
    with pytest.raises(KubeconfigError, match=why):
        load(str(file))


def test_a_token_file_is_relative_to_the_kubeconfig(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("from-file\n")
    file = write(tmp_path / "config", cluster={"server": "http://x"}, user={"tokenFile": "token"})
    assert load(file).headers() == {"Authorization": "Bearer from-file"}


def test_a_token_file_that_vanishes_keeps_its_last_token(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("first")
    token = TokenFile(file)
    assert token.token() == "first"
    file.unlink()
    token._read_at -= 3600
    assert token.token() == "first"


def test_master_overrides_the_server(tmp_path: Path) -> None:
    file = write(tmp_path / "config", cluster={"server": "http://x"}, user={})
    assert load(file, "http://y").server == "http://y"


@pytest.mark.parametrize(
    ("cluster", "user", "complaint"),
    [
        ({}, {}, "no server"),
        ({"server": "https://x"}, {"exec": {"command": "aws"}}, "user.exec is not supported"),
        (
            {"server": "https://x", "proxy-url": "socks5://x"},
            {"token": "a"},
            "cluster.proxy-url is not supported",
        ),
        ({"server": "https://x"}, {"as": "someone"}, "user.as… is not supported"),
        ({"server": "https://x", "certificate-authority-data": "%%"}, {}, "not base64"),
        ({"server": "https://x", "certificate-authority": "missing.crt"}, {}, "missing.crt: No such file"),
    ],
)
def test_what_cannot_be_used_is_named(
    tmp_path: Path, cluster: dict[str, object], user: dict[str, object], complaint: str
) -> None:
    with pytest.raises(KubeconfigError, match=complaint):
        load(write(tmp_path / "config", cluster=cluster, user=user))


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(KubeconfigError, match="nothing-here: No such file"):
        load(str(tmp_path / "nothing-here"))


def test_without_any_hint_the_message_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KUBECONFIG", raising=False)
    with pytest.raises(KubeconfigError, match="pass --kubeconfig, set KUBECONFIG, or run in a pod"):
        load(None)
