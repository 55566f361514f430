"""When the symmetric return works, what it announces and what the ingress side is told."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from typing import Any

import pytest

from tests.patience import pass_time, reached
from tests.unit.proxy.symmetric_return.nodes import node, on_link
from wellhead.api.errors import Forbidden
from wellhead.api.meta import Obj
from wellhead.client.rest import Client, Event, Listing
from wellhead.proxy.marks import Marks
from wellhead.proxy.symmetric_return import controller
from wellhead.proxy.symmetric_return.announcement import ANNOTATION, Announcement, encode
from wellhead.proxy.symmetric_return.controller import Returning, SymmetricReturn
from wellhead.proxy.symmetric_return.kernel import ReturnPathError
from wellhead.proxy.symmetric_return.nodes import NodeFacts, make_plan
from wellhead.proxy.symmetric_return.numbers import Numbers
from wellhead.proxy.symmetric_return.settings import PathChoice, ReturnSettings
from wellhead.proxy.symmetric_return.state import Outcome


def announced_by(number: int) -> Announcement:
    found = node(number).announced
    assert found is not None
    return found


MINE = announced_by(1)


_versions = count(1)


def node_object(number: int, announced: Announcement | None) -> Obj:
    return {
        "metadata": {
            "name": f"node-{number}",
            "resourceVersion": str(next(_versions)),
            "annotations": {ANNOTATION: encode(announced)} if announced else {},
        },
        "spec": {"podCIDRs": [f"10.244.{number}.0/24", f"fd00:10:244:{number}::/64"]},
        "status": {
            "addresses": [
                {"type": "InternalIP", "address": f"10.240.0.{10 + number}"},
                {"type": "InternalIP", "address": f"fd00:10:240::{10 + number}"},
            ]
        },
    }


class FakeClient(Client):
    """Nodes that can be listed, watched and annotated."""

    def __init__(self, *nodes: Obj) -> None:
        self.nodes = {each["metadata"]["name"]: each for each in nodes}
        self.news: asyncio.Queue[Obj] = asyncio.Queue()
        self.refusing = False

    async def listing(self, resource: Any, namespace: Any = None, **options: Any) -> Listing:
        return Listing("1", iter(list(self.nodes.values())))

    async def watch(self, resource: Any, namespace: Any = None, **options: Any) -> Any:
        while True:
            yield Event("MODIFIED", await self.news.get())

    async def get(self, resource: Any, name: str, namespace: str | None = None) -> Obj:
        return self.nodes[name]

    async def patch(
        self, resource: Any, name: str, body: Any, namespace: str | None = None, **options: Any
    ) -> Obj:
        if self.refusing:
            raise Forbidden("nodes is forbidden")
        annotations = {**self.nodes[name]["metadata"]["annotations"], **body["metadata"]["annotations"]}
        kept = {key: value for key, value in annotations.items() if value is not None}
        before = self.nodes[name]
        after = {
            **before,
            "metadata": {**before["metadata"], "annotations": kept, "resourceVersion": str(next(_versions))},
        }
        self.nodes[name] = after
        self.news.put_nowait(after)
        return after

    @property
    def announced(self) -> str | None:
        found: str | None = self.nodes["node-1"]["metadata"]["annotations"].get(ANNOTATION)
        return found


class FakePath:
    """In place of the kernel's part."""

    def __init__(self) -> None:
        self.announced: Announcement | None = MINE
        self.failure = ""
        self.problem = ""

    def work(self, me: NodeFacts, others: list[NodeFacts], *, check_table: bool) -> Outcome:
        if self.failure:
            raise ReturnPathError(self.failure)
        settings = ReturnSettings()
        plan = make_plan(me, others, settings, Marks(), Numbers(9, {}), (), on_link(2, 3), None)
        inside = tuple(dict.fromkeys(net for each in (me, *others) for net in each.networks))
        plan = dataclasses.replace(plan, inside=inside)
        return Outcome(plan, self.announced, False, self.problem)


class Given:
    """A symmetric return with fakes around it."""

    def __init__(self, client: FakeClient, path: PathChoice = "auto") -> None:
        self.client = client
        self.path = FakePath()
        self.changes = 0
        self.complaints: list[tuple[str, str]] = []
        self.removed = 0
        self.returning = SymmetricReturn(
            client,
            "node-1",
            ReturnSettings(path=path),
            Marks(),
            (),
            check_period=0.05,
            changed=self._changed,
            complain=lambda reason, message: self.complaints.append((reason, message)),
            own_node=lambda: client.nodes["node-1"],
        )
        self.returning._path = self.path  # type: ignore[assignment]

    def _changed(self) -> None:
        self.changes += 1

    async def until(self, true: Any) -> None:
        await reached(true)

    async def run(self, test: Any) -> None:
        async with asyncio.TaskGroup() as tasks:
            running = tasks.create_task(self.returning.run())
            try:
                await test
            finally:
                running.cancel()


