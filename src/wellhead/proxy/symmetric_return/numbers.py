"""This node's own numbers for its peers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping


class Numbers:
    """Gives names numbers from 1 to `last`; a number that was given back is the last to be given again.

    So a connection that somehow outlives its peer is not taken for another's soon.
    """

    def __init__(self, last: int, held: Mapping[str, int]) -> None:
        self._last = last
        self._held = {name: number for name, number in held.items() if 0 < number <= last}
        self._latest = max(self._held.values(), default=0)

    def of(self, name: str) -> int | None:
        """The number of `name`, a new one if it has none; None when all are taken."""
        if name in self._held:
            return self._held[name]
        taken = set(self._held.values())
        if len(taken) == self._last:
            return None
        while (self._latest % self._last + 1) in taken:
            self._latest += 1
        self._latest = self._latest % self._last + 1
        self._held[name] = self._latest
        return self._latest

    def keep_only(self, names: Iterable[str]) -> frozenset[int]:
        """Take all others' numbers back. Returns these."""
        gone = self._held.keys() - set(names)
        return frozenset(self._held.pop(each) for each in gone)
