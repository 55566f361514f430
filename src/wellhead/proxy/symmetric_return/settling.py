"""Shared links that come and go: what is briefly missing is taken to be still there, or not yet."""

from __future__ import annotations

from collections.abc import Iterable

from wellhead.proxy.symmetric_return.plan import Way

SECONDS = 5.0


class Settling:
    """Remembers how nodes were last reached on shared links.

    Routes to a new node's pods come a moment after its Node object, and an interface that is reset loses its
    routes for a moment. Neither is a reason to build a tunnel, or to give up connections.

    `settled`: nodes that an earlier process has dealt with, and that need no waiting for.
    """

    def __init__(self, settled: Iterable[str] = ()) -> None:
        self._settled = frozenset(settled)
        self._last: dict[str, tuple[Way, ...]] = {}
        self._missing_since: dict[str, float] = {}

    def settle(self, node: str, ways: tuple[Way, ...], now: float) -> tuple[tuple[Way, ...], bool]:
        """The ways to go by at the time `now`, and whether that is to be looked at again soon."""
        if ways:
            self._last[node] = ways
            self._missing_since.pop(node, None)
            return ways, False
        if node in self._settled and node not in self._last:
            return (), False
        since = self._missing_since.setdefault(node, now)
        if now - since < SECONDS:
            return self._last.get(node, ()), True
        self._last.pop(node, None)
        return (), False

    def forget(self, nodes: set[str]) -> None:
        """These are no more."""
        for each in nodes:
            self._last.pop(each, None)
            self._missing_since.pop(each, None)

    @property
    def nodes(self) -> set[str]:
        return {*self._last, *self._missing_since}
