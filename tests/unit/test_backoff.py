"""How long to wait before trying again."""

from __future__ import annotations

from wellhead.backoff import Backoff


def test_delays_double_up_to_the_longest() -> None:
    backoff = Backoff(1.0, 4.0)
    for most in (1.0, 2.0, 4.0, 4.0):
        assert most / 2 <= backoff.next() <= most


def test_what_worked_for_longer_than_any_delay_is_tried_again_soon() -> None:
    backoff = Backoff(1.0, 4.0)
    for _ in range(4):
        backoff.next(worked=4.0)
    assert backoff.next(worked=4.0) >= 2.0
    assert backoff.next(worked=4.5) <= 1.0
