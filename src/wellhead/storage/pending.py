"""Transactions on their way to who writes them, and the answers on their way back."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TypeVar

from wellhead.storage.store import Write

T = TypeVar("T")
Answer = tuple[asyncio.Future[list[int]], list[int] | Exception]


class Pending:
    """A transaction that waits to be written, and where its answer goes."""

    __slots__ = ("answer", "freeing", "writes")

    def __init__(
        self, writes: Sequence[Write], answer: asyncio.Future[list[int]], freeing: bool = False
    ) -> None:
        self.writes = writes
        self.answer = answer
        self.freeing = freeing

    @property
    def size(self) -> int:
        """Bytes."""
        return sum(len(write.value) for write in self.writes if write.value is not None)


def succeed(answer: asyncio.Future[T], result: T) -> None:
    """Answer, unless nobody waits any more."""
    if not answer.done():
        answer.set_result(result)


def fail(answer: asyncio.Future[T], error: Exception) -> None:
    """Answer with the error, unless nobody waits any more."""
    if not answer.done():
        answer.set_exception(error)