@pytest.fixture(autouse=True)
def no_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    @contextmanager
    def quiet(routing: Any, table: Any) -> Iterator[Any]:
        yield lambda devices: None

    monkeypatch.setattr(controller, "watching", quiet)
    monkeypatch.setattr(controller, "remove_all", lambda marks: False)
    monkeypatch.setattr(controller, "is_in_use", lambda marks: False)


async def test_nothing_happens_before_it_is_wanted() -> None:
    given = Given(FakeClient(node_object(1, None), node_object(2, MINE)))

    async def test() -> None:
        await given.returning.known()
        await pass_time(60)
        assert given.client.announced is None
        assert given.returning.returning == Returning()

    await given.run(test())


async def test_announcement_is_given_time_before_it_is_relied_on() -> None:
    given = Given(FakeClient(node_object(1, None), node_object(2, announced_by(2))))
    given.returning.want()

    async def test() -> None:
        await given.until(lambda: given.client.announced is not None)
        assert given.client.announced == encode(MINE)
        assert given.returning.returning.nodes == frozenset()
        await given.until(lambda: given.returning.returning.nodes == {"node-2"})
        assert given.returning.returning.inside
        assert given.changes == 1

    await given.run(test())


async def test_announcement_of_an_earlier_process_is_relied_on_at_once() -> None:
    given = Given(FakeClient(node_object(1, MINE), node_object(2, announced_by(2))))
    given.returning.want()

    async def test() -> None:
        await given.returning.known()
        assert given.returning.returning.nodes == {"node-2"}

    await given.run(test())


async def test_changed_announcement_is_given_time_again() -> None:
    given = Given(FakeClient(node_object(1, MINE), node_object(2, announced_by(2))))
    given.returning.want()

    async def test() -> None:
        await given.until(lambda: given.returning.returning.nodes == {"node-2"})
        given.path.announced = announced_by(9)
        await given.until(lambda: given.returning.returning == Returning())
        await given.until(lambda: given.returning.returning.nodes == {"node-2"})
        assert given.client.announced == encode(announced_by(9))

    await given.run(test())


async def test_promise_is_not_taken_back_for_a_moment() -> None:
    given = Given(FakeClient(node_object(1, MINE), node_object(2, announced_by(2))))
    given.returning.want()

    async def test() -> None:
        await given.until(lambda: given.returning.returning.nodes == {"node-2"})
        given.path.announced = None
        await given.until(lambda: given.returning.returning == Returning())
        await pass_time(1)
        assert given.client.announced == encode(MINE)
        given.path.announced = MINE
        await given.until(lambda: given.returning.returning.nodes == {"node-2"})
        given.path.announced = None
        await given.until(lambda: given.client.announced is None)

    await given.run(test())


async def test_peers_come_and_go_with_their_announcements() -> None:
    given = Given(FakeClient(node_object(1, MINE), node_object(2, None)))
    given.returning.want()

    async def test() -> None:
        await given.returning.known()
        assert given.returning.returning.nodes == frozenset()
        given.client.news.put_nowait(node_object(2, announced_by(2)))
        await given.until(lambda: given.returning.returning.nodes == {"node-2"})
        given.client.news.put_nowait(node_object(2, None))
        await given.until(lambda: given.returning.returning.nodes == frozenset())

    await given.run(test())


async def test_what_does_not_work_is_not_announced_and_told_once() -> None:
    given = Given(FakeClient(node_object(1, None), node_object(2, announced_by(2))))
    given.path.failure = "the nftables rules: nft: No such file or directory"
    given.returning.want()

    async def test() -> None:
        await given.returning.known()
        await given.until(lambda: given.complaints)
        await pass_time(60)
        assert given.client.announced is None
        [(reason, message)] = given.complaints
        assert reason == "SymmetricReturnFailed"
        assert "node node-1: symmetric return: the nftables rules" in message
        given.path.failure = ""
        await given.until(lambda: given.returning.returning.nodes == {"node-2"})

    await given.run(test())


async def test_refused_announcement_is_told_and_nothing_relied_on() -> None:
    given = Given(FakeClient(node_object(1, None), node_object(2, announced_by(2))))
    given.client.refusing = True
    given.returning.want()

    async def test() -> None:
        await given.until(lambda: given.complaints)
        assert "forbidden" in given.complaints[0][1]
        assert given.returning.returning == Returning()

    await given.run(test())


@pytest.mark.parametrize("wanted", [False, True])
async def test_announcement_that_nobody_wants_any_more_is_withdrawn(wanted: bool) -> None:
    given = Given(FakeClient(node_object(1, MINE)), "none" if wanted else "auto")
    if wanted:
        given.returning.want()

    async def test() -> None:
        await given.until(lambda: given.client.announced is None)

    await given.run(test())


async def test_connections_of_an_earlier_process_keep_it_going(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(controller, "is_in_use", lambda marks: True)
    given = Given(FakeClient(node_object(1, MINE), node_object(2, announced_by(2))))

    async def test() -> None:
        await given.until(lambda: given.returning.returning.nodes == {"node-2"})
        assert given.client.announced == encode(MINE)

    await given.run(test())
