"""Under which pressure the node is, from one look to the next. Pure: the clock is handed in.

Source: pkg/kubelet/eviction/eviction_manager.go (synchronize) of v1.36.
"""

from __future__ import annotations

from collections.abc import Iterable

from wellhead.node.eviction import thresholds
from wellhead.node.eviction.thresholds import CONDITIONS, Observations, Threshold


class Pressure:
    """Remembers which thresholds are met since when. Times are a clock's, in seconds."""

    def __init__(self, every: Iterable[Threshold], transition: float) -> None:
        """A condition stays for `transition` seconds after its threshold was last met."""
        self._every = tuple(every)
        self._transition = transition
        self._since: dict[Threshold, float] = {}
        self._last_seen: dict[str, float] = {}
        self._acting: list[Threshold] = []
        self.conditions: frozenset[str] = frozenset()

    def look(self, observed: Observations, now: float) -> list[Threshold]:
        """What is observed now: the thresholds for which something must be done, their grace being over."""
        met = thresholds.met(self._every, observed)
        unresolved = thresholds.met(self._acting, observed, reclaiming=True)
        present = list(dict.fromkeys((*met, *unresolved)))
        self._since = {each: self._since.get(each, now) for each in present}
        for each in present:
            self._last_seen[CONDITIONS[each.signal]] = now
        # With no time at all to wait, what is not seen now is over at once.
        self.conditions = frozenset(
            name for name, seen in self._last_seen.items() if now - seen < max(self._transition, 1e-9)
        )
        self._acting = [each for each, since in self._since.items() if now - since >= each.grace]
        return list(self._acting)
