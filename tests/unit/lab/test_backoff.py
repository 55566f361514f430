from __future__ import annotations

import time

from wellhead.lab.backoff import Backoff


def _delay(backoff: Backoff) -> float:
    return backoff.not_before - time.monotonic()


def test_who_never_failed_is_due() -> None:
    assert Backoff().is_due(time.monotonic())


def test_each_failure_waits_longer_up_to_a_limit() -> None:
    backoff = Backoff()
    backoff.failed("exit status 1", 0.1)
    assert 0 < _delay(backoff) <= 0.1
    for _ in range(30):
        backoff.failed("exit status 1", 0.1)
    assert 9 < _delay(backoff) <= 20
    assert backoff.restarts == 31
    assert backoff.problem == "exit status 1"


def test_who_ran_for_long_comes_back_at_once() -> None:
    backoff = Backoff()
    for _ in range(10):
        backoff.failed("exit status 1", 0.1)
    backoff.failed("killed by SIGKILL", 60.0)
    assert _delay(backoff) <= 0.1


def test_who_is_asked_for_is_due_and_begins_again() -> None:
    backoff = Backoff()
    for _ in range(10):
        backoff.failed("exit status 1", 0.1)
    backoff.begin_again()
    assert backoff.is_due(time.monotonic())
    backoff.failed("exit status 1", 0.1)
    assert _delay(backoff) <= 0.1
    assert backoff.restarts == 11
