"""Read a container's log file: the last lines, since a time, and on as it grows.

The format is the CRI's ("TIME STREAM TAG text"), as conmon writes it: tag P is a piece of a line, F its end.
"""

from __future__ import annotations

import asyncio
import gzip
import os
from collections.abc import AsyncIterator, Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import BinaryIO, cast

from wellhead.linux import paths
from wellhead.linux.inotify import IN_CREATE, IN_MODIFY, IN_MOVED_TO, Inotify
from wellhead.node.logs import rotation

_BLOCK = 65536
_RESOLVE = paths.BENEATH | paths.NO_SYMLINKS
_CHANGES = IN_MODIFY | IN_CREATE | IN_MOVED_TO


@dataclass(frozen=True)
class Line:
    """One entry. `data` ends with a newline if the line does."""

    time: bytes
    stream: bytes
    data: bytes


def parse(entry: bytes) -> Line | None:
    """An entry of the file without its newline; None if it isn't one."""
    parts = entry.split(b" ", 3)
    if len(parts) < 4:
        return None
    time, stream, tag, text = parts
    return Line(time.replace(b"+00:00", b"Z"), stream, text if tag == b"P" else text + b"\n")


@dataclass(frozen=True)
class Options:
    """What part of a log somebody wants, in PodLogOptions' terms."""

    follow: bool = False
    tail: int | None = None
    since: datetime | None = None
    timestamps: bool = False
    limit: int | None = None
    stream: str = "All"


def tail_offset(file: BinaryIO, lines: int) -> int:
    """Where the last `lines` lines of the file begin."""
    end = file.seek(0, os.SEEK_END)
    if lines <= 0:
        return end
    position, found = end, 0
    while position > 0:
        size = min(_BLOCK, position)
        position -= size
        file.seek(position)
        block = file.read(size)
        newlines = block.count(b"\n") - (position + size == end and block.endswith(b"\n"))
        if found + newlines >= lines:
            at = len(block) - (position + size == end and block.endswith(b"\n"))
            for _ in range(lines - found):
                at = block.rindex(b"\n", 0, at)
            return position + at + 1
        found += newlines
    return 0


class Follower:
    """A log file that may grow. `ended` says whether its container has; `wake` when something changed."""

    def __init__(self, path: Path, ended: Callable[[], bool]) -> None:
        self._path = path
        self._ended = ended
        self.wake = asyncio.Event()

    async def entries(self, options: Options, inotify: Inotify) -> AsyncIterator[list[bytes]]:
        """Batches of entries. With `follow`, until the container has ended and all was read."""
        with ExitStack() as stack:
            opened = stack.enter_context(ExitStack())
            file: BinaryIO = await asyncio.to_thread(self._open, self._path, opened)
            if options.follow:
                stack.enter_context(inotify.watch(self._path.parent, _CHANGES, self.wake.set))
            if options.tail is not None:
                file.seek(await asyncio.to_thread(tail_offset, file, options.tail))
            rest, after = b"", False
            while True:
                self.wake.clear()
                over = self._ended()
                block = await asyncio.to_thread(file.read, _BLOCK)
                if block:
                    *entries, rest = (rest + block).split(b"\n")
                    if entries:
                        yield entries
                elif options.follow and (next_ := await asyncio.to_thread(self._next, file)) is not None:
                    # The end of this one was written before there was another: look again.
                    if after:
                        with (
                            suppress(FileNotFoundError),
                            ExitStack() as fresh,
                        ):  # it may be compressed just now
                            file = await asyncio.to_thread(self._open, next_, fresh)
                            opened.close()
                            opened.push(fresh.pop_all())
                            rest, after = b"", False
                    else:
                        after = True
                elif not options.follow or over:
                    return
                else:
                    await self.wake.wait()

    def _open(self, path: Path, stack: ExitStack) -> BinaryIO:
        """The file, and not what a link in its place leads to."""
        with paths.directory(path.parent) as top:
            fd = paths.open_at(top, path.name, os.O_RDONLY | os.O_NONBLOCK, _RESOLVE)
        file = stack.enter_context(open(fd, "rb"))  # noqa: SIM115 it is one
        if path.suffix == ".gz":
            return cast("BinaryIO", stack.enter_context(gzip.GzipFile(fileobj=file)))
        return file

    def _next(self, file: BinaryIO) -> Path | None:
        """The file that was begun after this one; None if this is the newest."""
        mine = os.fstat(file.fileno())
        older = rotation.rotated(self._path)
        try:
            if os.path.samestat(self._path.stat(), mine):
                return None
            known = [path for path in older if os.path.samestat(path.stat(), mine)]
            if not known:  # what was compressed meanwhile has kept its time
                known = [path for path in older if path.stat().st_mtime_ns == mine.st_mtime_ns]
        except FileNotFoundError:
            return None  # in the middle of it: there will be news of it
        return [*older, self._path][older.index(known[-1]) + 1] if known else self._path


async def read(follower: Follower, options: Options, inotify: Inotify) -> AsyncIterator[bytes]:
    """The text, as `kubectl logs` prints it, in pieces."""
    left = options.limit
    new_line = True
    async for entries in follower.entries(options, inotify):
        text = bytearray()
        for entry in entries:
            line = parse(entry)
            if line is None or not _wanted(line, options):
                continue
            if options.timestamps and new_line:
                text += line.time + b" "
            text += line.data
            new_line = line.data.endswith(b"\n")
        if left is not None:
            text = text[:left]
            left -= len(text)
        if text:
            yield bytes(text)
        if left == 0:
            return


def _wanted(line: Line, options: Options) -> bool:
    if options.stream != "All" and options.stream.lower() != line.stream.decode(errors="replace"):
        return False
    if options.since is None:
        return True
    try:
        return datetime.fromisoformat(line.time.decode()) >= options.since
    except ValueError:
        return True
