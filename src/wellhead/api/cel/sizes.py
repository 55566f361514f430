"""Amounts as cel-go's estimates count them: unsigned, of 64 bits; the largest stands for "nobody knows"."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Self

MOST = (1 << 64) - 1


def product(*amounts: int) -> int:
    return min(math.prod(amounts), MOST)


def share(amount: int, factor: float) -> int:
    """A part of an amount, or several times it, rounded up."""
    whole = amount * factor
    return MOST if whole >= MOST else math.ceil(whole)


@dataclass(frozen=True)
class Size:
    """How large a value may be: a text's characters, a list's elements, a map's entries, else 1."""

    least: int
    most: int

    @classmethod
    def exactly(cls, size: int) -> Self:
        return cls(size, size)

    def __add__(self, other: Size) -> Size:
        return Size(min(self.least + other.least, MOST), min(self.most + other.most, MOST))

    def __mul__(self, other: Size) -> Size:
        return Size(product(self.least, other.least), product(self.most, other.most))

    def __or__(self, other: Size) -> Size:
        """Of a value that is one or the other."""
        return Size(min(self.least, other.least), max(self.most, other.most))

    def share(self, factor: float) -> int:
        """What going through it costs at most."""
        return share(self.most, factor)


UNKNOWN = Size(0, MOST)
ONE = Size.exactly(1)
EMPTY = Size.exactly(0)
