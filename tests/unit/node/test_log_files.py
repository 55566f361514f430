"""Reading a container's log file."""

from __future__ import annotations

import asyncio
import gzip
import io
import os
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.patience import PATIENCE
from wellhead.linux.inotify import Inotify
from wellhead.node.logs import rotation
from wellhead.node.server.log_files import Follower, Line, Options, parse, read, tail_offset


def _entry(text: str, second: int = 0, stream: str = "stdout", tag: str = "F") -> bytes:
    return f"2026-01-01T00:00:{second:02}.123456789+00:00 {stream} {tag} {text}\n".encode()


@pytest.fixture
async def inotify() -> Iterator[Inotify]:  # type: ignore[misc]
    found = Inotify()
    yield found
    found.close()


async def _text(path: Path, inotify: Inotify, options: Options) -> bytes:
    follower = Follower(path, lambda: True)
    return b"".join([piece async for piece in read(follower, options, inotify)])


def test_an_entry_has_time_stream_and_text() -> None:
    assert parse(_entry("hello world").rstrip(b"\n")) == Line(
        b"2026-01-01T00:00:00.123456789Z", b"stdout", b"hello world\n"
    )
    assert parse(_entry("part", tag="P").rstrip(b"\n")) == Line(
        b"2026-01-01T00:00:00.123456789Z", b"stdout", b"part"
    )
    assert parse(b"garbage") is None


@given(st.lists(st.text("ab", max_size=5), max_size=30), st.integers(0, 40), st.booleans())
def test_the_tail_begins_where_counting_lines_says(lines: list[str], wanted: int, cut: bool) -> None:
    data = "".join(f"{line}\n" for line in lines).encode()
    if cut and data:
        data = data[:-1]
    offset = tail_offset(io.BytesIO(data), wanted)
    kept = data.splitlines(keepends=True)
    assert data[offset:] == b"".join(kept[max(len(kept) - wanted, 0) :] if wanted else [])


async def test_tail_since_limit_timestamps_and_streams(tmp_path: Path, inotify: Inotify) -> None:
    path = tmp_path / "0.log"
    path.write_bytes(_entry("one", 1) + _entry("two", 2, stream="stderr") + _entry("three", 3))
    assert await _text(path, inotify, Options()) == b"one\ntwo\nthree\n"
    assert await _text(path, inotify, Options(tail=1)) == b"three\n"
    since = datetime(2026, 1, 1, 0, 0, 2, tzinfo=UTC)
    assert await _text(path, inotify, Options(since=since)) == b"two\nthree\n"
    assert await _text(path, inotify, Options(limit=5)) == b"one\nt"
    assert await _text(path, inotify, Options(stream="Stderr")) == b"two\n"
    stamped = await _text(path, inotify, Options(tail=1, timestamps=True))
    assert stamped == b"2026-01-01T00:00:03.123456789Z three\n"


async def test_pieces_of_a_line_are_joined(tmp_path: Path, inotify: Inotify) -> None:
    path = tmp_path / "0.log"
    path.write_bytes(_entry("a", tag="P") + _entry("b", tag="P") + _entry("c"))
    stamped = await _text(path, inotify, Options(timestamps=True))
    assert stamped == b"2026-01-01T00:00:00.123456789Z abc\n"


async def test_following_sees_what_is_written_a_new_file_and_the_end(
    tmp_path: Path, inotify: Inotify
) -> None:
    path = tmp_path / "0.log"
    path.write_bytes(_entry("old") + _entry("one"))
    over = False
    follower = Follower(path, lambda: over)
    seen: asyncio.Queue[bytes] = asyncio.Queue()

    async def follow() -> None:
        async for piece in read(follower, Options(follow=True, tail=1), inotify):
            seen.put_nowait(piece)

    task = asyncio.ensure_future(follow())
    async with asyncio.timeout(PATIENCE):
        assert await seen.get() == b"one\n"
        with path.open("ab") as file:
            file.write(_entry("two"))
        assert await seen.get() == b"two\n"
        (tmp_path / "new").write_bytes(_entry("three"))
        (tmp_path / "new").rename(path)
        assert await seen.get() == b"three\n"
        over = True
        follower.wake.set()
        await task


async def test_a_link_in_the_place_of_a_log_is_not_followed(tmp_path: Path, inotify: Inotify) -> None:
    (tmp_path / "secret").write_text("2026-01-01T00:00:00Z stdout F the host's\n")
    (tmp_path / "0.log").symlink_to("secret")
    follower = Follower(tmp_path / "0.log", lambda: True)
    with pytest.raises(OSError, match="symbolic links"):
        [text async for text in read(follower, Options(), inotify)]


class Writer:
    """As conmon: one file at a time, another one when it is told to."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._hour = 0
        self.reopen()

    def reopen(self) -> None:
        self._file = self.path.open("ab", buffering=0)

    def say(self, text: str) -> None:
        self._file.write(_entry(text))

    def rotate(self, most: int = 5) -> None:
        self._hour += 1
        hour = self._hour
        os.utime(self.path, (hour, hour))  # rotations aren't as close to each other as in a test
        rotation.rotate(self.path, most, self._change, lambda: datetime(2026, 1, 1, hour, tzinfo=UTC))

    def _change(self) -> None:
        self._file.close()
        self.reopen()

    def close(self) -> None:
        self._file.close()


@pytest.fixture
def writer(tmp_path: Path) -> Iterator[Writer]:
    found = Writer(tmp_path / "0.log")
    yield found
    found.close()


def test_of_a_rotated_log_so_many_files_are_kept_and_old_ones_compressed(writer: Writer) -> None:
    for number in range(6):
        writer.say(f"line {number}")
        writer.rotate(most=4)
    names = [path.name for path in rotation.rotated(writer.path)]
    assert names == ["0.log.20260101-040000.gz", "0.log.20260101-050000.gz", "0.log.20260101-060000"]
    assert b"line 4" in gzip.decompress((writer.path.parent / names[1]).read_bytes())
    assert writer.path.read_bytes() == b""


def test_what_cant_be_reopened_stays_as_it_is(writer: Writer) -> None:
    writer.say("here")

    def nobody() -> None:
        raise OSError("nobody listens")

    with pytest.raises(OSError, match="nobody listens"):
        rotation.rotate(writer.path, 5, nobody)
    assert b"here" in writer.path.read_bytes()
    assert rotation.rotated(writer.path) == []


def test_what_was_left_half_compressed_goes(writer: Writer) -> None:
    half = writer.path.with_name("0.log.20250101-000000.gz.tmp")
    half.write_bytes(b"half")
    others = writer.path.with_name("0.log.tmp")
    others.write_bytes(b"the writer's own")
    writer.rotate()
    assert not half.exists()
    assert others.exists()


async def test_a_follower_misses_nothing_however_often_it_is_rotated(
    writer: Writer, inotify: Inotify
) -> None:
    over = False
    follower = Follower(writer.path, lambda: over)
    pieces = read(follower, Options(follow=True), inotify)
    writer.say("0")
    text = await anext(pieces)
    for number in range(1, 10, 3):
        for each in range(3):
            writer.say(str(number + each))
            writer.rotate(most=8)
        for _ in range(3):
            text += await anext(pieces)
    over = True
    follower.wake.set()
    text += b"".join([piece async for piece in pieces])
    assert text.split() == [str(number).encode() for number in range(10)]


async def test_who_does_not_follow_reads_the_newest_file(writer: Writer, inotify: Inotify) -> None:
    writer.say("old")
    writer.rotate()
    writer.say("new")
    assert await _text(writer.path, inotify, Options()) == b"new\n"
