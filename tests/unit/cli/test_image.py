"""`wellhead image` on a store of a test's own."""

from __future__ import annotations

import json
import os
from pathlib import Path

import msgspec
import pytest
from click.shell_completion import ShellComplete
from click.testing import CliRunner, Result

from wellhead.cli.image import command
from wellhead.cli.image_users import users
from wellhead.images import placing
from wellhead.images.access import Access
from wellhead.images.store import MANIFEST, Config, Image, ImageStore
from wellhead.node.pods.record import FILE, Attempt, ContainerRecord, PodRecord


def add(store: Path, letter: str, *names: str) -> Image:
    image = Image(f"sha256:{64 * letter}", names, Config(), "", "2026-01-01T00:00:00Z", 5)
    (store / (64 * letter) / "rootfs").mkdir(parents=True)
    (store / (64 * letter) / MANIFEST).write_bytes(msgspec.json.encode(image))
    return image


def run(store: Path, verb: str, *arguments: str) -> Result:
    return CliRunner().invoke(command, [verb, "--image-dir", str(store), *arguments])


@pytest.mark.parametrize("verb", ["load", "pull", "remove"])
def test_who_may_not_change_the_store_is_told_before_anything_is_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, verb: str
) -> None:
    monkeypatch.setattr(os, "access", lambda path, _mode: path != tmp_path)
    refused = run(tmp_path / "none" / "yet", verb, __file__)
    assert refused.exit_code == 1
    assert f"{tmp_path} can't be written by you: use sudo, or another --image-dir" in refused.output


def test_who_is_not_root_builds_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    refused = run(tmp_path, "build", "proxy")
    assert (refused.exit_code, "use sudo" in refused.output) == (1, True)


def test_an_image_is_removed_with_its_last_name(tmp_path: Path) -> None:
    add(tmp_path, "a", "docker.io/library/x:1", "docker.io/library/y:1", "docker.io/library/x@sha256:00")
    first = run(tmp_path, "remove", "x:1")
    assert (
        first.output == "removed the name docker.io/library/x:1; the image is still docker.io/library/y:1\n"
    )
    assert ImageStore(tmp_path).find("y:1").names == (
        "docker.io/library/y:1",
        "docker.io/library/x@sha256:00",
    )
    assert run(tmp_path, "remove", "y:1").exit_code == 0
    assert ImageStore(tmp_path).images() == []
    assert not (tmp_path / (64 * "a")).exists()


def test_images_without_a_name_are_listed_and_removed_by_id(tmp_path: Path) -> None:
    add(tmp_path, "a")
    add(tmp_path, "b", "docker.io/library/x:1")
    lines = run(tmp_path, "list").output.splitlines()
    assert lines[0].split() == ["NAME", "ID", "SIZE", "CREATED"]
    assert {tuple(line.split()[:2]) for line in lines[1:]} == {
        ("<none>", 12 * "a"),
        ("docker.io/library/x:1", 12 * "b"),
    }
    removed = run(tmp_path, "remove", 12 * "a")
    assert removed.output == f"removed sha256:{64 * 'a'}\n"
    assert [each["id"] for each in json.loads(run(tmp_path, "list", "-o", "json").output)] == [
        f"sha256:{64 * 'b'}"
    ]


def test_by_its_id_an_image_goes_with_all_its_names(tmp_path: Path) -> None:
    add(tmp_path, "a", "docker.io/library/x:1", "docker.io/library/y:1")
    removed = run(tmp_path, "remove", 12 * "a")
    assert removed.output == (f"removed sha256:{64 * 'a'} (docker.io/library/x:1, docker.io/library/y:1)\n")
    assert ImageStore(tmp_path).images() == []


def test_what_is_not_there_is_said(tmp_path: Path) -> None:
    for verb in (("remove", "x"), ("export", "x", str(tmp_path / "f"))):
        result = run(tmp_path, *verb)
        assert result.exit_code == 1
        assert "no image docker.io/library/x:latest on this machine" in result.output


@pytest.mark.parametrize("size", ["0", "-5", "much", "1.5GB", "9" * 30])
def test_a_bound_is_a_size(tmp_path: Path, size: str) -> None:
    (tmp_path / "f").touch()
    result = run(tmp_path, "load", "--max-size", size, str(tmp_path / "f"))
    assert result.exit_code == 2
    assert "is no size: say 500MB or 20GB" in result.output


def test_names_are_completed(tmp_path: Path) -> None:
    add(tmp_path, "a", "docker.io/library/nginx:1", "r.example/x:1")
    complete = ShellComplete(command, {}, "image", "_X")
    for start, wanted in {
        "ng": ["nginx:1"],
        "docker": ["docker.io/library/nginx:1"],
        "r": ["r.example/x:1"],
    }.items():
        found = complete.get_completions(["remove", "--image-dir", str(tmp_path)], start)
        assert [item.value for item in found] == wanted


def test_users_of_an_image_are_the_pods_that_have_not_ended(tmp_path: Path) -> None:
    image = add(tmp_path / "store", "a")

    def pod(cluster: str, name: str, id: str, phase: str = "") -> None:
        path = tmp_path / "clusters" / cluster / "nodes/node-1/pods" / name / FILE
        path.parent.mkdir(parents=True)
        containers = {"main": ContainerRecord(Attempt("c", 0, "x", id))}
        metadata = {"namespace": "ns", "name": name}
        path.write_bytes(
            msgspec.json.encode(PodRecord({"metadata": metadata}, phase=phase, containers=containers))
        )

    pod("one", "its", image.id)
    pod("two", "other", "sha256:00")
    pod("two", "ended", image.id, "Failed")
    pod("two", "too", image.id)
    broken = tmp_path / "clusters/two/nodes/node-1/pods/broken"
    broken.mkdir()
    (broken / FILE).write_text("{")
    assert list(users(image, tmp_path / "clusters")) == [
        "cluster one, node node-1: pod ns/its",
        "cluster two, node node-1: pod ns/too",
    ]


def test_for_whom_an_image_is_is_told_without_secrets(tmp_path: Path) -> None:
    image = add(tmp_path, "a", "r.example/x:1")
    known = {"r.example/x": Access(credentials=("salt$hash",))}
    placing.write_manifest(ImageStore(tmp_path), msgspec.structs.replace(image, access=known))
    text = run(tmp_path, "list", "-o", "json").output
    assert json.loads(text)[0]["access"] == {"r.example/x": "who has its credentials"}
    assert "hash" not in text


def test_names_are_listed_whole(tmp_path: Path) -> None:
    long = f"registry.example.com/{'team/' * 30}x:1"
    add(tmp_path, "a", long)
    assert long in run(tmp_path, "list").output


@pytest.mark.parametrize(("begin", "program"), [(b"\xfd7zXZ\x00", "xz"), (b"BZh91AY", "bzip2")])
def test_what_is_compressed_otherwise_is_said(tmp_path: Path, begin: bytes, program: str) -> None:
    (tmp_path / "f").write_bytes(begin + bytes(100))
    result = run(tmp_path / "store", "load", str(tmp_path / "f"))
    assert result.exit_code == 1
    assert f"{program} -dc FILE | wellhead image load -" in result.output
