from __future__ import annotations

import time

from wellhead.lab.backoff import Backoff


def _delay(backoff: Backoff, problem: str = "exit status 1", ran_for: float = 0.1) -> tuple[float, float]:
    """Between what the delay after one more failure is, however long that took to note."""
    before = time.monotonic()
    backoff.failed(problem, ran_for)
    return backoff.not_before - time.monotonic(), backoff.not_before - before


def test_who_never_failed_is_due() -> None:
    assert Backoff().is_due(time.monotonic())


def test_each_failure_waits_longer_up_to_a_limit() -> None:
    backoff = Backoff()
    least, most = _delay(backoff)
    assert least <= 0.1
    assert most >= 0.05
    for _ in range(29):
        backoff.failed("exit status 1", 0.1)
    least, most = _delay(backoff)
    assert least <= 20
    assert most >= 10
    assert backoff.restarts == 31
    assert backoff.problem == "exit status 1"


def test_who_ran_for_long_comes_back_at_once() -> None:
    backoff = Backoff()
    for _ in range(10):
        backoff.failed("exit status 1", 0.1)
    assert _delay(backoff, "killed by SIGKILL", 60.0)[0] <= 0.1


def test_who_is_asked_for_is_due_and_begins_again() -> None:
    backoff = Backoff()
    for _ in range(10):
        backoff.failed("exit status 1", 0.1)
    backoff.begin_again()
    assert backoff.is_due(time.monotonic())
    assert _delay(backoff)[0] <= 0.1
    assert backoff.restarts == 11
