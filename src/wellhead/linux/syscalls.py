"""How a C library function is called here: errno becomes OSError."""

from __future__ import annotations

import ctypes
import os

libc = ctypes.CDLL(None, use_errno=True)


def checked(result: int, what: str, *paths: str) -> int:
    """Return `result`, or raise the OSError that errno names if it is -1.

    `what` names the call in the message, `paths` are what it was about.
    """
    if result != -1:
        return result
    errno = ctypes.get_errno()
    message = f"{what}: {os.strerror(errno)}"
    if not paths:
        raise OSError(errno, message)
    raise OSError(errno, message, paths[0], None, paths[1] if len(paths) > 1 else None)
