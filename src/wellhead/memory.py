"""Memory that is free, but that the C library keeps for the next time.

Each TLS connection begins with buffers of which little is needed afterwards, in between what stays: a quarter
of what a burst of connections took is holes, and all of it once they have gone.
"""

from __future__ import annotations

import asyncio
import ctypes
import gc

AFTER_SECONDS = 10.0
AFTER_CHANGES = 50


def trim() -> None:
    """Give the kernel back what is free, which takes some milliseconds. Only glibc can."""
    if _malloc_trim is not None:
        _malloc_trim(0)


_malloc_trim = getattr(ctypes.CDLL(None), "malloc_trim", None)


class Tidy:
    """Trims some seconds after so much has come or gone, on the running loop; never when nothing does.

    With `cycles`, what refers to itself goes as well: exceptions and the calls that they came through keep
    each other, and in a process with many lasting objects Python looks for such rarely.
    """

    def __init__(self, after: int = AFTER_CHANGES, *, cycles: bool = False) -> None:
        self._after = after
        self._cycles = cycles
        self._changes = 0
        self._timer: asyncio.TimerHandle | None = None

    def changed(self) -> None:
        """One more has come or gone."""
        self._changes += 1
        if self._changes >= self._after and self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(AFTER_SECONDS, self._tidy)

    def _tidy(self) -> None:
        self._changes, self._timer = 0, None
        if self._cycles:
            gc.collect()
        trim()
