"""Logs share a budget: the longest gives way, and the others keep what they have."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from wellhead.storage.event_log import Budget, Event, EventLog, Item

BUDGET = 200_000


def grow(log: EventLog, revision: int, size: int) -> None:
    log.append(Event("ADDED", Item("default", "a", revision, bytes(size), {}), None))


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 9_000)), min_size=1, max_size=300))
def test_together_logs_keep_no_more_than_their_budget(events: list[tuple[int, int]]) -> None:
    together = Budget(BUDGET)
    logs = [EventLog(0, BUDGET, together) for _ in range(4)]
    for revision, (which, size) in enumerate(events, start=1):
        grow(logs[which], revision, size)
        assert sum(log.bytes for log in logs) <= BUDGET
        assert logs[which][logs[which].end - 1].item.revision == revision


def test_who_is_flooded_loses_its_own_history_alone() -> None:
    together = Budget(BUDGET)
    flooded, quiet = EventLog(0, BUDGET, together), EventLog(0, BUDGET, together)
    for revision in range(1, 11):
        grow(quiet, revision, 1_000)
    for revision in range(11, 1_011):
        grow(flooded, revision, 1_000)
    assert (quiet.start, quiet.end) == (0, 10)
    # And of that no more than has to be, but for a part that is freed at a time.
    assert BUDGET * 0.95 < flooded.bytes + quiet.bytes <= BUDGET


def test_of_equal_logs_none_gives_more_than_half() -> None:
    together = Budget(BUDGET)
    logs = [EventLog(0, BUDGET, together) for _ in range(50)]
    for revision in range(1, 301):
        grow(logs[revision % 50], revision, 1_000)
    kept = [log.end - log.start for log in logs]
    assert min(kept) >= 1
    assert max(kept) <= 2 * min(kept) + 1
