"""Files in volumes: where they come from, and how they are replaced."""

from __future__ import annotations

import base64
import os
from pathlib import Path
from typing import Any

import pytest

from tests.unit.node import pods
from wellhead.node.references import Reference
from wellhead.node.volumes import atomic, content
from wellhead.node.volumes.atomic import File
from wellhead.node.volumes.content import Surroundings, Token, VolumeError

OBJECTS = {
    Reference("ConfigMap", "shop", "ca"): {"kind": "ConfigMap", "data": {"ca.crt": "PEM"}},
    Reference("Secret", "shop", "key"): {
        "kind": "Secret",
        "data": {"pw": base64.b64encode(b"s3cret").decode()},
    },
}


async def _get(reference: Reference) -> dict[str, Any] | None:
    return OBJECTS.get(reference)


async def _token(token: Token) -> str:
    return f"token for {token.audience or 'the API'}, {token.seconds} s"


async def _files(volume: dict[str, Any]) -> dict[str, tuple[str, int]]:
    found = await content.files(volume, Surroundings(pods.pod(), _get, _token, {}))
    return {path: (file.data.decode(), file.mode) for path, file in found.items()}


async def test_a_service_accounts_volume_has_token_authority_and_namespace() -> None:
    volume = {
        "name": "kube-api-access",
        "projected": {
            "defaultMode": 0o644,
            "sources": [
                {"serviceAccountToken": {"expirationSeconds": 3607, "path": "token"}},
                {"configMap": {"name": "ca", "items": [{"key": "ca.crt", "path": "ca.crt"}]}},
                {
                    "downwardAPI": {
                        "items": [{"path": "namespace", "fieldRef": {"fieldPath": "metadata.namespace"}}]
                    }
                },
            ],
        },
    }
    assert await _files(volume) == {
        "token": ("token for the API, 3607 s", 0o644),
        "ca.crt": ("PEM", 0o644),
        "namespace": ("shop", 0o644),
    }
    assert content.references(pods.pod(), [volume]) == {Reference("ConfigMap", "shop", "ca")}


async def test_items_choose_keys_paths_and_modes() -> None:
    item = {"key": "pw", "path": "deep/password", "mode": 0o400}
    volume = {"name": "v", "secret": {"secretName": "key", "items": [item]}}
    assert await _files(volume) == {"deep/password": ("s3cret", 0o400)}


async def test_a_missing_object_or_key_is_named_unless_it_is_optional() -> None:
    with pytest.raises(VolumeError, match='configmap "none" not found'):
        await _files({"name": "v", "configMap": {"name": "none"}})
    with pytest.raises(VolumeError, match="non-existent secret key: x"):
        await _files({"name": "v", "secret": {"secretName": "key", "items": [{"key": "x", "path": "x"}]}})
    assert await _files({"name": "v", "configMap": {"name": "none", "optional": True}}) == {}


def test_files_are_replaced_all_at_once(tmp_path: Path) -> None:
    first = {"a": File(b"1", 0o644), "deep/b": File(b"2", 0o600)}
    assert atomic.write(tmp_path, first)
    assert (tmp_path / "a").read_bytes() == b"1"
    assert (tmp_path / "deep/b").read_bytes() == b"2"
    before = os.readlink(tmp_path / "..data")
    assert not atomic.write(tmp_path, first)
    assert os.readlink(tmp_path / "..data") == before
    assert atomic.write(tmp_path, {"a": File(b"3", 0o644)})
    assert os.readlink(tmp_path / "..data") != before
    assert (tmp_path / "a").read_bytes() == b"3"
    assert sorted(path.name for path in tmp_path.iterdir() if not path.name.startswith("..")) == ["a"]
    assert len([path for path in tmp_path.iterdir() if path.is_dir() and not path.is_symlink()]) == 1
