"""Things to be seen to a while after they were noted."""

from __future__ import annotations

import asyncio
from collections.abc import Hashable, Iterable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)


class Later(Generic[K]):
    """Each is due `seconds` after it was first added."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._due: dict[K, float] = {}

    def __bool__(self) -> bool:
        return bool(self._due)

    def add(self, keys: Iterable[K]) -> None:
        at = asyncio.get_running_loop().time() + self._seconds
        for key in keys:
            self._due.setdefault(key, at)

    def discard(self, keys: Iterable[K]) -> None:
        for key in keys:
            self._due.pop(key, None)

    def due(self) -> frozenset[K]:
        """Those whose time has come. They stay until they are discarded."""
        now = asyncio.get_running_loop().time()
        return frozenset(key for key, at in self._due.items() if at <= now)
