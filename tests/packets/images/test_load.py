"""From archives to images of the store and back."""

from __future__ import annotations

import gzip
import os
import subprocess
import tarfile
from pathlib import Path

import pytest

from tests.archives import Entry, Layout, configuration, digest, directory, docker_archive, tar
from tests.cluster.lab import BIN
from wellhead.images import etcd, haproxy, placing
from wellhead.images.bounds import Bounds, ImageError
from wellhead.images.export import export
from wellhead.images.load import load
from wellhead.images.store import Image, ImageNotFound, ImageStore

BASE = tar(
    [
        directory("d"),
        Entry("d/big", b"b" * 4096),
        Entry("gone", b"1"),
        Entry("run", b"r" * 600, 0o4755, uid=7),
    ]
)
TOP = tar(
    [
        Entry(".wh.gone"),
        Entry("d/.wh..wh..opq"),
        Entry("d/new", b"n"),
        Entry("l", type=tarfile.SYMTYPE, target="/x"),
    ]
)
OTHER = tar([Entry("other", b"o")])
CONFIG = configuration(
    [BASE, TOP], Cmd=["/run", "a,b"], User="7", WorkingDir="/d", Env=["A=1,2"], Volumes={"/v": {}}
)
OTHER_CONFIG = configuration([BASE, OTHER], Cmd=["/run"])


def contents(store: ImageStore, image: Image) -> set[str]:
    rootfs = store.rootfs(image)
    return {str(path.relative_to(rootfs)) for path in rootfs.rglob("*")}


def hidden(store: ImageStore) -> set[str]:
    """What of unfinished work lies in the store."""
    return {path.name for path in store.directory.glob(".*")} - {".lock", ".news", ".files", ".pulls"}


def archive(path: Path, name: str = "x:1") -> Path:
    return docker_archive(path, {name: ([BASE, TOP], CONFIG)})


def packed(path: Path, how: str) -> Path:
    if how == "gzip":
        path.write_bytes(gzip.compress(path.read_bytes()))
    elif how == "zstd":
        subprocess.run(["zstd", "-q", "-f", path, "-o", f"{path}.zst"], check=True)
        return path.with_name(f"{path.name}.zst")
    return path


@pytest.mark.parametrize("how", ["", "gzip", "zstd"])
def test_a_docker_archive_becomes_its_images(store: ImageStore, tmp_path: Path, how: str) -> None:
    images = {"x:1": ([BASE, TOP], CONFIG), "r.example/y": ([BASE, OTHER], OTHER_CONFIG)}
    one, two = load(store, packed(docker_archive(tmp_path / "a", images), how))
    assert store.find("x:1") == one
    assert store.find("r.example/y:latest") == two
    assert one.id == digest(CONFIG)
    assert contents(store, one) == {"d", "d/new", "run", "l"}
    assert contents(store, two) == {"d", "d/big", "gone", "run", "other"}
    info = (store.rootfs(one) / "run").stat()
    assert (info.st_uid, info.st_mode & 0o7777) == (7, 0o4755)
    assert one.config.cmd == ("/run", "a,b")
    assert hidden(store) == set()
    # Programs that change their user are in nobody's reach but root's.
    assert store.rootfs(one).parent.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("compress", ["gzip", "zstd", ""])
@pytest.mark.parametrize("as_directory", [False, True])
def test_an_oci_layout_becomes_its_images(
    store: ImageStore, tmp_path: Path, compress: str, as_directory: bool
) -> None:
    layout = Layout()
    image = layout.image([BASE, TOP], CONFIG, compress=compress)
    layout.name(image, "x:1")
    path = layout.directory(tmp_path / "l") if as_directory else layout.archive(tmp_path / "l")
    (loaded,) = load(store, path)
    assert contents(store, loaded) == {"d", "d/new", "run", "l"}
    assert store.find(f"x@{image['digest']}") == loaded
    assert store.find(f"x:other@{image['digest']}") == loaded


def test_what_images_share_is_on_the_disk_once_and_goes_with_the_last(
    store: ImageStore, tmp_path: Path
) -> None:
    images = {"x:1": ([BASE, TOP], CONFIG), "y:1": ([BASE, OTHER], OTHER_CONFIG)}
    one, two = load(store, docker_archive(tmp_path / "a", images))
    assert os.path.samefile(store.rootfs(one) / "run", store.rootfs(two) / "run")
    with placing.changing(store):
        placing.discard(store, one)
    assert (store.rootfs(two) / "run").read_bytes() == b"r" * 600
    with placing.changing(store):
        placing.discard(store, two)
    assert not [path for path in store.directory.rglob("*") if path.is_file() and path.stat().st_size > 100]


def test_a_name_moves_to_the_image_that_was_loaded_last(store: ImageStore, tmp_path: Path) -> None:
    (first,) = load(store, archive(tmp_path / "a"))
    (second,) = load(store, docker_archive(tmp_path / "b", {"x:1": ([BASE, OTHER], OTHER_CONFIG)}))
    assert store.find("x:1") == second
    assert store.find(first.id).names == ()
    (again,) = load(store, tmp_path / "a", name="z")
    assert (again.id, again.names) == (first.id, ("docker.io/library/z:latest",))
    assert store.find("x:1") == second


