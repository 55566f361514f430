"""Exponential backoff with jitter: how long to wait before trying again what has failed."""

from __future__ import annotations

import random


class Backoff:
    """Delays that double from `first` to `longest` seconds, each shortened at random by up to half.

    The randomness keeps what failed together, by a common cause, from coming back all at once.
    """

    def __init__(self, first: float, longest: float) -> None:
        self._first = first
        self._longest = longest
        self._next = first

    def next(self, *, worked: float = 0.0) -> float:
        """Seconds to wait now; the next answer is about twice as long.

        `worked`: for so many seconds what was tried went well before it failed. For longer than the longest
        delay, and it starts over: what fails once a day isn't what fails all the time.
        """
        if worked > self._longest:
            self.reset()
        delay = self._next
        self._next = min(self._next * 2, self._longest)
        return delay * random.uniform(0.5, 1.0)

    def reset(self) -> None:
        """Start over: what was tried worked."""
        self._next = self._first
