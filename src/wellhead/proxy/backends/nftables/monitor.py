"""Noticing that others change our tables, by nftables' notifications."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from wellhead.proxy.backends.nftables.kernel import table_of
from wellhead.proxy.backends.nftables.layout import TABLE
from wellhead.proxy.backends.nftables.netlink import Reply, Socket

_NEWGEN = 15


class Monitor:
    """Notes when somebody else than the socket `ours` changes a table of ours. Made on a running loop."""

    def __init__(self, ours: int, nfprotos: set[int]) -> None:
        self._ours = ours
        self._nfprotos = nfprotos
        self._changed = asyncio.Event()
        self._socket = Socket()
        self._socket.subscribe()
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._socket.fileno(), self._read)

    @property
    def changed(self) -> asyncio.Event:
        """Set since somebody else changed something, until cleared."""
        return self._changed

    def take(self) -> bool:
        """Whether somebody has changed something since the last call, as far as the kernel has told."""
        self._read()
        was = self._changed.is_set()
        self._changed.clear()
        return was

    @contextmanager
    def paused(self, generation: Callable[[], int], transactions: int) -> Iterator[None]:
        """Don't listen while so many `transactions` of ours are committed.

        `generation` reads the rules' generation: it goes on by one with each, and with others' changes.
        """
        self._read()
        self._socket.subscribe(False)
        before = generation()
        try:
            yield
        finally:
            self._socket.subscribe()
            if generation() > before + transactions:
                self._changed.set()

    def close(self) -> None:
        self._loop.remove_reader(self._socket.fileno())
        self._socket.close()

    def _read(self) -> None:
        if self._socket.notifications(self._note):
            self._changed.set()

    def _note(self, reply: Reply) -> None:
        if reply.port_id == self._ours or reply.type == _NEWGEN or reply.family not in self._nfprotos:
            return
        if table_of(reply) == TABLE:
            self._changed.set()
