"""Every store against one model: what is written, read, watched, cut off and opened again agrees with it."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import shutil
import tempfile
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    precondition,
    rule,
    run_state_machine_as_test,
)

from tests.etcd import Etcd
from tests.patience import reached
from wellhead.storage.etcd.client import EtcdClient
from wellhead.storage.etcd.compaction import Note, compact
from wellhead.storage.etcd.layout import Layout, etcd_revision
from wellhead.storage.etcd.options import EtcdOptions
from wellhead.storage.location import store_at
from wellhead.storage.memory import MemoryStore
from wellhead.storage.sqlite import SqliteStore
from wellhead.storage.store import Change, Compacted, RevisionConflict, Store, StoreKey, Write

_HISTORY = 12  # revisions that the stores keep which cut their history themselves
_KEYS = st.builds(
    StoreKey, st.sampled_from(["pods", "leases"]), st.sampled_from(["", "a"]), st.sampled_from("xyz")
)
_VALUES = st.none() | st.binary(max_size=40)
_RIGHT = st.sampled_from([True, True, True, False])
_WRITES = st.lists(st.tuples(_KEYS, _VALUES, _RIGHT), min_size=1, max_size=3, unique_by=lambda each: each[0])


class Watch:
    """One reader of the history above a revision, and what it got."""

    def __init__(self, store: Store, after: int) -> None:
        self.after = after
        self.seen: list[Change] = []
        self.is_cut_off = False
        self.task = asyncio.ensure_future(self._read(store))

    async def _read(self, store: Store) -> None:
        try:
            async for batch in store.watch(self.after):
                self.seen += batch
        except Compacted:
            self.is_cut_off = True

    async def stop(self) -> None:
        self.task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self.task


class StoreMachine(RuleBasedStateMachine):
    """Does one thing after the other. `history` is all that was ever written."""

    survives = True
    """Whether the store is as it was when it is opened again."""

    runner: asyncio.Runner
    """One for all examples: gRPC lives in one event loop."""

    def __init__(self) -> None:
        super().__init__()
        self.history: list[Change] = []
        self.watches: list[Watch] = []
        self.store = self.made()
        self.run(self.store.open())
        self.start = self.store.bounds.latest
        self.ends = [self.start]
        """The last revisions of the transactions."""

    def made(self) -> Store:
        raise NotImplementedError

    def may_be_gone(self, revision: int) -> bool:
        """Whether the history above it may have been cut off."""
        return revision < self.store.bounds.oldest

    def run(self, work: Any) -> Any:
        return self.runner.run(work)

    @property
    def latest(self) -> int:
        return self.history[-1].revision if self.history else self.start

    def state(self, revision: int) -> dict[StoreKey, tuple[bytes, int]]:
        """What is there as of a revision."""
        state: dict[StoreKey, tuple[bytes, int]] = {}
        for change in self.history:
            if change.revision > revision:
                break
            if change.value is None:
                state.pop(change.key, None)
            else:
                state[change.key] = change.value, change.revision
        return state

    def a_revision(self, data: st.DataObject) -> int:
        """One of all that there were."""
        return data.draw(st.sampled_from([self.start, *(change.revision for change in self.history)]))

    def _write(self, key: StoreKey, value: bytes | None, right: bool) -> Write:
        _, revision = self.state(self.latest).get(key, (b"", 0))
        # The revisions of one transaction, 64 at most, are one to etcd.
        return Write(key, value, revision if right else revision + 64)

    def _fits(self, write: Write) -> bool:
        _, revision = self.state(self.latest).get(write.key, (b"", 0))
        return write.expected == revision and (write.value is not None or revision > 0)

    def _written(self, writes: list[Write], revisions: list[int]) -> None:
        assert len(revisions) == len(writes)
        for write, revision in zip(writes, revisions, strict=True):
            assert revision > self.latest
            self.history.append(Change(revision, write.key, write.value))
        self.ends.append(self.latest)

    @initialize()
    def is_empty(self) -> None:
        self.reads_all()

    @rule(wanted=_WRITES)
    def writes(self, wanted: list[tuple[StoreKey, bytes | None, bool]]) -> None:
        writes = [self._write(*each) for each in wanted]
        wrong = {write.key for write in writes if not self._fits(write)}
        try:
            revisions = self.run(self.store.transact(writes))
        except RevisionConflict as error:
            conflict = error
        else:
            assert not wrong
            self._written(writes, revisions)
            return
        assert conflict.key in wrong
        assert conflict.actual == self.state(self.latest).get(conflict.key, (b"", 0))[1]

    @rule(key=_KEYS, values=st.tuples(st.binary(max_size=9), st.binary(max_size=9)))
    def two_write_one_key_at_once(self, key: StoreKey, values: tuple[bytes, bytes]) -> None:
        writes = [self._write(key, value, True) for value in values]

        async def both() -> list[list[int] | BaseException]:
            tasks = (self.store.transact([write]) for write in writes)
            return await asyncio.gather(*tasks, return_exceptions=True)

        results = self.run(both())
        lost = [each for each in results if isinstance(each, RevisionConflict)]
        ((winner, revisions),) = [
            (write, each) for write, each in zip(writes, results, strict=True) if isinstance(each, list)
        ]
        self._written([winner], revisions)
        assert [each.actual for each in lost] == revisions

    @rule(key=_KEYS)
    def reads_one(self, key: StoreKey) -> None:
        record = self.run(self.store.get(key))
        found = None if record is None else (record.value, record.revision)
        assert found == self.state(self.latest).get(key)

    @rule()
    def reads_all(self) -> None:
        if self.history:
            assert self.run(self.store.latest()) == self.latest
        self._agrees(self.run(self.store.snapshot()), self.latest)

    @rule(data=st.data())
    def reads_all_as_it_was(self, data: st.DataObject) -> None:
        revision = data.draw(st.sampled_from(self.ends))
        try:
            snapshot = self.run(self.store.snapshot(revision))
        except Compacted:
            assert self.may_be_gone(revision)
        else:
            self._agrees(snapshot, revision)

    def _agrees(self, snapshot: Any, revision: int) -> None:
        assert snapshot.revision >= revision or not self.history
        found = {record.key: (record.value, record.revision) for record in snapshot.records}
        assert found == self.state(revision)

    @precondition(lambda self: len(self.watches) < 4)
    @rule(data=st.data())
    def watches_from(self, data: st.DataObject) -> None:
        after = self.a_revision(data)

        async def start() -> Watch:
            return Watch(self.store, after)

        self.watches.append(self.run(start()))

    @rule()
    def everybody_has_seen_everything(self) -> None:
        self.run(self._all_have_seen())

    async def _all_have_seen(self) -> None:
        for watch in self.watches:
            await reached(partial(self._is_done, watch))
            wanted = self._above(watch)
            if watch.is_cut_off:
                place = watch.seen[-1].revision if watch.seen else watch.after
                assert self.may_be_gone(place)
                assert watch.seen == wanted[: len(watch.seen)]
            else:
                assert watch.seen == wanted

    def _is_done(self, watch: Watch) -> bool:
        return watch.is_cut_off or len(watch.seen) >= len(self._above(watch))

    def _above(self, watch: Watch) -> list[Change]:
        return [change for change in self.history if change.revision > watch.after]

    @precondition(lambda self: self.watches)
    @rule(data=st.data())
    def one_stops_watching(self, data: st.DataObject) -> None:
        watch = data.draw(st.sampled_from(self.watches))
        self.watches.remove(watch)
        self.run(watch.stop())

    @rule()
    def is_opened_again(self) -> None:
        self._stop()
        self.store = self.made()
        self.run(self.store.open())
        if self.survives and self.history:
            assert self.store.bounds.latest == self.latest
        else:
            # What it begins with is not below what there was.
            assert self.store.bounds.latest >= self.latest
            self.history, self.start = [], self.store.bounds.latest
            self.ends = [self.start]
        self.reads_all()

    def _stop(self) -> None:
        for watch in self.watches:
            self.run(watch.stop())
        self.watches.clear()
        self.run(self.store.close())

    def teardown(self) -> None:
        try:
            self.run(self._all_have_seen())
        finally:
            self._stop()


class MemoryMachine(StoreMachine):
    survives = False

    def made(self) -> Store:
        return MemoryStore(history=_HISTORY)


class SqliteMachine(StoreMachine):
    def __init__(self) -> None:
        self.directory = Path(tempfile.mkdtemp(prefix="wellhead-model-"))
        super().__init__()

    def made(self) -> Store:
        return SqliteStore(self.directory / "db", history=_HISTORY, reserve=0)

    def teardown(self) -> None:
        try:
            super().teardown()
        finally:
            shutil.rmtree(self.directory)


class EtcdMachine(StoreMachine):
    etcd: Etcd
    numbers = itertools.count()

    def __init__(self) -> None:
        self.prefix = f"/model-{next(self.numbers)}"
        self.note = Note()
        super().__init__()

    def made(self) -> Store:
        return store_at(self.etcd.storage, EtcdOptions(prefix=self.prefix))

    def may_be_gone(self, revision: int) -> bool:
        return super().may_be_gone(revision) or etcd_revision(revision) <= self.note.compacted

    @rule()
    def is_cut(self) -> None:
        """Up to what was the latest revision at the last cut; the first only says where."""

        async def cut() -> Note:
            client = EtcdClient([member.client for member in self.etcd.members], EtcdOptions())
            client.connect()
            try:
                return await compact(client, Layout(self.prefix), self.note)
            finally:
                await client.close()

        self.note = self.run(cut())


def _agree(machine: type[StoreMachine], examples: int) -> None:
    with asyncio.Runner() as machine.runner:
        run_state_machine_as_test(machine, settings=settings(max_examples=examples, stateful_step_count=25))


@pytest.mark.parametrize(("machine", "examples"), [(MemoryMachine, 30), (SqliteMachine, 20)])
def test_a_store_does_what_the_model_does(machine: type[StoreMachine], examples: int) -> None:
    _agree(machine, examples)


def test_etcd_does_what_the_model_does(etcd: Etcd) -> None:
    EtcdMachine.etcd = etcd
    _agree(EtcdMachine, 8)
