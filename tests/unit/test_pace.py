"""Putting back what somebody changes: at once, but not in a race without end."""

from __future__ import annotations

from wellhead.pace import Pace


def _waits(pace: Pace, now: float, times: int, every: float) -> list[float]:
    found = []
    for _ in range(times):
        found.append(pace.not_before(now) - now)
        now = pace.not_before(now)
        pace.done(now)
        now += every
    return found


def test_the_first_ones_are_done_at_once_and_then_one_in_a_while() -> None:
    assert _waits(Pace(), 1000.0, 25, every=0.0) == [0.0] * 20 + [5.0] * 5


def test_who_changes_it_now_and_then_finds_it_back_at_once() -> None:
    assert set(_waits(Pace(), 1000.0, 200, every=5.0)) == {0.0}


def test_after_a_rest_all_is_as_at_first() -> None:
    pace = Pace()
    _waits(pace, 1000.0, 20, every=0.0)
    assert _waits(pace, 1100.0, 21, every=0.0) == [0.0] * 20 + [5.0]
