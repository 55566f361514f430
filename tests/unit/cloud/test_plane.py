"""Wishes are gathered, followed together, and tried again until that works."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from tests.patience import pass_time
from wellhead.cloud.plane import Follower, PlaneError

Follow = Callable[[set[str]], Awaitable[float | None]]


@contextlib.asynccontextmanager
async def following(follower: Follower[set[str]], follow: Follow) -> AsyncIterator[None]:
    task = asyncio.ensure_future(follower.run(follow))
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


def ask(follower: Follower[set[str]], wish: str) -> asyncio.Future[None]:
    follower.wishes.add(wish)
    return follower.submitted()


async def test_wishes_that_come_while_others_are_followed_are_followed_together() -> None:
    follower = Follower("nobody", set[str])
    calls: list[set[str]] = []
    busy, go_on = asyncio.Event(), asyncio.Event()

    async def follow(wishes: set[str]) -> None:
        calls.append(wishes)
        if wishes == {"one"}:
            busy.set()
            await go_on.wait()

    one = ask(follower, "one")
    async with following(follower, follow):
        await busy.wait()
        later = [ask(follower, "two"), ask(follower, "three")]
        assert not one.done()
        go_on.set()
        await asyncio.gather(one, *later)
    assert calls == [{"one"}, {"two", "three"}]


async def test_what_fails_is_told_and_tried_again_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("wellhead.backoff.Backoff.next", lambda _: 0.0)
    follower = Follower("nobody", set[str])
    calls: list[set[str]] = []
    went_well = asyncio.Event()

    async def follow(wishes: set[str]) -> None:
        calls.append(wishes)
        if len(calls) < 3:
            raise OSError("not now")
        went_well.set()

    failed = ask(follower, "one")
    async with following(follower, follow):
        with pytest.raises(PlaneError, match="not now"):
            await failed
        await went_well.wait()
    assert calls == [{"one"}, set(), set()]


async def test_it_looks_again_when_it_said_so_and_never_otherwise() -> None:
    follower = Follower("nobody", set[str])
    answers = [0.0, 0.0, None, None]
    calls = 0
    third = asyncio.Event()

    async def follow(_: set[str]) -> float | None:
        nonlocal calls
        calls += 1
        if calls == 3:
            third.set()
        return answers[calls - 1]

    async with following(follower, follow):
        await third.wait()
        await asyncio.sleep(0)
        assert calls == 3
        await ask(follower, "now")
    assert calls == 4


async def test_who_waits_is_not_left_waiting_when_it_ends() -> None:
    follower = Follower("nobody", set[str])
    begun = asyncio.Event()

    async def never(_: set[str]) -> None:
        begun.set()
        await asyncio.get_running_loop().create_future()

    first = ask(follower, "one")
    async with following(follower, never):
        await begun.wait()
        second = ask(follower, "two")
    assert (first.cancelled(), second.cancelled()) == (True, True)


def _problems(follower: Follower[set[str]]) -> dict[str, str]:
    now = asyncio.get_running_loop().time()
    return {each.name: found for each in follower.checks() if (found := each.problem(now))}


async def test_one_that_does_not_follow_for_a_while_says_why_until_it_does() -> None:
    follower = Follower("the forwarder (ip)", set[str])
    broken = True

    async def follow(_: set[str]) -> None:
        if broken:
            raise OSError("no such interface")

    async with following(follower, follow):
        await pass_time(25)
        assert _problems(follower) == {}
        await pass_time(10)
        found = _problems(follower)
        assert list(found) == ["forwarder-ip"]
        assert found["forwarder-ip"].endswith(" s: no such interface")
        broken = False
        await pass_time(15)
        assert _problems(follower) == {}


async def test_one_that_is_busy_with_a_change_for_too_long_is_stuck() -> None:
    follower = Follower("the forwarder (ip)", set[str])
    go_on = asyncio.Event()

    async def follow(_: set[str]) -> None:
        await go_on.wait()

    async with following(follower, follow):
        await pass_time(310)
        found = _problems(follower)
        assert found["forwarder-ip-busy"] == "forwarder-ip is busy with one attempt for 310 s"
        assert [each.mortal for each in follower.checks()] == [False, True]
        go_on.set()
        await pass_time(1)
        assert _problems(follower) == {}
