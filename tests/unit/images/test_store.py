"""Names of images, and finding an image by one."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from wellhead.images.reference import has_latest_tag, normalize, problem
from wellhead.images.store import MANIFEST, Config, Image, ImageNotFound, ImageStore


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
        ("busybox:1.36@sha256:0000", "docker.io/library/busybox@sha256:0000"),
        ("localhost:5000/x:1@sha256:0000", "localhost:5000/x@sha256:0000"),
        (f"sha256:{64 * '0'}", f"sha256:{64 * '0'}"),
    ],
)
def test_short_names_mean_full_ones(short: str, full: str) -> None:
    assert normalize(short) == full


def test_an_image_is_called_by_the_digest_that_its_registry_gave() -> None:
    one, other = f"sha256:{'1' * 64}", f"sha256:{'2' * 64}"
    names = ("r.example/x:1", f"r.example/x@{one}", f"r.example/x@{other}", "r.example/y:1")
    image = Image("sha256:id", names, Config(), "", "", 0)
    assert image.name_by_digest("r.example/x:1") == f"r.example/x@{one}"
    assert image.name_by_digest(f"r.example/x:1@{other}") == f"r.example/x@{other}"
    assert image.name_by_digest("r.example/y:1") == f"r.example/x@{one}", "as it came from there"
    assert Image("sha256:id", ("x:1",), Config(), "", "", 0).name_by_digest("x:1") == ""


def test_no_tag_means_latest() -> None:
    assert has_latest_tag("busybox")
    assert not has_latest_tag("busybox:1.36")
    assert not has_latest_tag("busybox@sha256:0000")


@pytest.mark.parametrize(
    "name",
    ["busybox", "a/b/c:1", "r.example:5000/x@sha256:" + 64 * "a", "[::1]:5000/x", "a__b/c-d:A", "LOCAL/x"],
)
def test_a_reference_is_a_name(name: str) -> None:
    assert problem(name) is None


@pytest.mark.parametrize(
    "name", ["Busybox", "", "a b", "a:", "../x", "x@sha256:12", "x:" + 129 * "a", "a//b", "x\n", 300 * "a"]
)
def test_what_is_no_reference_is_no_name(name: str) -> None:
    assert "invalid reference format" in str(problem(name))


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


def test_an_image_can_be_selected_by_the_beginning_of_its_id(tmp_path: Path) -> None:
    _add(tmp_path, 64 * "a", "docker.io/library/busybox:latest", "2026-01-01T00:00:00Z")
    _add(tmp_path, 32 * "ab", "docker.io/library/nginx:latest", "2026-01-01T00:00:00Z")
    store = ImageStore(tmp_path)
    assert store.select("abababababab").names == ("docker.io/library/nginx:latest",)
    assert store.select("nginx").id == f"sha256:{32 * 'ab'}"
    with pytest.raises(ImageNotFound):
        store.select("cccccccccccc")


def test_an_unfinished_build_is_no_image(tmp_path: Path) -> None:
    (tmp_path / ".building-x").mkdir()
    _add(tmp_path / ".building-x", "aa", "docker.io/library/busybox:latest", "2026-01-01T00:00:00Z")
    assert ImageStore(tmp_path).images() == []


def test_a_damaged_manifest_costs_its_image_and_no_other(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    _add(tmp_path, "aa", "docker.io/library/busybox:latest", "2026-01-01T00:00:00Z")
    _add(tmp_path, "bb", "docker.io/library/nginx:latest", "2026-01-01T00:00:00Z")
    (tmp_path / "bb" / MANIFEST).write_text("{")
    store = ImageStore(tmp_path)
    assert [image.id for image in store.images()] == ["sha256:aa"]
    assert [image.id for image in store.images()] == ["sha256:aa"]
    assert len(caplog.records) == 1


def test_an_image_is_where_its_manifest_is_and_nowhere_else(tmp_path: Path) -> None:
    _add(tmp_path, "aa", "docker.io/library/busybox:latest", "2026-01-01T00:00:00Z")
    manifest = tmp_path / "aa" / MANIFEST
    manifest.write_bytes(manifest.read_bytes().replace(b"sha256:aa", b"sha256:../../etc"))
    assert ImageStore(tmp_path).images() == []


def test_what_was_read_is_read_again_only_when_it_is_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _add(tmp_path, "aa", "docker.io/library/busybox:latest", "2026-01-01T00:00:00Z")
    store = ImageStore(tmp_path)
    read: list[Path] = []
    real = Path.read_bytes

    def read_bytes(path: Path) -> bytes:
        read.append(path)
        return real(path)

    monkeypatch.setattr(Path, "read_bytes", read_bytes)
    for _ in range(3):
        assert len(store.images()) == 1
    assert len(read) == 1
    _add(tmp_path, "bb", "docker.io/library/busybox:latest", "2026-02-01T00:00:00Z")
    assert [image.id for image in store.images()] == ["sha256:bb", "sha256:aa"]
    assert len(read) == 2
    fresh = tmp_path / "aa" / f".{MANIFEST}"
    fresh.write_bytes(real(tmp_path / "aa" / MANIFEST).replace(b"busybox", b"another"))
    fresh.rename(tmp_path / "aa" / MANIFEST)
    assert store.find("another").id == "sha256:aa"


def test_no_directory_is_no_image(tmp_path: Path) -> None:
    assert ImageStore(tmp_path / "none").images() == []
