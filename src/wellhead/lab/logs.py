"""Components' log files: opened for them, kept from growing without bound, shown when something failed."""

from __future__ import annotations

import os
from pathlib import Path

LIMIT = 16 << 20
"""Bytes after which a log is moved to FILE.1, replacing what was there."""

_CHUNK = 1 << 16


def open_for_append(path: Path) -> int:
    """Open a component's log for appending, with mode 0600."""
    return os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)


def rotate(directory: Path, limit: int = LIMIT) -> None:
    """Cut logs that are larger than `limit` bytes, keeping their content in FILE.1.

    By copy and truncation: the writers hold the file open, and may be older than their supervisor. A line
    that is written between the two steps is lost.
    """
    for path in directory.glob("*.log"):
        if path.stat().st_size > limit:
            previous = path.with_name(path.name + ".1")
            with path.open("rb") as source, previous.open("wb") as copy:
                os.fchmod(copy.fileno(), 0o600)
                while chunk := source.read(_CHUNK):
                    copy.write(chunk)
            os.truncate(path, 0)


def tail(path: Path, lines: int) -> list[str]:
    """The last lines of a log, without line ends; none if there is no such file."""
    try:
        with path.open("rb") as file:
            position = file.seek(0, os.SEEK_END)
            content = b""
            while position > 0 and content.count(b"\n") <= lines:
                step = min(_CHUNK, position)
                position = file.seek(position - step)
                content = file.read(step) + content
    except FileNotFoundError:
        return []
    return content.decode(errors="replace").splitlines()[-lines:]
