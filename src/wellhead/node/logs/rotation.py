"""The files of one run's log, and how it is rotated.

N.log is written, N.log.TIME is what was written before, and N.log.TIME.gz what was before that.

Source: pkg/kubelet/logs/container_log_manager.go of v1.36.
"""

from __future__ import annotations

import contextlib
import gzip
import os
import re
import shutil
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

_TIME = "%Y%m%d-%H%M%S"
_ROTATED = re.compile(r"\.[0-9]{8}-[0-9]{6}(\.gz)?", re.ASCII)
_COMPRESSED, _UNFINISHED = ".gz", ".tmp"


def rotated(log: Path) -> list[Path]:
    """The older files of a log, the oldest first. Blocks."""
    with contextlib.suppress(OSError):
        names = sorted(name for name in os.listdir(log.parent) if name.startswith(f"{log.name}."))
        return [log.parent / name for name in names if _ROTATED.fullmatch(name.removeprefix(log.name))]
    return []


def rotate(
    log: Path, most: int, reopen: Callable[[], None], now: Callable[[], datetime] = lambda: datetime.now(UTC)
) -> None:
    """Have another file begun, and keep `most` files with that. Blocks.

    `reopen` lets the writer begin a new file in the place of the one that is moved away. Raises OSError.
    """
    older = rotated(log)
    for unfinished in log.parent.glob(f"{log.name}.*{_UNFINISHED}"):
        # Ours, of an agent that was killed; the writer's own one is called otherwise.
        if _ROTATED.fullmatch(unfinished.name.removeprefix(log.name).removesuffix(_UNFINISHED)):
            unfinished.unlink(missing_ok=True)
    surplus = max(len(older) - max(most - 2, 0), 0)
    for path in older[:surplus]:
        path.unlink(missing_ok=True)
    for path in older[surplus:]:
        if path.suffix != _COMPRESSED:
            _compress(path)
    moved = log.with_name(f"{log.name}.{now().strftime(_TIME)}")
    if moved.exists() or moved.with_name(moved.name + _COMPRESSED).exists():
        return  # two in a second, or the clock was set back
    os.rename(log, moved)
    try:
        reopen()
    except OSError:
        os.rename(moved, log)
        raise


def _compress(path: Path) -> None:
    finished = path.with_name(path.name + _COMPRESSED)
    unfinished = finished.with_name(finished.name + _UNFINISHED)
    with path.open("rb") as source, gzip.open(unfinished, "wb") as target:
        shutil.copyfileobj(source, target)
    info = path.stat()
    os.chmod(unfinished, info.st_mode & 0o777)
    os.utime(unfinished, ns=(info.st_atime_ns, info.st_mtime_ns))  # by which a reader knows it again
    os.rename(unfinished, finished)
    path.unlink(missing_ok=True)
