"""Names of images, and finding an image by one."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from wellhead.node.images.reference import has_latest_tag, normalize
from wellhead.node.images.store import MANIFEST, Config, Image, ImageNotFound, ImageStore


@pytest.mark.parametrize(
    ("short", "full"),
    [
        ("busybox", "docker.io/library/busybox:latest"),
        ("busybox:latest", "docker.io/library/busybox:latest"),
        ("docker.io/library/busybox", "docker.io/library/busybox:latest"),
        ("docker.io/busybox:1.36", "docker.io/library/busybox:1.36"),
        ("index.docker.io/library/busybox", "docker.io/library/busybox:latest"),
        ("someone/tool", "docker.io/someone/tool:latest"),
        ("k8s.gcr.io/echoserver:1.4", "k8s.gcr.io/echoserver:1.4"),
        ("localhost/x", "localhost/x:latest"),
        ("localhost:5000/x:1", "localhost:5000/x:1"),
        ("busybox@sha256:0000", "docker.io/library/busybox@sha256:0000"),
    ],
)
def test_short_names_mean_full_ones(short: str, full: str) -> None:
    assert normalize(short) == full


def test_no_tag_means_latest() -> None:
    assert has_latest_tag("busybox")
    assert not has_latest_tag("busybox:1.36")
    assert not has_latest_tag("busybox@sha256:0000")


def _add(directory: Path, id: str, name: str, created: str) -> None:
    image = Image(
        id=f"sha256:{id}", names=(name,), config=Config(cmd=("sh",)), recipe="r", created=created, size=1
    )
    (directory / id).mkdir()
    (directory / id / MANIFEST).write_bytes(msgspec.json.encode(image))


def test_the_newest_image_of_a_name_is_found(tmp_path: Path) -> None:
    _add(tmp_path, "aa", "docker.io/library/busybox:latest", "2026-01-01T00:00:00Z")
    _add(tmp_path, "bb", "docker.io/library/busybox:latest", "2026-02-01T00:00:00Z")
    store = ImageStore(tmp_path)
    found = store.find("busybox")
    assert found.id == "sha256:bb"
    assert store.rootfs(found) == tmp_path / "bb/rootfs"


def test_a_missing_image_is_answered_with_those_that_exist(tmp_path: Path) -> None:
    _add(tmp_path, "aa", "docker.io/library/busybox:latest", "2026-01-01T00:00:00Z")
    with pytest.raises(ImageNotFound, match=r"nginx:latest .* there are: docker.io/library/busybox:latest"):
        ImageStore(tmp_path).find("nginx")


def test_an_unfinished_build_is_no_image(tmp_path: Path) -> None:
    (tmp_path / ".building-x").mkdir()
    _add(tmp_path / ".building-x", "aa", "docker.io/library/busybox:latest", "2026-01-01T00:00:00Z")
    assert ImageStore(tmp_path).images() == []
