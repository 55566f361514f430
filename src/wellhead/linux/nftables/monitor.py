"""Noticing that others change a table, also while we do."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager

from wellhead.linux.netlink import Message, News
from wellhead.linux.nftables import news


class Monitor:
    """Notes when somebody else than the socket `ours` changes a table of this name, in these families.

    Made on a running loop.
    """

    def __init__(self, ours: int, table: str, families: Collection[int]) -> None:
        self._ours = ours
        self._table = table
        self._families = families
        self.changed = asyncio.Event()
        """Set since somebody else changed something, until cleared."""
        self._socket = news.news_socket()
        self._news = News(self._socket, self._heard, self.changed.set)

    def take(self) -> bool:
        """Whether somebody has changed something since the last call, as far as the kernel has told."""
        self._news.read()
        was = self.changed.is_set()
        self.changed.clear()
        return was

    @contextmanager
    def paused(self, generation: Callable[[], int], transactions: Callable[[], int]) -> Iterator[None]:
        """Don't listen while `transactions`, which says how many they were, are committed by us.

        `generation` reads the rules' generation: it goes on by one with each, and with others' changes.
        """
        self._news.read()
        news.listen(self._socket, False)
        before = generation()
        try:
            yield
        finally:
            news.listen(self._socket, True)
            if generation() > before + transactions():
                self.changed.set()

    @contextmanager
    def deaf(self) -> Iterator[None]:
        """Don't listen while others make a large change of which nothing is of interest but its end."""
        news.listen(self._socket, False)
        try:
            yield
        finally:
            news.listen(self._socket, True)
            self.changed.set()

    def close(self) -> None:
        self._news.close()

    def _heard(self, message: Message) -> None:
        if message.port_id != self._ours and news.concerns(message, self._table, self._families):
            self.changed.set()
