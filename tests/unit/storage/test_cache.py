"""The watch cache against a dict: whatever is written, reads and watches agree with it."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import AsyncIterator

import msgspec
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tests.examples import examples
from tests.patience import pass_time
from wellhead.apiserver.compaction import compact_history
from wellhead.storage.cache import WatchCache
from wellhead.storage.encoding import decode, encode, with_revision, without_revision
from wellhead.storage.event_log import Budget, Event, EventLog, Item
from wellhead.storage.memory import MemoryStore
from wellhead.storage.store import Compacted, RevisionConflict, StoreKey, Write
from wellhead.storage.watcher import Watcher, WatchOverflow

HISTORY = 30
_HEAD = msgspec.json.Decoder(dict[str, object])


def head_of(resource: str, data: bytes) -> dict[str, object]:
    return _HEAD.decode(data)


def encoded(namespace: str, name: str, label: str) -> bytes:
    metadata = {"name": name, "namespace": namespace, "labels": {"l": label}}
    return encode({"apiVersion": "v1", "kind": "Thing", "metadata": metadata})


def label(item: Item) -> str:
    return str(decode(item.data)["metadata"]["labels"]["l"])


def is_odd(item: Item) -> bool:
    return label(item) == "odd"


Model = dict[tuple[str, str], tuple[int, str]]
_NAMESPACES = st.sampled_from(["a", "b"])
_NAMES = st.sampled_from("xyz")
_LABELS = st.sampled_from(["odd", "even"])


class CacheMachine(RuleBasedStateMachine):
    """Writes at random; keeps what should be there, and one watcher's view of the odd objects."""

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.store = MemoryStore(history=HISTORY)
        self.model: Model = {}
        self.past: dict[int, Model] = {}
        self.seen: set[tuple[str, str]] = set()

    @initialize()
    def start(self) -> None:
        async def start() -> None:
            self.cache = WatchCache(self.store, head_of, history=HISTORY * 1200)
            self.task = asyncio.create_task(self.cache.run())
            await self.cache.started()

        self.runner.run(start())
        self.past[self.cache.revision] = {}
        self.watcher = self.cache["things"].watch(None, is_odd)

    def teardown(self) -> None:
        async def stop() -> None:
            self.task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self.task

        self.runner.run(stop())
        self.runner.close()

    @rule(namespace=_NAMESPACES, name=_NAMES, label=_LABELS)
    def put(self, namespace: str, name: str, label: str) -> None:
        expected = self.model.get((namespace, name), (0, ""))[0]
        revision = self.write(namespace, name, encoded(namespace, name, label), expected)
        self.model[namespace, name] = (revision, label)
        self.past[revision] = dict(self.model)

    @rule(namespace=_NAMESPACES, name=_NAMES)
    def delete(self, namespace: str, name: str) -> None:
        expected = self.model.get((namespace, name), (0, ""))[0]
        if not expected:
            with pytest.raises(RevisionConflict):
                self.write(namespace, name, None, expected)
            return
        revision = self.write(namespace, name, None, expected)
        del self.model[namespace, name]
        self.past[revision] = dict(self.model)

    @precondition(lambda self: self.model)
    @rule(data=st.data())
    def overtaken(self, data: st.DataObject) -> None:
        namespace, name = data.draw(st.sampled_from(sorted(self.model)))
        with pytest.raises(RevisionConflict):
            self.write(namespace, name, b"", self.model[namespace, name][0] - 1)

    @rule(data=st.data())
    def look_back(self, data: st.DataObject) -> None:
        revision = data.draw(st.sampled_from(sorted(self.past)))
        collection = self.cache["things"]
        if revision < collection.oldest:
            with pytest.raises(Compacted):
                collection.items_at(revision)
            with pytest.raises(Compacted):
                collection.watch(None, None, revision)
            return
        assert self.as_model(collection.items_at(revision)) == self.past[revision]
        resumed = collection.watch(None, None, revision)
        replayed = dict(self.past[revision])
        for kind, item in self.take(resumed):
            if kind == "DELETED":
                del replayed[item.namespace, item.name]
            else:
                replayed[item.namespace, item.name] = (item.revision, label(item))
        assert replayed == self.model
        collection.unwatch(resumed)

    @invariant()
    def reads_agree(self) -> None:
        collection = self.cache["things"]
        listed = collection.items()
        assert [(item.namespace, item.name) for item in listed] == sorted(self.model)
        assert self.as_model(listed) == self.model
        in_a = {key: value for key, value in self.model.items() if key[0] == "a"}
        assert self.as_model(collection.items("a")) == in_a
        assert len(collection) == len(self.model)

    @invariant()
    def the_watcher_sees_the_odd_ones(self) -> None:
        for kind, item in self.take(self.watcher):
            key = (item.namespace, item.name)
            assert (key in self.seen) is (kind != "ADDED")
            if kind == "DELETED":
                self.seen.discard(key)
            else:
                self.seen.add(key)
        assert self.seen == {key for key, (_, label) in self.model.items() if label == "odd"}

    def write(self, namespace: str, name: str, value: bytes | None, expected: int) -> int:
        write = Write(StoreKey("things", namespace, name), value, expected)
        return self.runner.run(self.cache.transact([write]))[0]

    def take(self, watcher: Watcher) -> list[tuple[str, Item]]:
        async def take() -> list[tuple[str, Item]]:
            try:
                async with asyncio.timeout(0):  # what is there
                    return list(await watcher.next())
            except TimeoutError:
                return []

        return self.runner.run(take())

    @staticmethod
    def as_model(items: list[Item]) -> Model:
        for item in items:
            assert decode(item.data)["metadata"]["resourceVersion"] == str(item.revision)
        return {(item.namespace, item.name): (item.revision, label(item)) for item in items}


