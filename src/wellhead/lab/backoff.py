"""When to start again what has ended."""

from __future__ import annotations

import random
import time
from dataclasses import dataclass

_FIRST = 0.1
_MOST = 20.0
_SETTLED = 10.0  # who has run for as long has not failed at starting


@dataclass
class Backoff:
    """The restarts of one component or machine. Times are time.monotonic()'s."""

    restarts: int = 0
    not_before: float = 0.0
    problem: str = ""
    ended: float = 0.0  # Unix time
    _failures: int = 0

    def failed(self, problem: str, ran_for: float) -> None:
        """Note that it ended, or could not be started, after running for so many seconds."""
        self._failures = 1 if ran_for >= _SETTLED else self._failures + 1
        self.restarts += 1
        self.problem = problem
        self.ended = time.time()
        delay = min(_MOST, _FIRST * 2.0 ** min(self._failures - 1, 16))
        # Jitter: what failed together, by a common cause, shall not come back all at once.
        self.not_before = time.monotonic() + delay * random.uniform(0.5, 1.0)

    def begin_again(self) -> None:
        """Somebody asks for it now."""
        self._failures, self.not_before = 0, 0.0

    def is_due(self, now: float) -> bool:
        return now >= self.not_before
