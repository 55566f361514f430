"""Room on the disk that is held back for what frees room: a file that is given up when the disk is full."""

from __future__ import annotations

import errno
import os
from pathlib import Path

SIZE = 16 << 20  # bytes


class Reserve:
    """A file of `size` bytes beside the one that it is kept for. Not held until `hold` says so."""

    def __init__(self, path: Path, size: int = SIZE) -> None:
        self._path = path
        self.size = size

    def hold(self, spare: int = 0) -> bool:
        """Whether it is held now, which takes its size and `spare` bytes that would stay free.

        Raises OSError for anything but a full disk.
        """
        try:
            descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            if not is_full(error):
                raise
            return False
        try:
            if os.fstat(descriptor).st_blocks * 512 >= self.size:
                return True
            if self.free() < self.size + spare:
                return False
            os.posix_fallocate(descriptor, 0, self.size)
            return True
        except OSError as error:
            if not is_full(error):
                raise
            os.ftruncate(descriptor, 0)
            return False
        finally:
            os.close(descriptor)

    def release(self) -> None:
        """Give the room up. Raises OSError."""
        os.truncate(self._path, 0)

    def free(self) -> int:
        """How many bytes of the disk are free. Raises OSError."""
        found = os.statvfs(self._path.parent)
        return found.f_bavail * found.f_frsize


def is_full(error: OSError) -> bool:
    """Whether there was no room (or no quota) left."""
    return error.errno in (errno.ENOSPC, errno.EDQUOT)
