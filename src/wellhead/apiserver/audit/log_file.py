"""The log backend: lines in a file that is begun anew when it is large, or on standard output.

Old files are named, and go, as lumberjack's do (kube-apiserver writes its log with that).
"""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import logging
import os
import re
import shutil
import sys
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from wellhead.api.audit.event import legacy
from wellhead.apiserver.audit.options import STDOUT, AuditOptions

_log = logging.getLogger(__name__)

_MEGABYTE = 1024 * 1024
_STAMP = "%Y-%m-%dT%H-%M-%S"
_STAMPED = re.compile(r"\d{4}-\d\d-\d\dT\d\d-\d\d-\d\d\.\d{3}")


class LogFile:
    """A sink that appends to a file. All work is done on threads."""

    name = "log"

    def __init__(self, options: AuditOptions) -> None:
        """Raises OSError if the file can't be made."""
        self._options = options
        self._path = None if options.log_path == STDOUT else Path(options.log_path)
        self._file = sys.stdout.fileno()
        if self._path is not None:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._file = self._open()

    async def send(self, events: Sequence[bytes]) -> None:
        await asyncio.to_thread(self.write, events)

    async def close(self) -> None:
        if self._path is not None:
            os.close(self._file)

    def write(self, events: Sequence[bytes]) -> None:
        """Append the events, to a new file if there are too many for this one. Raises OSError."""
        if self._options.log_format == "legacy":
            events = [legacy(event).encode() for event in events]
        most = self._options.log_max_size * _MEGABYTE
        if self._path is None or not most:
            self._append(b"".join(event + b"\n" for event in events))
            return
        size = os.fstat(self._file).st_size
        lines: list[bytes] = []
        for event in events:
            if size + len(event) + 1 > most and size:
                self._append(b"".join(lines))
                self._rotate()
                size, lines = 0, []
            lines += (event, b"\n")
            size += len(event) + 1
        self._append(b"".join(lines))

    def _open(self) -> int:
        assert self._path is not None
        return os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)

    def _append(self, data: bytes) -> None:
        while data:
            data = data[os.write(self._file, data) :]

    def _rotate(self) -> None:
        assert self._path is not None
        os.close(self._file)
        try:
            now = datetime.now(UTC)
            stamp = f"{now.strftime(_STAMP)}.{now.microsecond // 1000:03}"
            old = self._path.with_name(f"{self._path.stem}-{stamp}{self._path.suffix}")
            self._path.rename(old)
        finally:
            self._file = self._open()
        if self._options.log_compress:
            _compress(old)
        for each in expired(self._backups(), self._options, datetime.now(UTC)):
            with contextlib.suppress(FileNotFoundError):
                each.unlink()

    def _backups(self) -> list[Path]:
        assert self._path is not None
        return list(self._path.parent.glob(f"{self._path.stem}-*"))


def expired(files: Sequence[Path], options: AuditOptions, now: datetime) -> list[Path]:
    """Which of the old files go: all but the newest so many, and those of more than so many days ago."""
    stem = Path(options.log_path).stem
    stamped = {}
    for file in files:
        stamp = _STAMPED.match(file.name.removeprefix(f"{stem}-"))
        if stamp is not None:
            stamped[file] = datetime.strptime(stamp[0], f"{_STAMP}.%f").replace(tzinfo=UTC)
    newest = sorted(stamped, key=lambda file: stamped[file], reverse=True)
    most, days = options.log_max_backups, options.log_max_age
    return [
        file
        for place, file in enumerate(newest)
        if (most and place >= most) or (days and now - stamped[file] > timedelta(days=days))
    ]


def _compress(file: Path) -> None:
    zipped = file.with_name(f"{file.name}.gz")
    with file.open("rb") as source, gzip.open(zipped, "wb") as target:
        shutil.copyfileobj(source, target)
    file.unlink()
