"""Fair queues: hands of queues, and whose turn it is."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from wellhead.api.flowcontrol.bootstrap import levels
from wellhead.api.flowcontrol.queues import FairQueues, Waiting, deal
from wellhead.api.flowcontrol.shares import seats_of


@given(st.integers(0, 2**64 - 1), st.integers(1, 128), st.integers(1, 12))
def test_a_hand_has_so_many_different_queues(flow: int, queues: int, hand: int) -> None:
    dealt = deal(flow, queues, hand)
    assert len(set(dealt)) == len(dealt) == min(hand, queues)
    assert set(dealt) <= set(range(queues))


def waiting(flow: int, width: int = 1) -> Waiting:
    return Waiting(flow, width, None)


def started(queues: FairQueues) -> Waiting:
    first = queues.first()
    assert first is not None
    queues.take(first)
    return first


def test_a_queue_is_first_come_first_served() -> None:
    queues = FairQueues(1, 1, 10)
    entries = [waiting(1) for _ in range(5)]
    for each in entries:
        assert queues.add(each, (0,))
    assert [started(queues) for _ in entries] == entries
    assert queues.first() is None


def test_a_full_queue_takes_nobody() -> None:
    queues = FairQueues(1, 1, 2)
    assert [queues.add(waiting(1), (0,)) for _ in range(3)] == [True, True, False]


def test_a_flow_uses_the_shortest_queue_of_its_hand() -> None:
    queues = FairQueues(4, 2, 10)
    entries = [waiting(1) for _ in range(4)]
    for each in entries:
        queues.add(each, (1, 3))
    assert Counter(each.queue for each in entries) == {1: 2, 3: 2}


def test_who_comes_late_does_not_wait_behind_a_flood() -> None:
    queues = FairQueues(2, 1, 1000)
    for _ in range(100):
        queues.add(waiting(1), (0,))
    for _ in range(10):
        started(queues)
    late = waiting(2)
    queues.add(late, (1,))
    assert late in (started(queues), started(queues))


@given(st.lists(st.integers(1, 5), min_size=2, max_size=6))
def test_queues_get_equal_shares_of_the_seats_whatever_they_ask_for_at_once(widths: list[int]) -> None:
    queues = FairQueues(len(widths), 1, 10_000)
    for queue, width in enumerate(widths):
        for _ in range(400):
            queues.add(waiting(queue, width), (queue,))
    had: Counter[int] = Counter()
    while min((had[queue] for queue in range(len(widths))), default=0) < 200:
        entry = started(queues)
        had[entry.flow] += entry.width
        queues.took(entry, 0.01)
    assert max(had.values()) - min(had.values()) <= 2 * max(widths)


def test_slow_requests_are_paid_for() -> None:
    queues = FairQueues(2, 1, 10_000)
    for queue in (0, 1):
        for _ in range(500):
            queues.add(waiting(queue), (queue,))
    had: Counter[int] = Counter()
    for _ in range(300):
        entry = started(queues)
        had[entry.flow] += 1
        queues.took(entry, 0.1 if entry.flow else 0.01)
    assert 8 <= had[0] / had[1] <= 12


def test_who_asked_for_nothing_has_no_claim_on_the_past() -> None:
    queues = FairQueues(2, 1, 10_000)
    for _ in range(200):
        queues.add(waiting(0), (0,))
    for _ in range(100):
        queues.took(started(queues), 0.01)
    for _ in range(100):
        queues.add(waiting(1), (1,))
    had: Counter[int] = Counter()
    for _ in range(40):
        entry = started(queues)
        had[entry.flow] += 1
        queues.took(entry, 0.01)
    assert abs(had[0] - had[1]) <= 2


def test_removed_and_drained() -> None:
    queues = FairQueues(2, 1, 10)
    one, two, three = waiting(1), waiting(2), waiting(3)
    for each, queue in ((one, 0), (two, 1), (three, 1)):
        queues.add(each, (queue,))
    queues.remove(two)
    assert (len(queues), two.is_there) == (2, False)
    assert set(map(id, queues.drain())) == {id(one), id(three)}
    assert not queues
    assert not one.is_there


def test_upstream_s_seats() -> None:
    seats = seats_of(levels().values(), 600)
    assert {name: each[:2] for name, each in seats.items()} == {
        "exempt": (0, 0),
        "catch-all": (13, 13),
        "system": (74, 50),
        "node-high": (98, 73),
        "leader-election": (25, 25),
        "workload-high": (98, 49),
        "workload-low": (245, 24),
        "global-default": (49, 24),
    }
    assert seats["global-default"].upper == 649
    assert seats["global-default"].widest == 8
    assert seats["workload-low"].widest == 10
