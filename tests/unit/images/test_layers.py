"""What a layer may hold, and how much."""

from __future__ import annotations

import gzip
import tarfile
from pathlib import Path

import pytest

from tests.archives import Entry, directory, tar
from wellhead.images import layers
from wellhead.images.bounds import Bounds, ImageError


def layer(path: Path, *entries: Entry) -> Path:
    path.write_bytes(gzip.compress(tar(entries)))
    return path


HOSTILE = {
    "dots": (Entry("a/../../x"), r"`\.\.`"),
    "absolute dots": (Entry("/../x"), r"`\.\.`"),
    "hard link": (Entry("x", type=tarfile.LNKTYPE, target="../../etc/passwd"), "hard link"),
    "root as a link": (Entry("./", type=tarfile.SYMTYPE, target="/tmp"), "root directory"),
    "root as a file": (Entry("."), "root directory"),
    "whiteout of the parent": (Entry("a/.wh..."), "whiteout"),
    "whiteout of the root": (Entry(".wh.."), "whiteout"),
    "whiteout of nothing": (Entry("a/.wh."), "whiteout"),
    "below a whiteout": (Entry(".wh.../x"), "whiteout"),
}


@pytest.mark.parametrize("which", HOSTILE)
def test_an_entry_that_leads_out_of_the_image_is_refused(tmp_path: Path, which: str) -> None:
    entry, why = HOSTILE[which]
    with pytest.raises(ImageError, match=f"layer 2 of 2: .*{why}"):
        layers.check([layer(tmp_path / "1", directory("a")), layer(tmp_path / "2", entry)], Bounds())


def test_what_layers_usually_hold_is_taken(tmp_path: Path) -> None:
    usual = (
        directory("./"),
        Entry("./etc/passwd", b"x"),
        Entry("/absolute", b"x"),
        Entry("link", type=tarfile.SYMTYPE, target="../../anywhere"),
        Entry("hard", type=tarfile.LNKTYPE, target="absolute"),
        Entry("etc/.wh.gone"),
        Entry("etc/.wh..wh..opq"),
        Entry("etc/..data"),
        Entry("dev/null", type=tarfile.CHRTYPE, device=(1, 3)),
        Entry("long/" + 300 * "x", b"x"),
    )
    layers.check([layer(tmp_path / "1", *usual), layer(tmp_path / "2")], Bounds())


def test_the_files_of_all_layers_together_are_bounded(tmp_path: Path) -> None:
    both = [layer(tmp_path / name, *(Entry(f"{name}{n}") for n in range(3))) for name in ("a", "b")]
    layers.check(both, Bounds(entries=6))
    with pytest.raises(ImageError, match="more than 5 files; see --max-files"):
        layers.check(both, Bounds(entries=5))


def test_the_bytes_of_all_layers_together_are_bounded(tmp_path: Path) -> None:
    both = [layer(tmp_path / name, Entry(name, bytes(600))) for name in ("a", "b")]
    layers.check(both, Bounds(size=1200))
    with pytest.raises(ImageError, match="see --max-size"):
        layers.check(both, Bounds(size=1199))


def test_what_follows_the_end_of_a_layer_counts(tmp_path: Path) -> None:
    bomb = tmp_path / "bomb"
    bomb.write_bytes(gzip.compress(tar([Entry("a")]) + bytes(80 << 20)))
    with pytest.raises(ImageError, match="see --max-size"):
        layers.check([bomb], Bounds(size=1 << 20))


@pytest.mark.parametrize(
    ("length", "taken"), [(512 + 700, True), (512 + 701, True), (1535, True), (512 + 699, False)]
)
def test_what_fills_the_last_block_may_be_missing_but_nothing_of_a_file(
    tmp_path: Path, length: int, taken: bool
) -> None:
    (tmp_path / "x").write_bytes(gzip.compress(tar([Entry("a", bytes(700))])[:length]))
    if taken:
        layers.check([tmp_path / "x"], Bounds(entries=1))
    else:
        with pytest.raises(ImageError, match="no tar archive: unexpected end of data"):
            layers.check([tmp_path / "x"], Bounds())


def test_a_header_that_claims_gigabytes_is_not_read(tmp_path: Path) -> None:
    info = tarfile.TarInfo("././@PaxHeader")
    info.type, info.size = tarfile.XHDTYPE, 4 << 30
    (tmp_path / "x").write_bytes(gzip.compress(info.tobuf(tarfile.GNU_FORMAT)))
    with pytest.raises(ImageError, match="a header of 4294967296 bytes"):
        layers.check([tmp_path / "x"], Bounds())


@pytest.mark.parametrize(
    "data",
    [b"", b"no gzip", gzip.compress(b"no tar" * 200), gzip.compress(tar([]))[:-9]],
    ids=["nothing", "no gzip", "no tar", "cut off"],  # gzip's header has the time
)
def test_what_is_no_layer_is_said(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "x").write_bytes(data)
    with pytest.raises(ImageError, match="layer 1 of 1 is no tar archive"):
        layers.check([tmp_path / "x"], Bounds())
