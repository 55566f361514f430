"""How much history a log may keep: bounded by its length, and by the bytes that nothing else still needs."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from itertools import chain, islice

_SHARE = 16  # bounds are exceeded by this part of them, so that much is forgotten at once


class History:
    """The bytes that each revision replaced: what its being forgotten frees, the oldest first."""

    def __init__(self, revisions: int, size: int) -> None:
        """Keep no more than so many revisions (and a sixteenth), so many bytes (and a sixteenth)."""
        self._revisions, self._size = revisions, size
        self._replaced: deque[int] = deque()
        self._total = 0

    def extend(self, replaced: Iterable[int]) -> None:
        """These revisions have been written."""
        for each in replaced:
            self._replaced.append(each)
            self._total += each

    def forget(self, revisions: int) -> None:
        """So many of the oldest are kept no longer."""
        for _ in range(min(revisions, len(self._replaced))):
            self._total -= self._replaced.popleft()

    def surplus(self, replaced: Sequence[int]) -> int:
        """How many of the oldest are to be forgotten, these newest among them; 0 while there is room."""
        length, total = len(self._replaced) + len(replaced), self._total + sum(replaced)
        if not _is_over(length, self._revisions) and not _is_over(total, self._size):
            return 0
        surplus = max(0, length - self._revisions)
        oldest = chain(self._replaced, replaced)
        total -= sum(islice(oldest, surplus))
        while total > self._size:
            total -= next(oldest)
            surplus += 1
        return surplus


def _is_over(number: int, bound: int) -> bool:
    return number >= bound + max(1, bound // _SHARE)
