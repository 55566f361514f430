"""A priority level at run time: the seats that are taken, and the requests that wait for one."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter

from wellhead.api.flowcontrol.queues import FairQueues
from wellhead.api.flowcontrol.shares import Seats
from wellhead.api.meta import Obj

BUCKETS = (0.0, 0.005, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 15.0, 30.0)
_LONGEST_RETRY = 32


class Statistics:
    """Of the requests of one schema in one level."""

    __slots__ = (
        "dispatched",
        "durations",
        "executing",
        "rejected",
        "seats",
        "seconds",
        "waited",
        "waiting",
        "waiting_seats",
        "waits",
    )

    def __init__(self) -> None:
        self.dispatched = self.executing = self.seats = self.waiting = self.waiting_seats = 0
        self.rejected: Counter[str] = Counter()
        """By reason."""
        self.waits = [0] * (len(BUCKETS) + 1)
        """How many of those that had to wait did so for how long, and all their seconds."""
        self.waited = 0.0
        self.durations = [0] * (len(BUCKETS) + 1)
        self.seconds = 0.0

    def finish(self, width: int, seconds: float) -> None:
        """A request is done."""
        self.executing -= 1
        self.seats -= width
        self.seconds += seconds
        self.durations[bisect_left(BUCKETS, seconds)] += 1

    def waited_for(self, seconds: float) -> None:
        """A request's time in the queue is over."""
        self.waited += seconds
        self.waits[bisect_left(BUCKETS, seconds)] += 1


class Retry:
    """When those who are turned away should come again: later, the more there are.

    Upstream: dropped_requests_tracker.go, which doubles it on many and takes it back by one second.
    """

    def __init__(self) -> None:
        self.seconds = 1
        self._second = 0
        self.count = 0
        """Those of this second."""
        self._raised = 0

    def dropped(self, now: float) -> int:
        """One more is turned away now; how many seconds to tell it."""
        second = int(now)
        if second != self._second:
            self._adjust(second)
            self._second, self.count = second, 0
        self.count += 1
        return self.seconds

    def _adjust(self, second: int) -> None:
        quiet = second - self._second - 1
        if quiet >= self.seconds:
            self.seconds = max(1, self.seconds - quiet)
        elif self.count >= 3 * self.seconds and second - self._raised >= self.seconds:
            self.seconds = min(2 * self.seconds, _LONGEST_RETRY)
            self._raised = second
        elif self.count < self.seconds:
            self.seconds = max(1, self.seconds - 1)


class Level:
    """One priority level. Whether seats may be borrowed, `control` knows, which knows all of them."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.uid = ""
        self.exempt = False
        self.seats = Seats(0, 0, 0, 1)
        self.taken = 0
        """Seats."""
        self.queues: FairQueues | None = None
        """None: who finds no seat is turned away."""
        self.retry = Retry()

    def configure(self, level: Obj, seats: Seats, *, exempt: bool) -> None:
        """Be as the object says. Requests that wait go on waiting."""
        self.uid = level["metadata"].get("uid") or ""
        self.exempt, self.seats = exempt, seats
        response = (level["spec"].get("limited") or {}).get("limitResponse") or {}
        queuing = response.get("queuing")
        if exempt or response.get("type") != "Queue" or not queuing:
            waiting = [] if self.queues is None else self.queues.drain()
            self.queues = None
            for each in waiting:
                each.ticket.cancel()
            return
        geometry = (queuing["queues"], queuing["handSize"], queuing["queueLengthLimit"])
        if self.queues is not None and self.queues.geometry == geometry:
            return
        before, self.queues = self.queues, FairQueues(*geometry)
        for each in () if before is None else before.drain():
            if not self.queues.add(each, self.queues.hand(each.flow)):
                each.ticket.cancel()

    @property
    def waits(self) -> bool:
        """Whether anybody waits here."""
        return bool(self.queues)

    @property
    def spare(self) -> int:
        """Seats that others may have for now."""
        if self.waits:
            return 0
        seats = self.seats
        return max(0, min(seats.nominal - seats.lower, seats.nominal - self.taken))

    @property
    def borrowed(self) -> int:
        """Seats above its own that it has."""
        return 0 if self.exempt else max(0, self.taken - self.seats.nominal)
