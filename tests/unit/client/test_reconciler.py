"""A reconciler looks after each key until it goes well, one worker a key at a time."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

import pytest

from tests.patience import PATIENCE
from wellhead.api.errors import Conflict, Forbidden
from wellhead.client.reconciler import Reconciler


async def _run_until(done: asyncio.Event, reconciler: Reconciler[str]) -> None:
    running = asyncio.ensure_future(reconciler.run())
    try:
        async with asyncio.timeout(PATIENCE):
            await done.wait()
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


def _recording(calls: list[str], done_after: int, done: asyncio.Event) -> Callable[[str], Awaitable[None]]:
    async def reconcile(key: str) -> None:
        calls.append(key)
        if len(calls) == done_after:
            done.set()

    return reconcile


async def test_a_key_enqueued_twice_while_it_waits_is_worked_on_once() -> None:
    calls: list[str] = []
    done = asyncio.Event()
    reconciler = Reconciler("test", _recording(calls, 2, done))
    for key in ("a", "a", "b", "a"):
        reconciler.enqueue(key)
    await _run_until(done, reconciler)
    assert sorted(calls) == ["a", "b"]


async def test_a_key_enqueued_while_it_is_worked_on_is_worked_on_again_but_not_at_once() -> None:
    busy = 0
    most_busy = 0
    runs = 0
    done = asyncio.Event()

    async def reconcile(key: str) -> None:
        nonlocal busy, most_busy, runs
        busy += 1
        most_busy = max(most_busy, busy)
        runs += 1
        if runs == 1:
            reconciler.enqueue(key)
        await asyncio.sleep(0)
        busy -= 1
        if runs == 2:
            done.set()

    reconciler = Reconciler("test", reconcile)
    reconciler.enqueue("a")
    await _run_until(done, reconciler)
    assert (runs, most_busy) == (2, 1)


async def test_a_failure_is_tried_again() -> None:
    tries = 0
    done = asyncio.Event()

    async def reconcile(key: str) -> None:
        nonlocal tries
        tries += 1
        if tries < 3:
            raise ValueError(key)
        done.set()

    reconciler = Reconciler("test", reconcile)
    reconciler.enqueue("a")
    await _run_until(done, reconciler)
    assert tries == 3


@pytest.mark.parametrize(
    ("error", "said", "has_trace"),
    [
        (Forbidden("over quota"), "test a: over quota; again in ", False),
        (
            ExceptionGroup("", [Forbidden("one"), ExceptionGroup("", [Forbidden("two"), Conflict("")])]),
            "test a: one; two; again in ",
            False,
        ),
        (Conflict("meanwhile"), "", False),
        (ValueError("odd"), "test a: again in ", True),
    ],
)
async def test_what_the_api_server_refuses_is_one_line_of_the_log(
    error: Exception, said: str, has_trace: bool, caplog: pytest.LogCaptureFixture
) -> None:
    done = asyncio.Event()
    failing = [error]

    async def reconcile(key: str) -> None:
        if failing:
            raise failing.pop()
        done.set()

    reconciler = Reconciler("test", reconcile)
    reconciler.enqueue("a")
    with caplog.at_level(logging.WARNING, "wellhead.client.reconciler"):
        await _run_until(done, reconciler)
    assert [each.getMessage()[: len(said)] for each in caplog.records] == [said] * bool(said)
    assert [bool(each.exc_info) for each in caplog.records] == [has_trace] * bool(said)


async def test_a_returned_number_is_an_appointment() -> None:
    calls = 0
    done = asyncio.Event()

    async def reconcile(key: str) -> float | None:
        nonlocal calls
        calls += 1
        if calls == 2:
            done.set()
            return None
        return 0.001

    reconciler = Reconciler("test", reconcile)
    reconciler.enqueue("a")
    await _run_until(done, reconciler)
    assert calls == 2


async def test_only_the_earliest_appointment_of_a_key_is_kept() -> None:
    calls: list[str] = []
    done = asyncio.Event()
    reconciler = Reconciler("test", _recording(calls, 1, done))
    reconciler.enqueue_after("a", 3600)
    reconciler.enqueue_after("a", 0.001)
    reconciler.enqueue_after("a", 3600)
    await _run_until(done, reconciler)
    assert calls == ["a"]


def _problems(reconciler: Reconciler[str]) -> list[str]:
    now = asyncio.get_running_loop().time()
    return [f"{each.name}: {found}" for each in reconciler.checks() if (found := each.problem(now))]


async def test_a_worker_that_is_busy_with_one_key_for_too_long_is_told_until_it_goes_on() -> None:
    go_on = asyncio.Event()

    async def reconcile(key: str) -> None:
        if key == "a":
            await go_on.wait()

    reconciler = Reconciler("test", reconcile, workers=1)
    running = asyncio.ensure_future(reconciler.run())
    reconciler.enqueue("a")
    loop = asyncio.get_running_loop()
    seen: list[list[str]] = []
    for seconds in (299, 302, 310):
        loop.call_later(seconds, lambda: seen.append(_problems(reconciler)))
    loop.call_later(5, reconciler.enqueue, "b")
    loop.call_later(320, go_on.set)
    await go_on.wait()
    done = loop.create_future()
    loop.call_soon(lambda: loop.call_soon(lambda: loop.call_soon(done.set_result, None)))
    await done
    assert [len(each) for each in seen] == [0, 1, 2]
    assert seen[1] == ["test: busy with a for 302 s"]
    assert seen[2][1] == "test-queue: b has waited for 305 s: 1 wait, 1 are worked on"
    assert _problems(reconciler) == []
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def test_a_queue_that_gets_on_is_well_however_long_it_has_worked() -> None:
    done = asyncio.Event()
    problems: list[str] = []

    async def reconcile(key: str) -> None:
        problems.extend(_problems(reconciler))
        wait = asyncio.get_running_loop().create_future()
        asyncio.get_running_loop().call_later(60, wait.set_result, None)
        await wait
        if key == "99":
            done.set()
        else:
            reconciler.enqueue(str(int(key) + 1))

    reconciler = Reconciler("test", reconcile, workers=1)
    reconciler.enqueue("0")
    running = asyncio.ensure_future(reconciler.run())
    await done.wait()
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert problems == []


@pytest.mark.parametrize(("reason", "told"), [("NamespaceTerminating", []), ("", ["WARNING"])])
async def test_that_a_namespace_ends_is_no_failure_to_be_told(
    caplog: pytest.LogCaptureFixture, reason: str, told: list[str]
) -> None:
    refusals = iter([Forbidden("no", details={"causes": [{"reason": reason}]})])
    done = asyncio.Event()

    async def reconcile(key: str) -> None:
        for refusal in refusals:
            raise refusal
        done.set()

    reconciler = Reconciler("test", reconcile)
    reconciler.enqueue("a")
    caplog.set_level("INFO", logger=Reconciler.__module__)
    await _run_until(done, reconciler)
    assert [record.levelname for record in caplog.records if record.name.endswith("reconciler")] == told
