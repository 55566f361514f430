"""Files in volumes: where they come from, and how they are replaced."""

from __future__ import annotations

import base64
import os
import re
import tempfile
from pathlib import Path, PurePosixPath
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.examples import examples
from tests.unit.node import pods
from wellhead.node.references import Reference
from wellhead.node.volumes import atomic, content
from wellhead.node.volumes.atomic import BadPath, File
from wellhead.node.volumes.content import Surroundings, Token, VolumeError
from wellhead.node.volumes.pod_volumes import PodVolumes

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


async def test_a_file_has_its_items_owner_or_its_volumes(tmp_path: Path) -> None:
    items = [{"key": "pw", "path": "a", "user": 7}, {"key": "pw", "path": "b", "mode": 0}]
    volume = {"name": "v", "secret": {"secretName": "key", "items": items, "defaultUser": 5}}
    found = await content.files(volume, Surroundings(pods.pod(), _get, _token, {}))
    assert {path: (file.mode, file.user) for path, file in found.items()} == {"a": (0o644, 7), "b": (0, 5)}
    if os.geteuid() == 0:
        atomic.write(tmp_path, found, group=9)
        owners = {name: (tmp_path / name).stat() for name in ("a", "b")}
        assert {(info.st_uid, info.st_gid) for info in owners.values()} == {(7, 9), (5, 9)}


async def test_a_missing_object_or_key_is_named_unless_it_is_optional() -> None:
    with pytest.raises(VolumeError, match='configmap "none" not found'):
        await _files({"name": "v", "configMap": {"name": "none"}})
    with pytest.raises(VolumeError, match="non-existent secret key: x"):
        await _files({"name": "v", "secret": {"secretName": "key", "items": [{"key": "x", "path": "x"}]}})
    volume = {"name": "v", "configMap": {"name": "ca", "items": [{"key": "x", "path": "x"}]}}
    with pytest.raises(VolumeError, match="configmap references non-existent config key: x"):
        await _files(volume)
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


@pytest.mark.parametrize(
    "path", ["", ".", "..", "../x", "/x", "a/../../x", "..data", "./..data", "a\0b", "x" * 256]
)
def test_a_file_outside_of_its_volume_is_not_written_whoever_allowed_it(tmp_path: Path, path: str) -> None:
    volume = tmp_path / "volume"
    assert atomic.write(volume, {"a": File(b"1", 0o644)})
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(BadPath, match="can't be a file of a volume"):
        atomic.write(volume, {"a": File(b"2", 0o644), path: File(b"evil", 0o644)})
    assert sorted(tmp_path.rglob("*")) == before
    assert (volume / "a").read_bytes() == b"1"


async def test_a_key_of_an_object_is_a_file_name_and_held_to_the_same(tmp_path: Path) -> None:
    async def get(reference: Reference) -> dict[str, Any]:
        return {"kind": "ConfigMap", "data": {"../../x": "evil"}}

    volume = {"name": "v", "configMap": {"name": "n"}}
    files = await content.files(volume, Surroundings(pods.pod(), get, _token, {}))
    with pytest.raises(BadPath):
        atomic.write(tmp_path / "v", files)


def test_files_that_cannot_stand_beside_each_other_leave_the_old_ones(tmp_path: Path) -> None:
    assert atomic.write(tmp_path, {"a": File(b"1", 0o644)})
    before = sorted(tmp_path.iterdir())
    with pytest.raises(OSError, match=r"File exists|Not a directory"):
        atomic.write(tmp_path, {"b": File(b"2", 0o644), "b/c": File(b"3", 0o644)})
    assert sorted(tmp_path.iterdir()) == before


def test_a_path_that_is_said_in_a_roundabout_way_is_the_plain_one(tmp_path: Path) -> None:
    assert atomic.write(tmp_path, {"./a//b/": File(b"1", 0o644)})
    assert (tmp_path / "a/b").read_bytes() == b"1"
    assert not atomic.write(tmp_path, {"a/b": File(b"1", 0o644)})


@pytest.mark.parametrize(
    ("source", "problem"),
    [
        ({"path": "/var/../etc"}, "must not contain '..'"),
        ({"path": "etc"}, "must be an absolute path"),
        ({"path": "/a\0"}, "must not contain a NUL character"),
        ({"path": "/", "type": "Odd"}, "type 'Odd' is not supported"),
    ],
)
async def test_a_path_of_the_host_says_where_it_leads(
    tmp_path: Path, source: dict[str, str], problem: str
) -> None:
    pod = pods.pod(volumes=[{"name": "v", "hostPath": source}])
    unused: Any = None
    with pytest.raises(VolumeError, match=re.escape(problem)):
        await PodVolumes(pod, unused, unused, tmp_path, {}).prepare(pod)


_NAMES = st.sampled_from(["a", "b", "..", ".", "", "..data", "..2026", "...", "é", "x" * 300, "a\0", "c.d"])


@given(
    first=st.dictionaries(st.lists(_NAMES, max_size=4).map("/".join), st.binary(max_size=3), max_size=4),
    second=st.dictionaries(st.lists(_NAMES, max_size=4).map("/".join), st.binary(max_size=3), max_size=4),
)
@settings(max_examples=examples(150), deadline=None)
def test_whatever_files_are_asked_for_the_volume_has_all_of_some_and_nothing_else_changes(
    first: dict[str, bytes], second: dict[str, bytes]
) -> None:
    with tempfile.TemporaryDirectory() as directory:
        top = Path(directory)
        (top / "outside").write_text("stays")
        has: dict[str, bytes] = {}
        for wanted in (first, second):
            try:
                atomic.write(top / "v", {path: File(data, 0o644) for path, data in wanted.items()})
            except (BadPath, OSError):
                continue
            # Of two ways to say one path, the last counts.
            has = {str(PurePosixPath(path)): data for path, data in wanted.items()}
        assert sorted(path.name for path in top.iterdir()) in (["outside"], ["outside", "v"])
        assert (top / "outside").read_text() == "stays"
        assert {path: (top / "v" / path).read_bytes() for path in has} == has
        if has:
            names = {path.name for path in (top / "v").iterdir() if not path.name.startswith("..")}
            assert names == {path.split("/")[0] for path in has}
