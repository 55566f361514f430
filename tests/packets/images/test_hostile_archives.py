"""Archives that mean harm: each is refused or harmless, and nothing outside of the image changes."""

from __future__ import annotations

import os
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.archives import Entry, Layout, configuration, directory, docker_archive, tar
from wellhead.images import confined
from wellhead.images.bounds import Bounds, ImageError
from wellhead.images.load import load
from wellhead.images.store import ImageStore

L, S = tarfile.LNKTYPE, tarfile.SYMTYPE
OUT = "/{outside}"

# Layers; {outside} is a directory of the host, without its first slash, {up} the way to it from anywhere.
HARMLESS: dict[str, list[list[Entry]]] = {
    "an absolute name": [[Entry(f"{OUT}/evil", b"x")]],
    "through a link": [[Entry("l", type=S, target=OUT), Entry("l/evil", b"x")]],
    "through a link of another layer": [[Entry("l", type=S, target=OUT)], [Entry("l/evil", b"x")]],
    "through a relative link": [[Entry("l", type=S, target="{up}{outside}"), Entry("l/evil", b"x")]],
    "through two links": [
        [Entry("a", type=S, target="/"), Entry("b", type=S, target="a{outside}"), Entry("b/evil", b"x")]
    ],
    "over a link": [[Entry("l", type=S, target=f"{OUT}/kept"), Entry("l", b"x")]],
    "a whiteout through a link": [[Entry("l", type=S, target=OUT)], [Entry("l/.wh.kept")]],
    "an opaque directory through a link": [[Entry("l", type=S, target=OUT)], [Entry("l/.wh..wh..opq")]],
    "a directory's mode through a link": [[Entry("l", type=S, target=OUT)], [directory("l/", 0o777)]],
    "a device": [[Entry("sda", type=tarfile.BLKTYPE, device=(8, 0), mode=0o666)]],
    "a pipe": [[Entry("pipe", type=tarfile.FIFOTYPE)]],
}
REFUSED: dict[str, list[list[Entry]]] = {
    "dots": [[Entry("{up}{outside}/evil", b"x")]],
    "a hard link": [[Entry("h", type=L, target="{up}{outside}/kept"), Entry("h", b"x")]],
    "an absolute hard link": [[Entry("h", type=L, target=f"{OUT}/kept"), Entry("h", b"x")]],
    "a hard link through a link": [
        [Entry("l", type=S, target=OUT), Entry("h", type=L, target="l/kept"), Entry("h", b"x")]
    ],
    "a whiteout that climbs": [[directory("a"), Entry("a/.wh...")]],
    "a whiteout that climbs out of the root": [[Entry(".wh...")]],
    "a whiteout of dots": [[Entry("{up}{outside}/.wh.kept")]],
    "the root as a link": [[Entry(".", type=S, target=OUT), Entry("evil", b"x")]],
}


@pytest.fixture
def outside(tmp_path: Path) -> Iterator[Path]:
    """A directory that is as it was afterwards."""
    found = tmp_path / "outside"
    found.mkdir(mode=0o700)
    (found / "kept").write_text("kept")
    yield found
    assert os.listdir(found) == ["kept"]
    assert (found / "kept").read_text() == "kept"
    assert (found / "kept").stat().st_nlink == 1
    assert found.stat().st_mode & 0o777 == 0o700


def hostile(path: Path, layers: list[list[Entry]], outside: Path) -> Path:
    def fill(text: str) -> str:
        return text.format(outside=str(outside)[1:], up="../" * 40)

    made = [
        tar(Entry(fill(e.name), e.content, e.mode, e.type, fill(e.target), e.uid, e.device) for e in entries)
        for entries in layers
    ]
    return docker_archive(path, {"x:1": (made, configuration(made))})


@pytest.mark.parametrize("how", HARMLESS)
def test_what_stays_in_the_image_is_harmless(
    store: ImageStore, tmp_path: Path, outside: Path, how: str
) -> None:
    (image,) = load(store, hostile(tmp_path / "a", HARMLESS[how], outside))
    assert store.find("x:1") == image


@pytest.mark.parametrize("how", REFUSED)
def test_what_leads_out_of_the_image_is_refused(
    store: ImageStore, tmp_path: Path, outside: Path, how: str
) -> None:
    before = sorted(path.name for path in tmp_path.iterdir())
    with pytest.raises(ImageError):
        load(store, hostile(tmp_path / "a", REFUSED[how], outside))
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted((*before, "a", "store"))
    assert store.images() == []
    assert not list(store.directory.glob(".building-*"))


def test_the_programs_can_change_nothing_but_their_own_directory(tmp_path: Path, outside: Path) -> None:
    (tmp_path / "work").mkdir()
    script = (
        f"echo x > made; rm -rf {outside}/kept; echo x > {outside}/evil; chmod 777 {outside};"
        "head -c 2000 /dev/zero > big"
    )
    command = confined.command(tmp_path / "work", 1000, ["sh", "-c", script])
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.stderr.count("Read-only file system") == 3
    assert (tmp_path / "work/made").read_text() == "x\n"
    assert (tmp_path / "work/big").stat().st_size <= 1000


def test_more_files_than_the_bound_are_refused(store: ImageStore, tmp_path: Path) -> None:
    layer = tar(Entry(str(number)) for number in range(2000))
    path = docker_archive(tmp_path / "a", {"x:1": ([layer], configuration([layer]))})
    with pytest.raises(ImageError, match="--max-files"):
        load(store, path, bounds=Bounds(entries=1999))
    assert load(store, path, bounds=Bounds(entries=2000))


def test_a_layer_that_unpacks_to_more_than_the_bound_is_refused(store: ImageStore, tmp_path: Path) -> None:
    layout, layer = Layout(), tar([Entry("zeros", bytes(8 << 20))])
    layout.name(layout.image([layer], configuration([layer])), "x:1")
    path = layout.archive(tmp_path / "a")
    assert path.stat().st_size < 1 << 20
    with pytest.raises(ImageError, match="--max-size"):
        load(store, path, bounds=Bounds(size=4 << 20))
    assert store.images() == []


def test_a_configuration_that_lies_is_refused(store: ImageStore, tmp_path: Path) -> None:
    layer = tar([Entry("a")])
    path = docker_archive(tmp_path / "a", {"x:1": ([layer], configuration([layer], Env=["NOVALUE"]))})
    with pytest.raises(ImageError, match="NOVALUE"):
        load(store, path)
    assert store.images() == []
