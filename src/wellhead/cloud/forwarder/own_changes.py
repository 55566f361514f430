"""Keeping the news of our own changes away from those who listen for others'.

The kernel tells each listener of every element that a transaction touches. A large transaction of ours would
overflow the listener's buffer, which could then not tell what else it has missed.
"""

from __future__ import annotations

import threading
from collections import deque

from wellhead.linux.netlink import Socket

_REMEMBERED = 16


class OwnChanges:
    """The nft processes that change tables for us in one network namespace, of both families. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._processes: deque[int] = deque(maxlen=_REMEMBERED)
        self._listeners: set[Socket] = set()

    def hide_from(self, listener: Socket) -> None:
        """Have the kernel drop the news of our changes before they take room in this socket's buffer."""
        with self._lock:
            self._listeners.add(listener)
            listener.ignore(self._processes)

    def forget(self, listener: Socket) -> None:
        """The socket is about to be closed."""
        with self._lock:
            self._listeners.discard(listener)

    def announce(self, process: int) -> None:
        """A process of this number is going to make a change for us: nft's socket is bound to its number."""
        with self._lock:
            self._processes.append(process)
            for listener in self._listeners:
                listener.ignore(self._processes)
