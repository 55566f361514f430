"""The store in a SQLite file: a log of writes, of which the current state is the newest row of each key.

One thread owns the only connection. It is handed all transactions that wait, makes them one SQLite
transaction, and answers them together once that is on the disk (WAL, synchronous=FULL: one fsync for the
whole group), so that an acknowledged write outlives kill -9 and a power cut, and many share the cost of one.

A row that a later one replaced is deleted when that happened more than `history` revisions ago, or when all
such rows together take more than `history_bytes`; until then it serves watches that resume, across a restart
of the process too.
"""

from __future__ import annotations

import asyncio
import logging
import os
import queue
import sqlite3
import threading
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import TypeVar

from wellhead.storage import reserve
from wellhead.storage.feed import Feed
from wellhead.storage.gathering import Gathering
from wellhead.storage.history import History
from wellhead.storage.pending import Answer, Pending, fail, succeed
from wellhead.storage.reserve import Reserve
from wellhead.storage.sqlite_file import open_database
from wellhead.storage.sqlite_reading import changes_after, record_of, records_at
from wellhead.storage.store import (
    Bounds,
    Change,
    Compacted,
    Record,
    RevisionConflict,
    Snapshot,
    StoreFailed,
    StoreFull,
    StoreKey,
    Write,
)

_log = logging.getLogger(__name__)

T = TypeVar("T")

_HISTORY = 4096
_HISTORY_BYTES = 64 << 20
_SHRINK_STEP = 256  # revisions
_GROUP = 512  # writes
# Of what isn't in the file yet, the reserve has to hold all: the log's 4 MiB, and such a group.
_GROUP_BYTES = 4 << 20
_PAGE = 4096  # bytes, as SQLite has them unless told otherwise
_VACUUM_PAGES = 1024

_LATEST = """
SELECT revision, length(value) FROM log
WHERE resource = ? AND namespace = ? AND name = ? ORDER BY revision DESC LIMIT 1
"""
_INSERT = "INSERT INTO log VALUES (?, ?, ?, ?, ?, ?)"
_REPLACED = """
SELECT coalesce(length(before.value), 0) FROM log LEFT JOIN log AS before ON before.revision = log.previous
WHERE log.revision > ? ORDER BY log.revision
"""


