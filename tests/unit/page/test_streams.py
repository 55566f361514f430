"""Who follows is told what is so now, never more often than it listens, and nothing piles up meanwhile."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import pytest

from wellhead.page.streams import MOST_BEHIND, Full, Reader, Streams
from wellhead.page.values import Can, Capabilities, Change, Pod, Scene, State, Ticks

NOBODY = Can(can=False)


def pod(name: str, node: str = "node-1") -> Pod:
    return Pod(
        id=f"pod/default/{name}",
        namespace="default",
        name=name,
        node=node,
        addresses=(),
        ready=True,
        phase="Running",
    )


def scene() -> Scene:
    return Scene(capabilities=Capabilities(send=NOBODY, change=NOBODY, source="a test"), entities=())


async def told(reader: Reader) -> list[tuple[str, Any]]:
    """The events that there are to read now."""
    async with asyncio.timeout(60):
        text = (await reader.next()).decode()
    found = []
    for each in filter(None, text.split("\n\n")):
        name, data = each.split("\n")
        found.append((name.removeprefix("event: "), msgspec.json.decode(data.removeprefix("data: "))))
    return found


def names(found: list[tuple[str, Any]]) -> list[str]:
    return [name for name, _ in found]


@pytest.fixture
def streams() -> Streams:
    return Streams(scene)


async def test_a_new_reader_is_told_everything_first(streams: Streams) -> None:
    streams.stated(State(connected=True))
    streams.ticked(Ticks(ticks={"one": True}))
    reader = streams.open()
    streams.changed(Change(put=(pod("web"),)))
    assert names(await told(reader)) == ["scene", "state", "lesson"]


async def test_what_happens_twice_before_it_is_read_is_told_once(streams: Streams) -> None:
    reader = streams.open()
    await told(reader)
    streams.changed(Change(put=(pod("web", "node-1"), pod("api"))))
    streams.changed(Change(put=(pod("web", "node-2"),)))
    streams.changed(Change(gone=("pod/default/api",)))
    [(name, change)] = await told(reader)
    assert name == "change"
    assert [(each["name"], each["node"]) for each in change["put"]] == [("web", "node-2")]
    assert change["gone"] == ["pod/default/api"]


async def test_a_reader_that_never_reads_holds_no_more_than_its_limit(streams: Streams) -> None:
    reader = streams.open()
    await told(reader)
    for number in range(3 * MOST_BEHIND):
        streams.changed(Change(put=(pod(f"web-{number}"),)))
        streams.changed(Change(gone=(f"pod/default/web-{number}",)))
    assert len(reader.pending) <= MOST_BEHIND
    assert names(await told(reader)) == ["scene"]


async def test_a_state_is_told_when_it_changes(streams: Streams) -> None:
    reader = streams.open()
    await told(reader)
    streams.stated(State(connected=False, why="gone"))
    streams.stated(State(connected=False, why="gone"))
    assert await told(reader) == [("state", {"connected": False, "why": "gone"})]
    streams.stated(State(connected=True))
    assert await told(reader) == [("state", {"connected": True, "why": ""})]


async def test_no_more_may_follow_than_there_is_room_for() -> None:
    streams = Streams(scene, most=2)
    first, _ = streams.open(), streams.open()
    with pytest.raises(Full):
        streams.open()
    streams.close(first)
    streams.open()
    assert len(streams) == 2


async def test_at_the_end_everybody_goes(streams: Streams) -> None:
    reader = streams.open()
    await told(reader)
    streams.end()
    assert await told(reader) == []
    assert reader.ended


async def test_what_alters_answers_alone_is_told_as_an_empty_change(streams: Streams) -> None:
    reader = streams.open()
    await told(reader)
    streams.changed(Change())
    streams.changed(Change(), altered=True)
    assert await told(reader) == [("change", {"put": [], "gone": []})]
