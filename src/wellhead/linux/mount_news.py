"""Hear that mounts of this mount namespace have changed. Source: proc_pid_mounts(5)."""

from __future__ import annotations

import asyncio
import select
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def watch(changed: Callable[[], None]) -> Iterator[None]:
    """Call back, on the running loop, after mounts were made, changed or removed; once for several."""
    loop = asyncio.get_running_loop()
    with open("/proc/thread-self/mountinfo") as mounts, select.epoll() as epoll:
        # A change is an exceptional condition, of which event loops don't hear by themselves.
        epoll.register(mounts, select.EPOLLPRI | select.EPOLLERR)

        def read() -> None:
            # The change is told once only, and the loop has heard it: this may find nothing any more.
            epoll.poll(0)
            changed()

        loop.add_reader(epoll.fileno(), read)
        try:
            yield
        finally:
            loop.remove_reader(epoll.fileno())
