"""When changes are put in force."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from itertools import pairwise

import pytest

from tests.patience import pass_time, reached
from wellhead.proxy.sync import SyncFailed, SyncLoop


class Recorder:
    def __init__(self, *, lasts: float = 0.0, fails: int = 0, computes: float = 0.0) -> None:
        self.syncs = 0
        self.computes, self.computed = computes, 0.0
        self.checks = 0
        self.failures: list[SyncFailed] = []
        self.lasts = lasts
        self.fails = fails
        self.started = asyncio.Event()

    async def sync(self) -> None:
        self.syncs += 1
        self.started.set()
        self.computed += self.computes
        await asyncio.sleep(self.lasts)
        if self.fails:
            self.fails -= 1
            raise SyncFailed("no")

    async def check(self) -> None:
        self.checks += 1


@contextlib.asynccontextmanager
async def running(recorder: Recorder, *, check_period: float = 60.0) -> AsyncIterator[SyncLoop]:
    loop = SyncLoop(
        recorder.sync,
        recorder.check,
        min_period=0.0,
        check_period=check_period,
        failed=recorder.failures.append,
        computed=lambda: recorder.computed,
    )
    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(loop.run())
        yield loop
        task.cancel()


async def test_the_first_request_is_served_and_nothing_without_one() -> None:
    recorder = Recorder()
    async with running(recorder) as loop:
        await pass_time(600)
        assert recorder.syncs == 0
        loop.request()
        await reached(lambda: recorder.syncs == 1)


async def test_requests_during_a_sync_are_served_by_one_more() -> None:
    recorder = Recorder(lasts=2)
    async with running(recorder) as loop:
        loop.request()
        await recorder.started.wait()
        for _ in range(100):
            loop.request()
        await reached(lambda: recorder.syncs == 2)
        await pass_time(600)
        assert recorder.syncs == 2


@pytest.mark.parametrize(("computes", "rest"), [(0.004, 0.0), (0.015, 0.19), (0.025, 0.38), (2.0, 1.0)])
async def test_what_computes_for_long_leaves_the_processor_to_others(computes: float, rest: float) -> None:
    recorder = Recorder(computes=computes)
    now = asyncio.get_running_loop().time
    async with running(recorder) as loop:
        for number in range(3):
            began = now()
            loop.request()
            await reached(lambda number=number: recorder.syncs == number + 1)  # type: ignore[misc]
        assert now() - began == pytest.approx(rest, abs=0.1)


async def test_a_sync_is_followed_by_as_long_a_rest_but_for_the_first() -> None:
    recorder = Recorder(lasts=10)
    now = asyncio.get_running_loop().time
    began: list[float] = []
    async with running(recorder) as loop:
        for number in range(3):
            loop.request()
            await reached(lambda number=number: recorder.syncs == number + 1)  # type: ignore[misc]
            began.append(now())
    assert [round(after - before) for before, after in pairwise(began)] == [10, 20]


async def test_a_failed_sync_is_reported_and_tried_again() -> None:
    recorder = Recorder(fails=1)
    async with running(recorder) as loop:
        loop.request()
        await reached(lambda: recorder.syncs == 2)
        assert [str(each) for each in recorder.failures] == ["no"]


async def test_the_rules_are_checked_periodically() -> None:
    recorder = Recorder()
    async with running(recorder, check_period=10):
        await reached(lambda: recorder.checks >= 3)
    assert recorder.syncs == 0


async def test_a_check_can_be_had_at_once() -> None:
    recorder = Recorder()
    async with running(recorder) as loop:
        await loop.check_now()
        assert (recorder.checks, recorder.syncs) == (1, 0)
        await loop.check_now()
        assert recorder.checks == 2


async def test_who_waits_for_a_check_is_not_held_up_by_a_failed_sync() -> None:
    recorder = Recorder(fails=1)
    async with running(recorder) as loop:
        loop.request()
        await loop.check_now()
        await reached(lambda: recorder.syncs == 2)


async def test_a_defect_ends_the_loop() -> None:
    async def broken() -> None:
        raise ZeroDivisionError

    loop = SyncLoop(broken, broken, min_period=0, check_period=60, failed=lambda _: None)
    loop.request()
    with pytest.raises(ZeroDivisionError):
        await loop.run()
