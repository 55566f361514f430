"""Fair queues: flows that share a few queues of many, and take turns.

A flow is dealt a hand of queues by its hash (shuffle sharding): two flows rarely have the same hand, so who
floods fills queues that hardly anybody else depends on. A request goes to the queue of its hand where least
waits. Queues take turns by virtual time: one that has had more of the seats so far waits for the others
(start-time fair queueing). Upstream: pkg/util/flowcontrol/fairqueuing, pkg/util/shufflesharding.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

_GUESS = 0.002
"""Seconds that a request is taken to occupy its seats, until it is known."""


@dataclass(eq=False, slots=True)
class Waiting:
    """A request in a queue."""

    flow: int
    """The hash of its flow."""
    width: int
    ticket: Any
    """The caller's: done when it may start, cancelled when it is turned away."""
    queue: int = -1
    is_there: bool = False
    """Whether it is in its queue."""


def deal(flow: int, queues: int, hand: int) -> tuple[int, ...]:
    """The hand of a flow: so many different ones of so many queues, by its hash."""
    left = list(range(queues))
    dealt = []
    for _ in range(min(hand, queues)):
        flow, card = divmod(flow, len(left))
        dealt.append(left.pop(card))
    return tuple(dealt)


class FairQueues:
    """The queues of one priority level."""

    def __init__(self, queues: int, hand: int, longest: int) -> None:
        self.geometry = (queues, hand, longest)
        self._queues: dict[int, deque[Waiting]] = {}
        """Those in which something waits."""
        self._next: dict[int, float] = {}
        """When, in virtual time, a queue's next request may start: of queues that are ahead."""
        self._now = 0.0
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def hand(self, flow: int) -> tuple[int, ...]:
        """The queues that the requests of this flow may wait in."""
        queues, hand, _ = self.geometry
        return deal(flow, queues, hand)

    def add(self, waiting: Waiting, hand: Sequence[int]) -> bool:
        """Have it wait; False if the queue, the shortest of its hand, is full."""
        queue = min(hand, key=lambda each: (len(self._queues.get(each, ())), self._next.get(each, 0.0)))
        found = self._queues.get(queue)
        if found is None:
            found = self._queues[queue] = deque()
            # Who comes anew doesn't make up for the time in which nothing was asked for.
            self._next[queue] = max(self._next.get(queue, 0.0), self._now)
        elif len(found) >= self.geometry[2]:
            return False
        waiting.queue, waiting.is_there = queue, True
        found.append(waiting)
        self._count += 1
        return True

    def first(self) -> Waiting | None:
        """The one whose turn it is."""
        if not self._queues:
            return None
        return self._queues[min(self._queues, key=self._next.__getitem__)][0]

    def take(self, waiting: Waiting) -> None:
        """It, which is the first, starts now."""
        queue = waiting.queue
        self._now = max(self._now, self._next[queue])
        self._next[queue] += waiting.width * _GUESS
        self.remove(waiting)

    def remove(self, waiting: Waiting) -> None:
        """It waits no longer."""
        found = self._queues[waiting.queue]
        found.remove(waiting)
        waiting.is_there = False
        self._count -= 1
        if not found:
            del self._queues[waiting.queue]
            self._forget(waiting.queue)

    def took(self, waiting: Waiting, seconds: float) -> None:
        """It has occupied its seats for so long: its queue pays for that."""
        due = self._next.get(waiting.queue, self._now) + waiting.width * (seconds - _GUESS)
        self._next[waiting.queue] = max(due, self._now)
        if waiting.queue not in self._queues:
            self._forget(waiting.queue)

    def drain(self) -> list[Waiting]:
        """All that wait, which then wait no longer."""
        found = [each for queue in self._queues.values() for each in queue]
        for each in found:
            each.is_there = False
        self._queues.clear()
        self._next.clear()
        self._count = 0
        return found

    def _forget(self, queue: int) -> None:
        if self._next[queue] <= self._now:
            del self._next[queue]
