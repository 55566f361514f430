"""Pods wait in the order of their priority, and come back when something changes."""

from __future__ import annotations

import asyncio

from tests.patience import PATIENCE, pass_time
from wellhead.scheduler.queue import Queue


async def next_of(queue: Queue) -> str:
    async with asyncio.timeout(PATIENCE):
        return (await queue.pop())[1]


async def test_higher_priority_first_then_first_come_first_served() -> None:
    queue = Queue()
    for name, priority in (("a", 0), ("b", 5), ("c", 0), ("d", 5)):
        queue.add(("", name), priority)
    queue.add(("", "a"), 0)
    queue.remove(("", "c"))
    assert [await next_of(queue) for _ in range(3)] == ["b", "d", "a"]


async def test_a_parked_pod_waits_for_a_change_that_concerns_it() -> None:
    queue = Queue()
    queue.add(("", "a"), 0)
    await queue.pop()
    queue.park(("", "a"), frozenset({"Insufficient cpu"}))
    queue.wake(lambda reasons: "something else" in reasons)
    pop = asyncio.ensure_future(queue.pop())
    await pass_time(3600)
    assert not pop.done()
    queue.wake(lambda reasons: "Insufficient cpu" in reasons)
    assert await pop == ("", "a")


async def test_a_pod_that_is_refused_again_and_again_comes_back_later_and_later() -> None:
    queue = Queue()
    loop = asyncio.get_running_loop()
    waits = []
    for _ in range(3):
        queue.park(("", "a"), frozenset())
        parked = loop.time()
        queue.wake(lambda _: True)
        await next_of(queue)
        waits.append(loop.time() - parked)
    assert waits[0] < waits[1] < waits[2]


async def test_a_changed_pod_comes_back_at_once() -> None:
    queue = Queue()
    for _ in range(4):
        queue.park(("", "a"), frozenset())
    queue.wake(lambda _: True)
    queue.add(("", "a"), 0)
    assert await next_of(queue) == "a"
    queue.park(("", "a"), frozenset())
    queue.remove(("", "a"))
    queue.wake(lambda _: True)
    queue.add(("", "b"), 0)
    assert await next_of(queue) == "b"


async def test_a_pod_that_waits_for_its_turn_for_too_long_is_told() -> None:
    queue = Queue()
    queue.add(("default", "web"), 0)
    now = asyncio.get_running_loop().time()
    assert queue.problem(now + 299) == ""
    told = "pod default/web has waited for its turn for 301 s: 1 wait"
    assert queue.problem(now + 301) == told
    assert await next_of(queue) == "web"
    assert queue.problem(now + 301) == ""
