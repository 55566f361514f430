"""Watches that are open: so many at a time, and so many of one user."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import Callable, Iterator

from wellhead.api.errors import TooManyRequests
from wellhead.api.limits import Limits

BOOKMARK_SECONDS = 60.0


class Watches:
    """Counts them, for one server."""

    def __init__(
        self, limits: Limits, refused: Callable[[str], None], bookmark_seconds: float = BOOKMARK_SECONDS
    ) -> None:
        """`refused` is called with the limit for which a watch was cut off."""
        self.bookmark_seconds = bookmark_seconds
        """How long nothing may happen before a client that wants bookmarks gets one."""
        self._limits = limits
        self._refused = refused
        self._users: Counter[str] = Counter()

    @contextlib.contextmanager
    def open(self, user: str) -> Iterator[None]:
        """A watch of this user, until the context ends. Raises TooManyRequests."""
        if self._users.total() >= self._limits.watches:
            raise TooManyRequests("too many watches are open: try again later").exceeding("watches")
        if self._users[user] >= self._limits.user_watches:
            raise TooManyRequests("you have too many open watches: close some").exceeding("user-watches")
        self._users[user] += 1
        try:
            yield
        finally:
            self._users[user] -= 1
            if not self._users[user]:
                del self._users[user]

    def cut_off(self, transport: asyncio.Transport) -> None:
        """End the connection of a watch whose client doesn't read."""
        self._refused("watch-history-bytes")
        transport.abort()
