"""How long the next pod waits after failures: 10 s, doubled with each, 10 minutes at most.

Source: pkg/controller/job/backoff_utils.go.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from wellhead.api.types.pod import Pod
from wellhead.controllers.job.pods import end_of, failures

_FIRST = 10.0
_MOST = 600.0


@dataclass(frozen=True)
class Failures:
    """Of a Job since its last success: how many, and when the last one was."""

    count: int = 0
    last: datetime | None = None

    def after(self, succeeded: Iterable[Pod], failed: Iterable[Pod]) -> Failures:
        """With pods that ended since."""
        successes, times = sorted(map(end_of, succeeded)), sorted(map(end_of, failed))
        if successes:
            later = [time for time in times if time > successes[-1]]
            return Failures(len(later), later[-1] if later else None)
        return Failures(self.count + len(times), times[-1]) if times else self

    def wait(self, now: datetime) -> float:
        """Seconds until the next pod may be made."""
        if not self.count or self.last is None:
            return 0.0
        delay = float(min(_FIRST * 2 ** min(self.count - 1, 16), _MOST))
        # A clock that was set back must not make it longer than the delay itself.
        return min(max(0.0, delay - (now - self.last).total_seconds()), delay)


def wait_of_index(last: Pod | None, now: datetime) -> float:
    """The same for one index, of which `last` is the pod that failed last."""
    if last is None:
        return 0.0
    return Failures(failures(last, ignored=True) + 1, end_of(last)).wait(now)