CacheMachine.TestCase.settings = settings(max_examples=examples(40), stateful_step_count=60, deadline=None)
TestCache = CacheMachine.TestCase


@pytest.fixture
async def cache() -> AsyncIterator[WatchCache]:
    cache = WatchCache(MemoryStore(), head_of)
    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(cache.run())
        await cache.started()
        yield cache
        task.cancel()


async def test_a_writer_finds_its_own_write(cache: WatchCache) -> None:
    async def write(number: int) -> None:
        name = f"n{number}"
        (revision,) = await cache.transact([Write(StoreKey("t", "", name), encoded("", name, "x"), 0)])
        item = cache["t"].get("", name)
        assert item is not None
        assert item.revision == revision

    await asyncio.gather(*(write(number) for number in range(100)))


async def test_who_waits_for_a_version_gets_it_or_gives_up(cache: WatchCache) -> None:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(1):  # it never comes
            await cache.reach(cache.revision + 2)
    assert cache._waiting == []
    soon = asyncio.create_task(cache.reach(cache.revision + 1))
    await asyncio.sleep(0)
    await cache.transact([Write(StoreKey("t", "", "a"), encoded("", "a", "x"), 0)])
    await soon


async def test_lists_of_the_past_end_after_one_to_two_intervals(cache: WatchCache) -> None:
    compacting = asyncio.create_task(compact_history(cache, 300.0))
    await pass_time(1)
    await cache.transact([Write(StoreKey("t", "", "a"), encoded("", "a", "x"), 0)])
    first = cache.revision
    await pass_time(300)
    assert cache.compacted < first
    await pass_time(300)
    assert cache.compacted == first
    compacting.cancel()


async def test_a_watcher_gets_nothing_up_to_the_version_it_knows() -> None:
    log = EventLog(0, 1 << 20)
    watcher = Watcher(log, log.end, None, None, after=2)
    for revision in (1, 2, 3):
        event = Event("ADDED", Item("", f"n{revision}", revision, b"{}", {}), None)
        log.append(event)
        watcher.notice(event)
    assert [item.revision for _, item in await watcher.next()] == [3]


async def test_events_that_follow_many_are_gathered_and_a_single_one_is_not_held_up() -> None:
    log, now = EventLog(0, 1 << 20), asyncio.get_running_loop().time
    watcher = Watcher(log, log.end, None, None)
    revisions = itertools.count(1)

    def happen(count: int, size: int = 100) -> None:
        for _ in range(count):
            log.append(event := added(next(revisions), size))
            watcher.notice(event)

    async def taken() -> tuple[int, float]:
        started = now()
        return len(await watcher.next()), round(now() - started, 3)

    happen(1)
    assert await taken() == (1, 0)
    happen(4)
    assert await taken() == (4, 0)
    happen(1)
    gathered = asyncio.create_task(taken())
    await pass_time(0.03)
    happen(2)
    assert await gathered == (3, 0.05)
    happen(1)
    assert await taken() == (1, 0)
    happen(4)
    await watcher.next()
    await pass_time(1)
    happen(40, 10_000)
    assert [await taken() for _ in range(6)] == [(7, 0)] * 5 + [(5, 0)], "who is behind catches up at once"


