"""Which transactions are written together."""

from __future__ import annotations

import asyncio

from wellhead.storage.gathering import Gathering
from wellhead.storage.pending import Pending
from wellhead.storage.store import StoreKey, Write

Names = list[list[str]]


def pending(*names: str, size: int = 1) -> Pending:
    answer: asyncio.Future[list[int]] = asyncio.get_running_loop().create_future()
    return Pending([Write(StoreKey("things", "", name), b"x" * size, 0) for name in names], answer)


def names(group: list[Pending]) -> list[str]:
    return [write.key.name for each in group for write in each.writes]


async def turn(times: int = 1) -> None:
    for _ in range(times):
        await asyncio.sleep(0)


async def test_what_comes_in_one_turn_is_one_group() -> None:
    groups: Names = []
    gathering = Gathering(lambda group: groups.append(names(group)), 10, 100)
    for name in "abc":
        gathering.add(pending(name))
    assert not groups
    await turn()
    assert groups == [["a", "b", "c"]]


async def test_what_comes_while_a_group_is_written_is_the_next() -> None:
    groups: Names = []
    gathering = Gathering(lambda group: groups.append(names(group)), 10, 100)
    gathering.add(pending("a"))
    await turn()
    gathering.add(pending("b"))
    await turn(5)
    gathering.add(pending("c"))
    await turn(5)
    assert groups == [["a"]]
    gathering.done()
    await turn()
    assert groups == [["a"], ["b", "c"]]


async def test_a_group_has_no_more_writes_and_bytes_than_it_may() -> None:
    groups: Names = []
    gathering = Gathering(lambda group: groups.append(names(group)), 3, 100)
    for each in (pending("a", "b"), pending("c", "d"), pending("e", size=99), pending("f", size=2)):
        gathering.add(each)
    for _ in range(4):
        await turn(5)
        gathering.done()
    assert groups == [["a", "b"], ["c", "d"], ["e"], ["f"]]


async def test_a_transaction_that_is_too_large_for_a_group_is_one() -> None:
    groups: Names = []
    gathering = Gathering(lambda group: groups.append(names(group)), 2, 100)
    gathering.add(pending("a", "b", "c", size=1000))
    await turn()
    assert groups == [["a", "b", "c"]]


async def test_where_keys_have_to_be_distinct_the_second_write_of_one_waits() -> None:
    groups: Names = []
    gathering = Gathering(lambda group: groups.append(names(group)), 10, 100, distinct=True)
    for each in (pending("a"), pending("b", "a"), pending("c")):
        gathering.add(each)
    await turn()
    gathering.done()
    await turn(5)
    assert groups == [["a"], ["b", "a", "c"]]


async def test_others_are_waited_for_where_there_were_more_the_last_time() -> None:
    groups: Names = []
    gathering = Gathering(lambda group: groups.append(names(group)), 10, 100)
    for name in "abcd":
        gathering.add(pending(name))
    await turn()
    gathering.done()
    gathering.add(pending("e"))
    await turn(2)
    gathering.add(pending("f"))
    await turn(5)
    gathering.done()
    gathering.add(pending("g"))  # nobody else comes, which doesn't hold it up for long
    await turn(5)
    assert groups == [["a", "b", "c", "d"], ["e", "f"], ["g"]]


async def test_the_rest_is_given_back_at_the_end() -> None:
    groups: Names = []
    gathering = Gathering(lambda group: groups.append(names(group)), 2, 100)
    for name in "abc":
        gathering.add(pending(name))
    assert [names(group) for group in gathering.rest()] == [["a", "b"], ["c"]]
    await turn(5)
    assert not groups
