"""The watch cache: everything that is stored, in memory, with the latest changes of each resource.

Every read and every watch is served from here; the store is read once, at the start. Objects are held as
their JSON, so that lists and watches join bytes; what selectors look at is held decoded beside it.
"""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Callable, Sequence
from itertools import islice

from wellhead.storage.encoding import with_revision, without_revision
from wellhead.storage.event_log import Budget, Event, EventLog, Item
from wellhead.storage.store import Change, Compacted, RevisionConflict, Store, StoreKey, Write
from wellhead.storage.watcher import Predicate, Watcher

# Bytes of changes that a resource remembers, and that all do together: for slow watches, those that resume,
# and lists that continue.
HISTORY = 16 * 1024 * 1024
HISTORIES = 2 * HISTORY

_SAMPLE = 4

HeadDecoder = Callable[[str, bytes], dict[str, object]]


class Collection:
    """All objects of one resource, by namespace and name."""

    def __init__(self, oldest: int, history: int = HISTORY, together: Budget | None = None) -> None:
        self._namespaces: dict[str, dict[str, Item]] = {}
        self._unsorted: set[str] = set()
        self._log = EventLog(oldest, history, together)
        self._watchers: set[Watcher] = set()
        self.cut_off = 0
        """How many watchers were too slow."""
        self._observers: list[Callable[[Event], None]] = []

    def begin(self, oldest: int) -> None:
        """What the first load brings is of this revision: of what was before it, nothing is known."""
        self._log.oldest = oldest

    def get(self, namespace: str, name: str) -> Item | None:
        """The object's current state."""
        return self._namespaces.get(namespace, {}).get(name)

    def items(self, namespace: str | None = None) -> list[Item]:
        """The objects of one namespace, or all, in the order of namespace and name."""
        if namespace is not None:
            return list(self._sorted(namespace).values())
        return [item for each in sorted(self._namespaces) for item in self._sorted(each).values()]

    def items_at(self, revision: int, namespace: str | None = None) -> list[Item]:
        """The same as it was at `revision`. Raises Compacted."""
        if revision < self.oldest:
            raise Compacted
        items = {(item.namespace, item.name): item for item in self.items(namespace)}
        for event in self._log.newest_after(revision):
            if namespace is not None and event.item.namespace != namespace:
                continue
            key = (event.item.namespace, event.item.name)
            if event.previous is None:
                del items[key]
            else:
                items[key] = event.previous
        return [items[key] for key in sorted(items)]

    def watch(self, namespace: str | None, matches: Predicate | None, after: int | None = None) -> Watcher:
        """A watcher that gets every change above revision `after` (default: from now on), also if that is
        still to come. Raises Compacted.

        It must be given back to `unwatch`.
        """
        if after is not None and after < self.oldest:
            raise Compacted
        place = self._log.end if after is None else self._log.place_after(after)
        watcher = Watcher(self._log, place, namespace, matches, after or 0)
        self._watchers.add(watcher)
        return watcher

    def unwatch(self, watcher: Watcher) -> None:
        """Forget the watcher."""
        self._watchers.discard(watcher)

    def close(self) -> None:
        """End all watches."""
        for watcher in self._watchers:
            watcher.close()

    @property
    def oldest(self) -> int:
        """The oldest revision that `items_at` and `watch` can start from."""
        return self._log.oldest

    @property
    def watchers(self) -> int:
        """How many there are."""
        return len(self._watchers)

    @property
    def size_of_one(self) -> int:
        """About how many bytes an object has: those of a few of some namespaces."""
        sizes = [
            len(item.data)
            for names in islice(self._namespaces.values(), _SAMPLE)
            for item in islice(names.values(), _SAMPLE)
        ]
        return sum(sizes) // len(sizes) if sizes else 0

    def __len__(self) -> int:
        return sum(map(len, self._namespaces.values()))

    def apply(self, event: Event) -> None:
        """Take a change in and pass it on."""
        item = event.item
        if event.type == "DELETED":
            names = self._namespaces[item.namespace]
            del names[item.name]
            if not names:
                del self._namespaces[item.namespace]
                self._unsorted.discard(item.namespace)
        else:
            self.put(item)
        self._log.append(event)
        for observer in self._observers:
            observer(event)
        for watcher in self._watchers:
            self.cut_off += watcher.notice(event)

    def observe(self, observer: Callable[[Event], None]) -> None:
        """Call `observer` with every change from now on, before any watcher hears of it."""
        self._observers.append(observer)

    def put(self, item: Item) -> None:
        """Hold the item, without telling anybody: for the first load."""
        names = self._namespaces.setdefault(item.namespace, {})
        if item.name not in names:
            self._unsorted.add(item.namespace)
        names[item.name] = item

    def _sorted(self, namespace: str) -> dict[str, Item]:
        names = self._namespaces.get(namespace, {})
        if namespace in self._unsorted:
            self._unsorted.discard(namespace)
            names = self._namespaces[namespace] = dict(sorted(names.items()))
        return names


