"""A reconciler looks after each key until it goes well, one worker a key at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from wellhead.client.reconciler import Reconciler


async def _run_until(done: asyncio.Event, reconciler: Reconciler[str]) -> None:
    running = asyncio.ensure_future(reconciler.run())
    try:
        async with asyncio.timeout(5):
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
