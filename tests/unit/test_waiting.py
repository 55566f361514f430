"""Waiting no longer than so long, and for the first of several."""

from __future__ import annotations

import asyncio

import pytest

from wellhead.waiting import before, comes, first_error, first_of


async def test_an_event_is_waited_for_but_no_longer_than_allowed() -> None:
    event = asyncio.Event()
    assert not await comes(event, 0)
    asyncio.get_running_loop().call_soon(event.set)
    assert await comes(event, None)
    assert await comes(event, 0)


async def test_the_first_that_ends_ends_the_others() -> None:
    cancelled = []

    async def never(name: str) -> None:
        try:
            await asyncio.get_running_loop().create_future()
        except asyncio.CancelledError:
            cancelled.append(name)
            raise

    await first_of(never("one"), asyncio.sleep(0), never("two"))
    assert sorted(cancelled) == ["one", "two"]


async def test_work_is_done_unless_something_else_ends_first() -> None:
    async def fails() -> None:
        raise KeyError("this")

    assert await before(asyncio.sleep(0, "done"), asyncio.Event().wait()) == "done"
    assert await before(asyncio.Event().wait(), asyncio.sleep(0)) is None
    with pytest.raises(KeyError, match="this"):
        await before(fails(), asyncio.Event().wait())


async def test_what_goes_wrong_in_one_of_several_is_raised_and_found_in_its_group() -> None:
    async def fails() -> None:
        raise ValueError("this one")

    with pytest.raises(BaseExceptionGroup) as caught:
        await first_of(fails(), asyncio.Event().wait())
    assert str(first_error(caught.value)) == "this one"
    assert first_error(KeyError("alone")).args == ("alone",)