class WatchCache:
    """The collections of all resources, kept current from a store, and the way to write to it."""

    def __init__(
        self, store: Store, head_of: HeadDecoder, history: int = HISTORY, histories: int = HISTORIES
    ) -> None:
        """`history` bytes of changes are kept of each resource, `histories` of all together."""
        self._store = store
        self._head_of = head_of
        self._history = history
        self._together = Budget(histories)
        self._collections: dict[str, Collection] = {}
        self._waiting: list[tuple[int, int, asyncio.Future[None]]] = []
        self._started = asyncio.Event()
        self._oldest = 0
        self.compacted = 0
        """No list is of a time before this revision."""
        self.revision = 0
        """The latest revision that is in the cache."""

    def __getitem__(self, resource: str) -> Collection:
        collection = self._collections.get(resource)
        if collection is None:
            collection = self._collections[resource] = Collection(self._oldest, self._history, self._together)
        return collection

    async def run(self) -> None:
        """Load the store, then follow it until cancelled.

        Raises:
            StoreFailed: the store can't be read.
            Compacted: this process couldn't keep up with itself; it has to start anew.
        """
        oldest, current = self._store.bounds
        snapshot = await self._store.snapshot(oldest)
        self._oldest = oldest
        for collection in self._collections.values():  # that somebody asked for before
            collection.begin(oldest)
        for record in snapshot.records:
            self[record.key.resource].put(self._item(record.key, record.value, record.revision))
        self._reach(oldest, current)
        async for changes in self._store.watch(oldest):
            for change in changes:
                self._apply(change)
            self._reach(changes[-1].revision, current)

    async def started(self) -> None:
        """Wait until everything that was stored at the start is here."""
        await self._started.wait()

    async def current(self) -> None:
        """Wait until everything is here that was acknowledged to anybody before this call.

        Raises:
            StoreFailed: the store, which others write to as well, doesn't answer.
        """
        if self._store.shared:
            await self.reach(await self._store.latest())

    @property
    def shared(self) -> bool:
        """Whether other processes write to the store, too."""
        return self._store.shared

    async def check(self) -> str:
        """Why writes would fail now; "" if they work."""
        return await self._store.check()

    async def transact(self, writes: Sequence[Write], *, freeing: bool = False) -> list[int]:
        """Make all these writes or none; when it returns they are durable, and visible here.

        Raises:
            RevisionConflict: a key is not at the expected revision.
            StoreFailed: nothing was written.
        """
        try:
            revisions = await self._store.transact(writes, freeing=freeing)
        except RevisionConflict:
            await self.current()  # who tries again shall see what was in the way
            raise
        await self.reach(revisions[-1])
        return revisions

    async def reach(self, revision: int) -> None:
        """Wait until everything up to this revision is here, which may be never."""
        if revision <= self.revision:
            return
        reached: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        entry = (revision, id(reached), reached)
        heapq.heappush(self._waiting, entry)
        try:
            await reached
        finally:
            if self.revision < revision:  # given up
                self._waiting.remove(entry)
                heapq.heapify(self._waiting)

    def compact(self, revision: int) -> None:
        """Let no list be of a time before this revision. Watches go on from wherever they can."""
        self.compacted = max(self.compacted, revision)

    def close(self) -> None:
        """End all watches."""
        for collection in self._collections.values():
            collection.close()

    def collections(self) -> list[tuple[str, Collection]]:
        """The resources of which something is or was stored or asked for."""
        return list(self._collections.items())

    def _reach(self, revision: int, current: int) -> None:
        self.revision = revision
        if revision >= current:
            self._started.set()
        while self._waiting and self._waiting[0][0] <= revision:
            waiter = heapq.heappop(self._waiting)[2]
            if not waiter.done():
                waiter.set_result(None)

    def _item(self, key: StoreKey, value: bytes, revision: int) -> Item:
        data = with_revision(value, revision)
        return Item(key.namespace, key.name, revision, data, self._head_of(key.resource, data))

    def _apply(self, change: Change) -> None:
        key = change.key
        collection = self[key.resource]
        previous = collection.get(key.namespace, key.name)
        if change.value is not None:
            item = self._item(key, change.value, change.revision)
            collection.apply(Event("MODIFIED" if previous is not None else "ADDED", item, previous))
        elif previous is not None:
            # A deleted object is shown in its last state, at the revision of its deletion.
            last = self._item(key, without_revision(previous.data), change.revision)
            collection.apply(Event("DELETED", last, previous))
