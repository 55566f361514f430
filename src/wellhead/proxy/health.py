"""Whether this proxy keeps up, and whether its node wants new traffic."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime


def _utc_now() -> datetime:
    return datetime.now(UTC)


class ProxyHealth:
    """A proxy is stale when a change has been waiting for longer than `timeout` seconds to be in force.

    One that has nothing to do, or has lost the API server, is healthy: the rules in force are the best known.
    """

    def __init__(self, timeout: float, clock: Callable[[], datetime] = _utc_now) -> None:
        self._timeout = timeout
        self._clock = clock
        self._waiting_since: datetime | None = None
        self._last_synced: datetime | None = None
        self.node_eligible = True
        """False while the node is being deleted, or about to be: load balancers should leave it."""

    def queued(self) -> None:
        """A change is to be put in force."""
        if self._waiting_since is None:
            self._waiting_since = self._clock()

    def synced(self) -> None:
        """All changes are in force."""
        self._waiting_since = None
        self._last_synced = self._clock()

    @property
    def fresh(self) -> bool:
        """Whether the rules are not stale."""
        if self._waiting_since is None:
            return True
        return (self._clock() - self._waiting_since).total_seconds() < self._timeout

    def times(self) -> tuple[datetime | None, datetime]:
        """(when the rules were last up to date, now). While they are, both are now; None: never yet."""
        now = self._clock()
        return (now if self.fresh else self._last_synced), now
