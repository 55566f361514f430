from __future__ import annotations

import time

from wellhead.lab.restarts import Restarts


def _delay(restarts: Restarts, problem: str = "exit status 1", ran_for: float = 0.1) -> tuple[float, float]:
    """Between what the delay after one more failure is, however long that took to note."""
    before = time.monotonic()
    restarts.failed(problem, ran_for)
    return restarts.not_before - time.monotonic(), restarts.not_before - before


def test_who_never_failed_is_due() -> None:
    assert Restarts().is_due(time.monotonic())


def test_each_failure_waits_longer_up_to_a_limit() -> None:
    restarts = Restarts()
    least, most = _delay(restarts)
    assert least <= 0.1
    assert most >= 0.05
    for _ in range(29):
        restarts.failed("exit status 1", 0.1)
    least, most = _delay(restarts)
    assert least <= 20
    assert most >= 10
    assert restarts.restarts == 31
    assert restarts.problem == "exit status 1"


def test_who_ran_for_long_comes_back_at_once() -> None:
    restarts = Restarts()
    for _ in range(10):
        restarts.failed("exit status 1", 0.1)
    assert _delay(restarts, "killed by SIGKILL", 60.0)[0] <= 0.1


def test_who_is_asked_for_is_due_and_begins_again() -> None:
    restarts = Restarts()
    for _ in range(10):
        restarts.failed("exit status 1", 0.1)
    restarts.begin_again()
    assert restarts.is_due(time.monotonic())
    assert _delay(restarts)[0] <= 0.1
    assert restarts.restarts == 11