class SqliteStore:
    """A `Store` in one file, which belongs to this process alone while it is open."""

    shared = False

    def __init__(
        self,
        path: Path,
        history: int = _HISTORY,
        reserve: int = reserve.SIZE,
        history_bytes: int = _HISTORY_BYTES,
    ) -> None:
        self._path = path
        self._jobs: queue.SimpleQueue[list[Pending] | Callable[[], None] | None] = queue.SimpleQueue()
        self._gathering = Gathering(self._jobs.put, _GROUP, _GROUP_BYTES)
        self._thread: threading.Thread | None = None
        self._feed = Feed()
        # These belong to the writer thread once it runs.
        self._connection: sqlite3.Connection
        self._reserve = Reserve(path.with_name(path.name + "-reserve"), reserve)
        self._full = False
        """Whether the reserve is given up: then what doesn't free room isn't written."""
        self._revision = 0
        self._compacted = 0
        self._history = History(history, history_bytes)

    async def open(self) -> None:
        """Open or make the file, and start the writer thread.

        Raises:
            StoreFailed: when the file can't be used: no permission, another process has it, not a wellhead
                database, or one of a newer version.
        """
        self._loop = asyncio.get_running_loop()
        await asyncio.to_thread(self._connect)
        self._thread = threading.Thread(target=self._serve, name="storage", daemon=True)
        self._thread.start()

    @property
    def bounds(self) -> Bounds:
        """How far back the history goes, and how far it has come."""
        return Bounds(self._compacted, self._revision)

    async def latest(self) -> int:
        """The revision of the last write."""
        return self._revision

    async def snapshot(self, revision: int | None = None) -> Snapshot:
        """Everything, as of `revision` (default: now). Raises Compacted."""
        return await self._run(lambda: self._snapshot(revision))

    async def get(self, key: StoreKey) -> Record | None:
        """What was written last under `key`."""
        return await self._run(lambda: record_of(self._connection, key))

    async def check(self) -> str:
        """Why writes would fail now, found out by one; "" if they work."""
        try:
            return await self._run(self._check)
        except StoreFailed as error:
            return str(error)

    async def backup(self) -> Path:
        """A whole copy of the file, beside it, in place of an earlier one. Raises StoreFailed."""
        return await self._run(self._back_up)

    async def transact(self, writes: Sequence[Write], *, freeing: bool = False) -> list[int]:
        """Make all these writes or none. Raises RevisionConflict, StoreFull, StoreFailed."""
        if self._thread is None:
            raise StoreFailed("the store is closed")
        answer: asyncio.Future[list[int]] = self._loop.create_future()
        self._gathering.add(Pending(writes, answer, freeing))
        return await answer

    async def watch(self, after: int) -> AsyncIterator[list[Change]]:
        """Every change above `after`, in batches, for ever. Raises Compacted."""
        with self._feed.reader() as reader:
            backlog = await self._run(lambda: self._changes(after))
            if backlog:
                yield backlog
            seen = backlog[-1].revision if backlog else after
            while True:
                # What was written while the backlog was read is in both.
                batch = await reader.get()
                if batch[-1].revision > seen:
                    yield [change for change in batch if change.revision > seen]

    async def close(self) -> None:
        """Finish what waits, fold the write-ahead log into the file, close it."""
        if (thread := self._thread) is None:
            return
        self._thread = None
        for group in self._gathering.rest():
            self._jobs.put(group)
        self._jobs.put(None)
        await asyncio.to_thread(thread.join)

    async def _run(self, job: Callable[[], T]) -> T:
        """Run `job` on the writer thread."""
        if self._thread is None:
            raise StoreFailed("the store is closed")
        answer: asyncio.Future[T] = self._loop.create_future()

        def run() -> None:
            try:
                result = job()
            except Exception as error:
                # By another name: `error` is unbound when this block ends.
                failure = StoreFailed(str(error)) if isinstance(error, sqlite3.Error) else error
                self._loop.call_soon_threadsafe(fail, answer, failure)
            else:
                self._loop.call_soon_threadsafe(succeed, answer, result)

        self._jobs.put(run)
        return await answer

    # From here on: the writer thread (and `open`, before it runs).

    def _connect(self) -> None:
        self._connection = open_database(self._path)
        self._revision, self._compacted = self._connection.execute(
            "SELECT revision, compacted FROM state"
        ).fetchone()
        self._history.extend(size for (size,) in self._connection.execute(_REPLACED, (self._compacted,)))
        try:
            self._full = not self._reserve.hold()
        except OSError as error:
            raise StoreFailed(f"{self._path}: {error}") from error

    def _serve(self) -> None:
        while (job := self._jobs.get()) is not None:
            if isinstance(job, list):
                self._commit(job)
            else:
                job()
        self._connection.close()

    def _commit(self, group: list[Pending]) -> None:
        """Write a group in one SQLite transaction and answer all of it on the event loop.

        A group that finds the disk full is tried once more when there is no history left in the file: all of
        it if that was enough, else those transactions that free room.
        """
        answers: list[Answer] = []
        if self._full and not self._recovered():
            group, answers = self._only_freeing(group)
        changes: list[Change] = []
        try:
            changes, made = self._attempt(group)
        except sqlite3.Error as error:
            made = self._failed(group, error)
            if not self._full and self._is_full(error):
                self._give_up_reserve()
                if not self._recovered():
                    group, answers = self._only_freeing(group)
                try:
                    changes, made = self._attempt(group)
                except sqlite3.Error as another:
                    made = self._failed(group, another)
        self._loop.call_soon_threadsafe(self._deliver, changes, answers + made)
        if self._full and changes:
            self._shrink()

    def _failed(self, group: list[Pending], error: sqlite3.Error) -> list[Answer]:
        _log.error("%d writes failed: %s", len(group), error)
        kind = StoreFull if self._is_full(error) else StoreFailed
        failure = kind(f"the database can't be written: {error}")
        return [(pending.answer, failure) for pending in group]

    def _attempt(self, group: list[Pending]) -> tuple[list[Change], list[Answer]]:
        """One SQLite transaction. Raises sqlite3.Error, having undone it."""
        changes: list[Change] = []
        replaced: list[int] = []  # bytes, by each of the changes
        if not group:
            return changes, []
        execute = self._connection.execute
        try:
            execute("BEGIN IMMEDIATE")
            answers: list[Answer] = [
                (each.answer, self._write(each.writes, changes, replaced)) for each in group
            ]
            revision = self._revision + len(changes)
            compacted = self._compacted
            if surplus := self._history.surplus(replaced):
                compacted = self._compact(compacted + surplus)
            execute("UPDATE state SET revision = ?, compacted = ?", (revision, compacted))
            execute("COMMIT")
        except sqlite3.Error:
            self._undo()
            raise
        self._history.extend(replaced)
        self._history.forget(compacted - self._compacted)
        self._revision, self._compacted = revision, compacted
        return changes, answers

    def _only_freeing(self, group: list[Pending]) -> tuple[list[Pending], list[Answer]]:
        """Those that free room, and the answers to the others."""
        failure = StoreFull(self._why_full())
        refused: list[Answer] = [(each.answer, failure) for each in group if not each.freeing]
        return [each for each in group if each.freeing], refused

    def _is_full(self, error: sqlite3.Error) -> bool:
        # Where blocks are allocated late, it is the fsync that finds none.
        full = error.sqlite_errorcode == sqlite3.SQLITE_FULL
        return full or (
            error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_IOERR and self._reserve.free() < _PAGE
        )

    def _give_up_reserve(self) -> None:
        self._full = True
        try:
            self._reserve.release()
        except OSError as error:
            _log.error("the reserve can't be given up: %s", error)
        _log.error("%s", self._why_full())
        self._shrink()

    def _recovered(self) -> bool:
        """Whether the reserve is held again, with room beside it for what the log needs."""
        try:
            held = self._reserve.hold(2 * _GROUP_BYTES)
        except OSError as error:
            _log.error("the reserve: %s", error)
            return False
        if held:
            self._full = False
            _log.warning("there is room on the disk again")
        return held

    def _why_full(self) -> str:
        free, size = self._reserve.free() >> 20, self._reserve.size >> 20
        return (
            f"the disk of the database is full ({free} MiB are left of the {size} that are held back):"
            " until there is room, only deletions are written"
        )

    def _shrink(self) -> None:
        """Forget all history and give back what the file doesn't need, in steps that need little room."""
        execute = self._connection.execute
        try:
            # What is in the log only may make the file grow: that comes first, or the log grows for ever.
            execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            while self._compacted < self._revision:
                oldest = min(self._compacted + _SHRINK_STEP, self._revision)
                execute("BEGIN IMMEDIATE")
                execute("UPDATE state SET compacted = ?", (self._compact(oldest),))
                execute("COMMIT")
                self._history.forget(oldest - self._compacted)
                self._compacted = oldest
                execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            while execute("PRAGMA freelist_count").fetchone()[0]:
                # `execute` would do a single page: the statement has no rows to fetch.
                self._connection.executescript(f"PRAGMA incremental_vacuum({_VACUUM_PAGES})")
                execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        except sqlite3.Error as error:
            _log.error("the history stays: %s", error)
            self._undo()

    def _check(self) -> str:
        if self._full and not self._recovered():
            return self._why_full()
        try:
            self._connection.execute("UPDATE state SET revision = revision")
        except sqlite3.Error as error:
            self._undo()
            if self._is_full(error):
                self._give_up_reserve()
                return self._why_full()
            return f"the database can't be written: {error}"
        return ""

    def _write(
        self, writes: Sequence[Write], changes: list[Change], replaced: list[int]
    ) -> list[int] | RevisionConflict:
        """Append one transaction's rows, or none of them if a condition doesn't hold."""
        start = len(changes)
        for write in writes:
            row = self._connection.execute(_LATEST, write.key).fetchone()
            actual = row[0] if row is not None and row[1] is not None else 0
            if actual != write.expected or (write.value is None and not actual):
                if len(changes) > start:
                    first = changes[start].revision
                    self._connection.execute("DELETE FROM log WHERE revision >= ?", (first,))
                    del changes[start:], replaced[start:]
                return RevisionConflict(write.key, actual)
            revision = self._revision + len(changes) + 1
            self._connection.execute(
                _INSERT, (revision, row[0] if row is not None else 0, *write.key, write.value)
            )
            changes.append(Change(revision, write.key, write.value))
            replaced.append(row[1] or 0 if row is not None else 0)
        return [change.revision for change in changes[start:]]

    def _compact(self, oldest: int) -> int:
        """Delete the rows that nobody can ask for any more; the answer is the new oldest revision.

        Work in proportion to the writes: a row knows which one it replaced.
        """
        self._connection.execute(
            "DELETE FROM log WHERE revision IN"
            " (SELECT previous FROM log WHERE revision > ? AND revision <= ?)",
            (self._compacted, oldest),
        )
        self._connection.execute(
            "DELETE FROM log WHERE revision > ? AND revision <= ? AND value IS NULL",
            (self._compacted, oldest),
        )
        return oldest

    def _undo(self) -> None:
        """Roll the failed transaction back, and make sure that it left nothing behind.

        A COMMIT whose fsync failed may or may not be on the disk. If the file disagrees with what this
        process believes, only reading everything again helps: the process ends, and starts anew.
        """
        try:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            (revision,) = self._connection.execute("SELECT revision FROM state").fetchone()
        except sqlite3.Error as error:
            self._loop.call_soon_threadsafe(_abort, f"can't be read after a failed write: {error}")
        else:
            if revision != self._revision:
                self._loop.call_soon_threadsafe(_abort, "kept a write that failed")

    def _deliver(self, changes: list[Change], answers: list[Answer]) -> None:
        """On the event loop: watchers first, so that a writer finds its own write in the cache."""
        self._gathering.done()
        if changes:
            self._feed.publish(changes)
        for answer, result in answers:
            if isinstance(result, Exception):
                fail(answer, result)
            else:
                succeed(answer, result)

    def _snapshot(self, revision: int | None) -> Snapshot:
        if revision is None:
            revision = self._revision
        if revision < self._compacted:
            raise Compacted
        return Snapshot(revision, records_at(self._connection, revision))

    def _back_up(self) -> Path:
        path = self._path.with_name(f"{self._path.name}-backup")
        unfinished = path.with_name(f"{path.name}-unfinished")
        try:
            unfinished.unlink(missing_ok=True)
            # As secret as the file itself; SQLite takes one that is empty.
            descriptor = os.open(unfinished, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            try:
                self._connection.execute("VACUUM INTO ?", (str(unfinished),))
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
            unfinished.replace(path)
        except (OSError, sqlite3.Error) as error:
            unfinished.unlink(missing_ok=True)  # the disk may be full of it
            raise StoreFailed(f"{path}: {error}") from error
        return path

    def _changes(self, after: int) -> list[Change]:
        if after < self._compacted:
            raise Compacted
        return changes_after(self._connection, after)


def _abort(reason: str) -> None:
    """End the process: what it believes and what is on the disk may differ."""
    _log.critical("the database %s", reason)
    raise SystemExit(f"the database {reason}")
