"""Paths that others wrote don't lead out of the directory that they are meant for."""

from __future__ import annotations

import errno
import os
import stat
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from wellhead.linux import paths


@pytest.fixture
def volume(tmp_path: Path) -> Path:
    """A directory `volume` beside a file `secret`, with links of all kinds in it."""
    (tmp_path / "secret").write_text("the host's")
    top = tmp_path / "volume"
    (top / "real").mkdir(parents=True)
    (top / "real/file").write_text("ours")
    (top / "inner").symlink_to("real")
    (top / "up").symlink_to("..")
    (top / "absolute").symlink_to(tmp_path)
    (top / "nowhere").symlink_to("missing")
    (top / "process").symlink_to("/proc/self/root")
    return top


@pytest.fixture
def top(volume: Path) -> Iterator[int]:
    with paths.directory(volume) as fd:
        yield fd


def _code(work: object) -> str:
    assert callable(work)
    with pytest.raises(OSError, match=r".") as refused:
        work()
    assert refused.value.errno is not None
    return errno.errorcode[refused.value.errno]


@pytest.mark.parametrize("path", ["../secret", "up/secret", "absolute/secret", "real/../../secret", "/etc"])
def test_nothing_outside_is_opened(top: int, path: str) -> None:
    assert _code(lambda: paths.open_at(top, path, os.O_RDONLY, paths.BENEATH)) == "EXDEV"
    assert _code(lambda: paths.open_directory(top, path)) == "EXDEV"


def test_a_link_that_stays_inside_is_followed_unless_none_may_be(top: int) -> None:
    assert paths.read_file(top, "inner/file", 100, paths.BENEATH) == b"ours"
    assert _code(lambda: paths.read_file(top, "inner/file", 100)) == "ELOOP"


def test_the_root_directory_of_links_is_the_one_that_is_given(top: int, volume: Path) -> None:
    (volume / "rooted").symlink_to("/real/../../../real/file")
    assert paths.read_file(top, "rooted", 100, paths.IN_ROOT) == b"ours"
    assert _code(lambda: paths.read_file(top, "absolute/secret", 100, paths.IN_ROOT)) == "ENOENT"


def test_the_kernels_own_links_are_none(top: int) -> None:
    with paths.directory(Path(f"/proc/{os.getpid()}")) as process:
        flags = paths.BENEATH | paths.NO_MAGICLINKS
        assert _code(lambda: paths.open_at(process, "root/etc", os.O_PATH, flags)) in ("ELOOP", "EXDEV")


def test_directories_are_made_with_their_mode_whatever_the_umask(top: int, volume: Path) -> None:
    before = os.umask(0o077)
    try:
        os.close(paths.open_directory(top, "new/deep", 0o2777))
    finally:
        os.umask(before)
    assert stat.S_IMODE((volume / "new/deep").stat().st_mode) == 0o2777
    os.close(paths.open_directory(top, "inner/more"))
    assert (volume / "real/more").is_dir()


@pytest.mark.parametrize("path", ["nowhere/x", "nowhere", "up/made", "absolute/made"])
def test_nothing_is_made_through_a_link_that_leads_elsewhere(
    top: int, volume: Path, tmp_path: Path, path: str
) -> None:
    before = sorted(tmp_path.rglob("*"))
    assert _code(lambda: paths.open_directory(top, path)) in ("EXDEV", "ELOOP", "ENOENT")
    assert _code(lambda: paths.create_file(top, f"{path}/file")) in ("EXDEV", "ELOOP", "ENOENT")
    assert sorted(tmp_path.rglob("*")) == before


def test_a_new_file_takes_nobodys_place(top: int, volume: Path, tmp_path: Path) -> None:
    (volume / "trap").symlink_to(tmp_path / "secret")
    assert _code(lambda: paths.create_file(top, "trap")) in ("EEXIST", "ELOOP")
    os.close(paths.create_file(top, "a/b/c"))
    assert (volume / "a/b/c").is_file()
    assert (tmp_path / "secret").read_text() == "the host's"


@pytest.mark.parametrize("kind", ["fifo", "directory"])
def test_what_is_no_file_is_not_read(top: int, volume: Path, kind: str) -> None:
    os.mkfifo(volume / "odd") if kind == "fifo" else (volume / "odd").mkdir()
    assert _code(lambda: paths.read_file(top, "odd", 100)) == "EINVAL"


def test_only_the_beginning_or_the_end_of_a_file_is_read(top: int, volume: Path) -> None:
    (volume / "long").write_text("0123456789")
    assert paths.read_file(top, "long", 4) == b"0123"
    assert paths.read_file(top, "long", -4) == b"6789"
    assert paths.read_file(top, "long", -40) == b"0123456789"


def test_a_path_with_a_nul_is_no_path(top: int) -> None:
    with pytest.raises(ValueError, match="NUL"):
        paths.open_at(top, "real\0", os.O_PATH, paths.BENEATH)


def test_a_directory_that_becomes_a_link_meanwhile_leads_nowhere(
    top: int, volume: Path, tmp_path: Path
) -> None:
    """CVE-2021-25741: somebody who writes to a volume exchanges a directory for a link, again and again."""
    (volume / "d").mkdir()
    (volume / "d/secret").write_text("ours")
    (volume / "link").symlink_to("..")
    over = threading.Event()

    def exchange() -> None:
        while not over.is_set():
            for one, other in (("d", "aside"), ("link", "d"), ("d", "link"), ("aside", "d")):
                (volume / one).rename(volume / other)

    thread = threading.Thread(target=exchange)
    thread.start()
    seen: set[bytes | int | None] = set()
    try:
        for _ in range(3000):
            try:
                seen.add(paths.read_file(top, "d/secret", 100, paths.BENEATH))
            except OSError as error:
                seen.add(error.errno)
    finally:
        over.set()
        thread.join()
    assert seen <= {b"ours", errno.ENOENT, errno.EXDEV, errno.EAGAIN}