def test_without_a_name_one_must_be_given(store: ImageStore, tmp_path: Path) -> None:
    archive(tmp_path / "a", "")
    with pytest.raises(ImageError, match="has no name in it: give it one by --name"):
        load(store, tmp_path / "a")
    with pytest.raises(ImageError, match="invalid reference"):
        load(store, tmp_path / "a", name="No")
    assert load(store, tmp_path / "a", name="yes")[0].names == ("docker.io/library/yes:latest",)


@pytest.mark.parametrize("name", [haproxy.NAME, etcd.NAME])
def test_nobody_brings_an_image_whose_programs_run_as_root(
    store: ImageStore, tmp_path: Path, name: str
) -> None:
    with pytest.raises(ImageError, match="run as root"):
        load(store, archive(tmp_path / "a", name))
    with pytest.raises(ImageError, match="run as root"):
        load(store, archive(tmp_path / "b"), name=name)


def test_what_was_exported_can_be_loaded(store: ImageStore, tmp_path: Path) -> None:
    (image,) = load(store, archive(tmp_path / "a"))
    os.setxattr(store.rootfs(image) / "run", "user.note", b"\xff")
    export(store, image, "docker.io/library/x:1", tmp_path / "e")
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []
    other = ImageStore(tmp_path / "other")
    (loaded,) = load(other, tmp_path / "e")
    assert loaded.config == image.config
    assert "docker.io/library/x:1" in loaded.names
    assert contents(other, loaded) == contents(store, image)
    info = (other.rootfs(loaded) / "run").stat()
    assert (info.st_uid, info.st_mode & 0o7777) == (7, 0o4755)
    assert os.getxattr(other.rootfs(loaded) / "run", "user.note") == b"\xff"


def test_a_damaged_archive_leaves_nothing(store: ImageStore, tmp_path: Path) -> None:
    data = packed(archive(tmp_path / "a"), "gzip").read_bytes()
    for cut in (10, len(data) // 2, len(data) - 1):
        (tmp_path / "cut").write_bytes(data[:cut])
        with pytest.raises(ImageError, match="damaged gzip"):
            load(store, tmp_path / "cut")
    with pytest.raises(ImageError, match="--max-size"):
        load(store, tmp_path / "a", bounds=Bounds(size=1000))
    assert store.images() == []
    assert hidden(store) == set()


def test_a_layer_that_is_not_what_the_configuration_says_is_refused(
    store: ImageStore, tmp_path: Path
) -> None:
    path = docker_archive(tmp_path / "a", {"x:1": ([BASE, OTHER], CONFIG)})
    with pytest.raises(ImageError):
        load(store, path)
    assert (store.images(), hidden(store)) == ([], set())


def test_a_full_disk_is_named(tmp_path: Path) -> None:
    big = tar([Entry("big", os.urandom(6 << 20))])
    path = docker_archive(tmp_path / "a", {"x:1": ([big], configuration([big]))})
    disk = tmp_path / "disk"
    disk.mkdir()
    script = (
        f"mount -t tmpfs -o size=9m none {disk} && {BIN}/wellhead image load --image-dir {disk}/s {path};"
        f"echo code $?; ls -A {disk}/s"
    )
    done = subprocess.run(["unshare", "-m", "sh", "-c", script], capture_output=True, text=True, check=True)
    assert f"no space left on the disk of {disk}/s" in done.stderr
    assert done.stdout.split() == ["code", "1", ".lock", ".pulls"]


# Kills itself at the Nth line that changes the store, or counts them.
_KILLED = """
import os, signal, sys
from pathlib import Path
from wellhead.images import load, placing, sharing
from wellhead.images.store import ImageStore
store, archive, at = sys.argv[1:]
files = {module.__file__ for module in (load, placing, sharing)}
count = 0
def line(frame, event, argument):
    global count
    count += event == "line"
    if count == int(at):
        os.kill(os.getpid(), signal.SIGKILL)
    return line
sys.settrace(lambda frame, event, argument: line if frame.f_code.co_filename in files else None)
load.load(ImageStore(Path(store)), Path(archive))
sys.settrace(None)
print(count)
"""


def _die(store: ImageStore, path: Path, line: int) -> subprocess.CompletedProcess[str]:
    command = [str(BIN / "python"), "-c", _KILLED, str(store.directory), str(path), str(line)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_a_load_that_is_killed_leaves_an_image_or_none(tmp_path: Path) -> None:
    path = archive(tmp_path / "a")
    lines = int(_die(ImageStore(tmp_path / "whole"), path, -1).stdout)
    store = ImageStore(tmp_path / "store")
    outcomes = set()
    for line in (*range(1, lines, lines // 10), *range(lines - 10, lines)):
        assert _die(store, path, line).returncode == -9
        for image in store.images():
            assert contents(store, image) == {"d", "d/new", "run", "l"}
        outcomes.add(len(store.images()))
        with placing.changing(store):
            assert hidden(store) == set()
            for image in store.images():
                placing.discard(store, image)
    assert outcomes == {0, 1}
    with pytest.raises(ImageNotFound):
        store.find("x:1")
