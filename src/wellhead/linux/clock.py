"""timerfd_create(2): hear of the machine's clock being set, on the event loop.

Timers of an event loop don't follow that clock, so who waits for a time of day has to look again then. A
machine that wakes up has its clock set, too.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import errno
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from wellhead.linux.syscalls import checked, libc

_CLOCK_REALTIME = 0
_ABSTIME_CANCEL_ON_SET = 1 | 2
_NEVER = 2**40  # seconds since 1970: a timer that is only there to be cancelled


class _Timerspec(ctypes.Structure):
    """struct itimerspec: an interval and a first time, each in seconds and nanoseconds."""

    _fields_ = (
        ("interval_seconds", ctypes.c_long),
        ("interval_nanoseconds", ctypes.c_long),
        ("seconds", ctypes.c_long),
        ("nanoseconds", ctypes.c_long),
    )


@contextmanager
def hearing_of_settings(was_set: Callable[[], None]) -> Iterator[None]:
    """Call `was_set` each time that somebody sets the clock. Raises OSError."""
    fd = checked(libc.timerfd_create(_CLOCK_REALTIME, os.O_NONBLOCK | os.O_CLOEXEC), "timerfd_create")
    loop = asyncio.get_running_loop()

    def arm() -> None:
        spec = _Timerspec(0, 0, _NEVER, 0)
        checked(libc.timerfd_settime(fd, _ABSTIME_CANCEL_ON_SET, ctypes.byref(spec), None), "timerfd_settime")

    def read() -> None:
        with contextlib.suppress(BlockingIOError):
            try:
                os.read(fd, 8)
            except OSError as error:
                if error.errno != errno.ECANCELED:
                    raise
                arm()
                was_set()

    try:
        arm()
        loop.add_reader(fd, read)
        yield
    finally:
        loop.remove_reader(fd)
        os.close(fd)