async def test_a_watcher_that_falls_behind_by_bytes_is_told_once() -> None:
    events = EventLog(0, 10_000)
    watcher, other, elsewhere = (Watcher(events, 0, namespace, None) for namespace in (None, None, "b"))
    cut_off: list[bool] = []
    watcher.on_overflow = lambda: cut_off.append(True)
    told = []
    for number in range(1, 20):
        event = Event("ADDED", Item("a", f"n{number}", number, b"x" * 1000, {}), None)
        events.append(event)
        told.append(watcher.notice(event))
        assert not other.notice(event)
        assert not elsewhere.notice(event)  # nothing is there for it to miss
        assert len(await other.next()) == 1
    assert cut_off == [True]
    assert told.count(True) == 1
    with pytest.raises(WatchOverflow):
        await watcher.next()
    assert events.end - events.start == 4
    assert events.oldest == 15


def added(number: int, size: int = 1000) -> Event:
    return Event("ADDED", Item("a", f"n{number}", number, b"x" * size, {}), None)


def test_all_logs_together_keep_no_more_than_their_budget() -> None:
    budget = Budget(30_000)
    logs = [EventLog(0, 20_000, budget) for _ in range(10)]
    for number in range(1, 2000):
        logs[number % 10].append(added(number))
        assert sum(log.bytes for log in logs) <= 30_000
    assert {log.end - log.start for log in logs} == {1, 2}  # each has its share


def test_a_flood_of_one_resource_costs_the_others_nothing() -> None:
    budget = Budget(30_000)
    quiet, flooded, also = (EventLog(0, 20_000, budget) for _ in range(3))
    quiet.append(added(1))
    quiet.append(added(2))
    for number in range(3, 1000):
        flooded.append(added(number))
        also.append(added(number))
    assert (quiet.start, quiet.end, quiet.oldest) == (0, 2, 0)
    assert flooded.end - flooded.start in (5, 6)


async def test_a_watcher_whose_place_others_needed_is_told() -> None:
    budget = Budget(30_000)
    log, other = EventLog(0, 20_000, budget), EventLog(0, 20_000, budget)
    watcher = Watcher(log, 0, None, None)
    cut_off: list[bool] = []
    watcher.on_overflow = lambda: cut_off.append(True)
    for number in range(1, 10):
        event = added(number)
        log.append(event)
        assert not watcher.notice(event)
    for number in range(10, 20):
        other.append(added(number))
    assert log.start > 0
    with pytest.raises(WatchOverflow):
        await watcher.next()
    assert cut_off == [True]


async def test_an_event_larger_than_the_log_still_arrives() -> None:
    events = EventLog(0, 10_000)
    watcher = Watcher(events, 0, None, None)
    event = Event("ADDED", Item("a", "n", 1, b"x" * 100_000, {}), None)
    events.append(event)
    assert not watcher.notice(event)
    assert await watcher.next() == [("ADDED", event.item)]


async def test_a_watcher_takes_no_more_than_a_batch_at_a_time(cache: WatchCache) -> None:
    watcher = cache["t"].watch(None, None)
    for number in range(20):
        value = encoded("", f"n{number}", "x" * 30_000)
        await cache.transact([Write(StoreKey("t", "", f"n{number}"), value, 0)])
    sizes: list[int] = []
    while sum(sizes) < 20:
        sizes.append(len(await watcher.next()))
    assert max(sizes) == 3


async def test_closing_ends_watches_after_what_is_queued(cache: WatchCache) -> None:
    watcher = cache["t"].watch(None, None)
    await cache.transact([Write(StoreKey("t", "", "a"), encoded("", "a", "x"), 0)])
    cache.close()
    assert len(await watcher.next()) == 1
    assert await watcher.next() == []


def test_the_revision_is_put_into_the_bytes_and_out_again() -> None:
    obj = {"kind": "Thing", "apiVersion": "v1", "metadata": {"name": "a", "resourceVersion": "1"}, "x": 1}
    value = encode(obj)
    data = with_revision(value, 42)
    assert decode(data) == obj | {"metadata": {"name": "a", "resourceVersion": "42"}}
    assert without_revision(data) == value
    assert obj["metadata"] == {"name": "a", "resourceVersion": "1"}
