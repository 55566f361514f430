"""Sets of completion indexes as a Job's status writes them: `1,3-5,7`.

Upstream: orderedIntervals in pkg/controller/job/indexed_job_utils.go, and the checks of
pkg/apis/batch/validation.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Self

_NUMBER = re.compile("[+-]?[0-9]+", re.ASCII)


@dataclass(frozen=True)
class Indexes:
    """A set of indexes as intervals (first, last), in order, with a gap between any two."""

    intervals: tuple[tuple[int, int], ...] = ()

    @classmethod
    def of(cls, indexes: Iterable[int]) -> Self:
        return cls(_merged((index, index) for index in sorted(indexes)))

    @classmethod
    def parse(cls, text: str, completions: int) -> Self:
        """As far as it can be read; what is not below `completions` is left out."""
        found = []
        for part in text.split(",") if text else ():
            first, _, last = part.partition("-")
            if not _NUMBER.fullmatch(first) or (last and not _NUMBER.fullmatch(last)):
                continue
            low, high = int(first), min(int(last or first), completions - 1)
            if low <= high:
                found.append((low, high))
        return cls(_merged(sorted(found)))

    def __or__(self, other: Indexes) -> Indexes:
        return Indexes(_merged(sorted((*self.intervals, *other.intervals))))

    def __len__(self) -> int:
        return sum(last - first + 1 for first, last in self.intervals)

    def __iter__(self) -> Iterator[int]:
        for first, last in self.intervals:
            yield from range(first, last + 1)

    def __contains__(self, index: int) -> bool:
        position = bisect_left(self.intervals, index, key=lambda interval: interval[1])
        return position < len(self.intervals) and self.intervals[position][0] <= index

    def __str__(self) -> str:
        return ",".join(map(_written, self.intervals))

    def common(self, other: Indexes) -> int:
        """How many indexes are in both."""
        count, mine, theirs = 0, 0, 0
        while mine < len(self.intervals) and theirs < len(other.intervals):
            a, b = self.intervals[mine], other.intervals[theirs]
            count += max(0, min(a[1], b[1]) - max(a[0], b[0]) + 1)
            if a[1] <= b[1]:
                mine += 1
            else:
                theirs += 1
        return count

    def missing(self, count: int, completions: int) -> list[int]:
        """The first `count` indexes below `completions` that are not in the set."""
        found: list[int] = []
        candidate = 0
        for first, last in (*self.intervals, (completions, completions)):
            found += range(candidate, min(first, completions, candidate + count - len(found)))
            candidate = max(candidate, last + 1)
        return found


def count_indexes(text: str, completions: int) -> int:
    """How many indexes the text names. Raises ValueError in upstream's words unless all is as it must be."""
    total = 0
    previous: int | None = None
    for first, last in (_interval(part, completions) for part in text.split(",") if text):
        if previous is not None and previous >= first:
            raise ValueError(f"non-increasing order, previous: {previous}, current: {first}")
        total += last - first + 1
        previous = last
    return total


def first_common(completed: str, failed: str, completions: int) -> int | None:
    """The first index that both texts name; intervals that can't be read are passed over."""
    theirs = list(_readable(failed, completions))
    for first, last in _readable(completed, completions):
        for low, high in theirs:
            if first <= high and low <= last:
                return max(first, low)
    return None


def _readable(text: str, completions: int) -> Iterator[tuple[int, int]]:
    for part in text.split(",") if text else ():
        try:
            yield _interval(part, completions)
        except ValueError:
            continue


def _interval(text: str, completions: int) -> tuple[int, int]:
    limits = text.split("-")
    if len(limits) > 2:
        raise ValueError(
            f'the fragment "{text}" violates the requirement that an index interval can have at most two '
            "parts separated by '-'"
        )
    first, *more = (_index(limit, completions) for limit in limits)
    if more and first >= more[0]:
        raise ValueError(f"non-increasing order, previous: {first}, current: {more[0]}")
    return first, more[0] if more else first


def _index(text: str, completions: int) -> int:
    if not _NUMBER.fullmatch(text):
        raise ValueError(f'cannot convert string to integer for index: "{text}"')
    if int(text) >= completions:
        raise ValueError(f'too large index: "{text}"')
    return int(text)


def _merged(intervals: Iterable[tuple[int, int]]) -> tuple[tuple[int, int], ...]:
    """Intervals in order of their beginnings, made one where they touch."""
    result: list[tuple[int, int]] = []
    for first, last in intervals:
        if result and first <= result[-1][1] + 1:
            result[-1] = (result[-1][0], max(result[-1][1], last))
        else:
            result.append((first, last))
    return tuple(result)


def _written(interval: tuple[int, int]) -> str:
    first, last = interval
    if first == last:
        return str(first)
    return f"{first}{',' if last == first + 1 else '-'}{last}"
