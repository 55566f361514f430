"""How soon a failed pod may be replaced: later each time, so that nobody is kept busy by what never works."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass

_FIRST, _LONGEST = 1.0, 900.0  # seconds
_FORGOTTEN = 2 * _LONGEST


@dataclass
class _Entry:
    delay: float
    since: float


class FailedPods:
    """A delay for each place where pods fail; it doubles with each failure (client-go's flowcontrol.Backoff).

    Times are a clock's, in seconds.
    """

    def __init__(self) -> None:
        self._entries: dict[Hashable, _Entry] = {}

    def wait(self, place: Hashable, now: float) -> float:
        """Seconds until the failed pod there may be replaced; 0: now, and that counts as a failure."""
        entry = self._entries.get(place)
        if entry is None or now - entry.since > _FORGOTTEN:
            self._entries[place] = _Entry(_FIRST, now)
            return 0.0
        if now - entry.since < entry.delay:
            return entry.since + entry.delay - now
        self._entries[place] = _Entry(min(2 * entry.delay, _LONGEST), now)
        return 0.0

    def forget_old(self, now: float) -> None:
        """Drop what counts no more."""
        old = [place for place, entry in self._entries.items() if now - entry.since > _FORGOTTEN]
        for place in old:
            del self._entries[place]
