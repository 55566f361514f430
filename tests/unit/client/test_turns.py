"""Whose turn it is to ask the API server."""

from __future__ import annotations

import asyncio

from tests.patience import reached
from wellhead.client.turns import Turns


class _Requests:
    """Requests that take as long as they are let."""

    def __init__(self, turns: Turns) -> None:
        self._turns = turns
        self.under_way = 0
        self.done = 0
        self.let = asyncio.Semaphore(0)

    async def make(self) -> None:
        async with self._turns.next():
            self.under_way += 1
            await self.let.acquire()
            self.under_way -= 1
        self.done += 1


async def test_there_are_only_so_many_at_a_time() -> None:
    requests = _Requests(Turns(at_once=2, patience=3600))
    async with asyncio.TaskGroup() as group:
        for _ in range(5):
            group.create_task(requests.make())
        for done in range(5):
            await reached(lambda done=done: requests.under_way == min(2, 5 - done))  # type: ignore[misc]
            requests.let.release()
            await reached(lambda done=done: requests.done == done + 1)  # type: ignore[misc]


async def test_nobody_waits_long_for_those_that_take_long() -> None:
    requests = _Requests(Turns(at_once=2, patience=0))
    async with asyncio.TaskGroup() as group:
        for _ in range(5):
            group.create_task(requests.make())
        await reached(lambda: requests.under_way == 5)
        for _ in range(5):
            requests.let.release()


async def test_a_turn_is_given_back_when_a_request_fails_or_is_cancelled() -> None:
    turns = Turns(at_once=1, patience=3600)

    async def fail() -> None:
        async with turns.next():
            raise ValueError

    async def hang() -> None:
        async with turns.next():
            await asyncio.get_running_loop().create_future()

    assert isinstance((await asyncio.gather(fail(), return_exceptions=True))[0], ValueError)
    for _ in range(2):
        task = asyncio.create_task(hang())
        waiting = asyncio.create_task(hang())
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        for each in (waiting, task):
            each.cancel()
        await asyncio.gather(task, waiting, return_exceptions=True)
    async with turns.next():
        pass
