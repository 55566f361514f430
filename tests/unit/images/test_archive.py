"""Which images an archive says it has."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.archives import REF, Entry, Layout, configuration, digest, docker_archive, tar
from wellhead.images import archive
from wellhead.images.archive import Source
from wellhead.images.bounds import DEFAULT, Bounds, ImageError

LAYER = tar([Entry("a", b"1")])
CONFIG = configuration([LAYER], Cmd=["/a"])
HERE = {"platform": {"os": "linux", "architecture": archive.architecture()}}
ELSEWHERE = {"platform": {"os": "linux", "architecture": "s390x"}}


def sources(path: Path, tmp_path: Path) -> list[Source]:
    (tmp_path / "work").mkdir()
    return archive.sources(path, tmp_path / "work", DEFAULT)


def test_a_docker_archive_has_as_many_images_as_it_lists(tmp_path: Path) -> None:
    other = configuration([LAYER], Cmd=["/b"])
    path = docker_archive(tmp_path / "x", {"one:1": ([LAYER], CONFIG), "": ([LAYER], other)})
    assert sources(path, tmp_path) == [
        Source(f"docker-archive:{path}:@0", digest(CONFIG), ("docker.io/library/one:1",)),
        Source(f"docker-archive:{path}:@1", digest(other), ()),
    ]


@pytest.mark.parametrize("as_directory", [False, True])
def test_of_an_index_this_machines_image_is_taken_and_all_digests_are_known(
    tmp_path: Path, as_directory: bool
) -> None:
    layout = Layout()
    mine = layout.image([LAYER], CONFIG)
    index = layout.index(ELSEWHERE | layout.image([LAYER], b"{}"), mine | HERE)
    layout.name(index, "r.example/x:2")
    path = layout.directory(tmp_path / "x") if as_directory else layout.archive(tmp_path / "x")
    (found,) = sources(path, tmp_path)
    assert found.id == digest(CONFIG)
    assert found.names == ("r.example/x:2",)
    assert found.digests == (f"r.example/x@{index['digest']}", f"r.example/x@{mine['digest']}")


def test_one_image_may_have_several_names_and_a_lone_tag_is_none(tmp_path: Path) -> None:
    layout = Layout()
    image = layout.image([LAYER], CONFIG)
    for name in ("a:1", "b:2"):
        layout.name(image, name)
    layout.name(layout.image([LAYER], configuration([LAYER])), "latest")
    named, nameless = sources(layout.archive(tmp_path / "x"), tmp_path)
    assert named.names == ("docker.io/library/a:1", "docker.io/library/b:2")
    assert nameless.names == ()


def test_todays_docker_save_is_read_by_the_names_that_it_notes(tmp_path: Path) -> None:
    layout = Layout()
    notes = {"io.containerd.image.name": "docker.io/library/a:1", REF: "1"}
    layout.entries.append(layout.image([LAYER], CONFIG) | {"annotations": notes})
    layout.files["manifest.json"] = b'[{"Config":"blobs/sha256/x","RepoTags":["a:1"],"Layers":[]}]'
    (found,) = sources(layout.archive(tmp_path / "x"), tmp_path)
    assert found.names == ("docker.io/library/a:1",)


def test_what_is_not_for_this_machine_is_refused_with_what_it_is_for(tmp_path: Path) -> None:
    layout = Layout()
    layout.name(layout.index(layout.image([LAYER], CONFIG) | ELSEWHERE), "x:1")
    with pytest.raises(
        ImageError, match=f"no image for linux/{archive.architecture()}.* but for linux/s390x"
    ):
        sources(layout.archive(tmp_path / "x"), tmp_path)


def test_a_blob_of_another_digest_is_refused(tmp_path: Path) -> None:
    layout = Layout()
    image = layout.image([LAYER], CONFIG)
    layout.name(image, "x:1")
    layout.files[f"blobs/sha256/{image['digest'][7:]}"] += b" "
    with pytest.raises(ImageError, match="another digest"):
        sources(layout.archive(tmp_path / "x"), tmp_path)


def test_an_index_that_leads_nowhere_or_too_deep_is_refused(tmp_path: Path) -> None:
    layout = Layout()
    deep = layout.image([LAYER], CONFIG)
    for _ in range(6):
        deep = layout.index(deep)
    layout.name(deep, "x:1")
    with pytest.raises(ImageError, match="too deep"):
        sources(layout.archive(tmp_path / "x"), tmp_path)


@pytest.mark.parametrize("value", ["../../../etc/passwd", "sha256:..", "sha256:" + 64 * "A", 5, None])
def test_a_digest_that_is_none_is_refused(tmp_path: Path, value: object) -> None:
    layout = Layout()
    layout.entries.append({"digest": value, "size": 1, "annotations": {}})
    with pytest.raises(ImageError, match=r"digest|Expected"):
        sources(layout.archive(tmp_path / "x"), tmp_path)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("manifest.json", b"{}"),
        ("manifest.json", b'[{"Config":"/etc/passwd"}]'),
        ("manifest.json", b'[{"Config":5}]'),
        ("manifest.json", b"[]"),
        ("manifest.json", b"[" * 100_000),
        ("other", b""),
    ],
)
def test_what_is_no_archive_of_images_is_said(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / "x").write_bytes(tar([Entry(name, content)]))
    with pytest.raises(ImageError):
        sources(tmp_path / "x", tmp_path)


@pytest.mark.parametrize("content", [b"", b"\0" * 2048, b"no archive" * 100])
def test_what_is_no_archive_at_all_is_said(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x").write_bytes(content)
    with pytest.raises(ImageError, match="no archive of images"):
        sources(tmp_path / "x", tmp_path)


def test_a_bad_name_in_an_archive_is_refused(tmp_path: Path) -> None:
    path = docker_archive(tmp_path / "x", {"../../X": ([LAYER], CONFIG)})
    with pytest.raises(ImageError, match="invalid reference format"):
        sources(path, tmp_path)


def test_only_blobs_come_out_of_an_oci_archive(tmp_path: Path) -> None:
    layout = Layout()
    layout.name(layout.image([LAYER], CONFIG), "x:1")
    layout.files |= {"../evil": b"x", "/tmp/evil": b"x", "blobs/sha256/../../../evil": b"x"}
    sources(layout.archive(tmp_path / "x"), tmp_path)
    assert not list(tmp_path.rglob("evil"))


def test_an_archive_of_more_than_the_bound_is_refused(tmp_path: Path) -> None:
    layout = Layout()
    layout.name(layout.image([LAYER], CONFIG), "x:1")
    (tmp_path / "work").mkdir()
    with pytest.raises(ImageError, match="--max-size"):
        archive.sources(layout.archive(tmp_path / "x"), tmp_path / "work", Bounds(size=100))
    with pytest.raises(ImageError, match="--max-files"):
        archive.sources(tmp_path / "x", tmp_path / "work", Bounds(entries=2))
