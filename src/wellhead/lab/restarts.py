"""When to start again what has ended."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from wellhead.backoff import Backoff

_SETTLED = 10.0  # who has run for as long has not failed at starting


@dataclass
class Restarts:
    """The restarts of one component or machine. Times are time.monotonic()'s."""

    restarts: int = 0
    not_before: float = 0.0
    problem: str = ""
    ended: float = 0.0  # Unix time
    _delays: Backoff = field(default_factory=lambda: Backoff(0.1, 20.0))

    def failed(self, problem: str, ran_for: float) -> None:
        """Note that it ended, or could not be started, after running for so many seconds."""
        if ran_for >= _SETTLED:
            self._delays.reset()
        self.restarts += 1
        self.problem = problem
        self.ended = time.time()
        self.not_before = time.monotonic() + self._delays.next()

    def begin_again(self) -> None:
        """Somebody asks for it now."""
        self._delays.reset()
        self.not_before = 0.0

    def is_due(self, now: float) -> bool:
        return now >= self.not_before
