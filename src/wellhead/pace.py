"""How soon to do again what somebody else keeps undoing: at once, but only so often."""

from __future__ import annotations

_BURST = 20
_SECONDS_EACH = 5.0


class Pace:
    """A token bucket. Times are of any one clock, in seconds.

    Who tries twenty things in a row finds each put back at once; who does so without end is answered every
    five seconds.
    """

    def __init__(self) -> None:
        self._full_at = float("-inf")
        """When the bucket will be full again: each token that was taken puts it off."""

    def not_before(self, now: float) -> float:
        """When it may be done, given that there is reason to do it at the time `now`."""
        return max(now, self._full_at - (_BURST - 1) * _SECONDS_EACH)

    def done(self, now: float) -> None:
        """It was done, or tried."""
        self._full_at = max(now, self._full_at) + _SECONDS_EACH
