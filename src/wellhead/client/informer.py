"""A local copy of one resource, kept current by list and watch.

Handlers see differences only: after a lost connection or a compaction the informer lists again, compares with
what it holds, and reports what changed. Nothing is listed in a steady state.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Hashable, Iterable, Iterator, Mapping
from sys import intern
from typing import Any, Generic, TypeVar

import msgspec

from wellhead.api.errors import ApiError, Gone
from wellhead.api.forms import Form, identity
from wellhead.api.meta import Key, Obj
from wellhead.api.resource import Resource
from wellhead.backoff import Backoff
from wellhead.client.collector import lasting, uncollected
from wellhead.client.rest import Client, ConnectionLost, Event
from wellhead.health import Check, Overdue, together

_log = logging.getLogger(__name__)

T = TypeVar("T")

WITHOUT_WATCH_SECONDS = 20.0
"""So long may the API server be away, as while it is started again, before that is a problem."""

Handler = Callable[[T | None, T | None], None]
IndexFunction = Callable[[T], Iterable[Hashable]]


class _Held(msgspec.Struct, Generic[T], frozen=True, gc=False):
    """An object as it is kept, and which version of which object it was made of."""

    version: str
    uid: str
    object: T


class TypedInformer(Generic[T]):
    """Objects of one resource (in one namespace, or matching selectors), by key and by index.

    What is kept of an object, indexed and handed out, is what `read` makes of it: a copy of a large cluster
    that holds what somebody needs is a fraction of one that holds everything. With a `form` it is given that,
    and a dict only where the object isn't of the form.

    The objects belong to everybody: never change one. A handler is called on the event loop for each change,
    with the old and the new object (no old one: added; no new one: deleted), after the copy has changed. It
    must not block, and an exception in it, or in `read`, is a defect: it ends `run`.
    """

    def __init__(
        self,
        client: Client,
        resource: Resource,
        read: Callable[[Any], T],
        *,
        form: type[Form] | None = None,
        namespace: str | None = None,
        label_selector: str = "",
        field_selector: str = "",
        indexes: Mapping[str, IndexFunction[T]] | None = None,
        managers: bool = False,
        lasting: bool = False,
    ) -> None:
        """`managers`: whether `read` is given metadata.managedFields.

        `lasting`: whether it is there as long as the process: the collector never looks at its first list.
        """
        self.resource = resource
        self.lagging = True
        """Whether the copy may be behind: before the first list, and while the connection is lost."""
        self._behind = Overdue(f"no watch of {resource.plural}", WITHOUT_WATCH_SECONDS)
        self._client = client
        self._read = read
        self._form = form
        self._namespace = namespace
        self._label_selector = label_selector
        self._field_selector = field_selector
        self._managers = managers
        self._lasting = lasting
        self._objects: dict[Key, _Held[T]] = {}
        self._index_functions = dict(indexes or {})
        self._indexes: dict[str, dict[Hashable, dict[Key, T]]] = {
            name: defaultdict(dict) for name in self._index_functions
        }
        self._handlers: list[Handler[T]] = []
        self._synced = asyncio.Event()
        self._resource_version = ""
        # Any server's cache will do for a first list. After a Gone it must be newer than what is held here,
        # which with several servers only the newest state is sure to be (as client-go's reflector does).
        self._list_version = "0"

    def on_change(self, handler: Handler[T]) -> None:
        """Call `handler(old, new)` for each change from now on, and for what is already here."""
        self._handlers.append(handler)
        for obj in self.values():
            handler(None, obj)

    def on_index(self, index: str, handler: Callable[[Any], None]) -> None:
        """Call `handler`, from now on, with each value of an index whose objects are others than before."""
        values_of = self._index_functions[index]

        def changed(old: T | None, new: T | None) -> None:
            values = (values_of(each) for each in (old, new) if each is not None)
            for value in dict.fromkeys(itertools.chain.from_iterable(values)):
                handler(value)

        self._handlers.append(changed)

    async def synced(self) -> None:
        """Wait for the first complete list."""
        await self._synced.wait()

    def get(self, name: str, namespace: str = "") -> T | None:
        """The object, or None."""
        held = self._objects.get((namespace, name))
        return held.object if held is not None else None

    def values(self) -> list[T]:
        """All objects, in no particular order."""
        return [each.object for each in self._objects.values()]

    def __iter__(self) -> Iterator[T]:
        return iter(self.values())

    def __len__(self) -> int:
        return len(self._objects)

    def by_index(self, index: str, value: Hashable) -> list[T]:
        """The objects for which the index function gave `value`."""
        return list(self._indexes[index].get(value, {}).values())

    async def run(self) -> None:
        """Keep the copy current until cancelled, through every loss of the server."""
        now = asyncio.get_running_loop().time
        backoff = Backoff(0.05, 5.0)
        self._behind.begin(now())
        while True:
            try:
                if not self._resource_version:
                    await self._list()
                    backoff.reset()
                opened = now()
                async for event in self._watch():
                    backoff.reset()
                    self._apply(event)
                # The server ended the watch, as it may at any time: go on from the same version. One that
                # ends every watch at once must not be asked in a tight loop.
                if now() - opened > 1:
                    continue
            except Gone:
                _log.info(
                    "%s: version %s is gone, listing again", self.resource.plural, self._resource_version
                )
                self._resource_version = self._list_version = ""
                self._behind.begin(now())
            except (ConnectionLost, ApiError) as error:
                # Going on from the same version is right as long as it is the same history. A server that
                # came back with another one (restored from a copy) must answer Gone.
                log = (
                    _log.debug
                    if isinstance(error, ConnectionLost) and not self._synced.is_set()
                    else _log.warning
                )
                log("%s: %s", self.resource.plural, error)
                self._behind.begin(now(), str(error))
            self.lagging = True
            await asyncio.sleep(backoff.next())

    def problem(self, now: float) -> str:
        """Since when there has been no watch, and why, if that is for too long."""
        return self._behind.problem(now)

    async def _list(self) -> None:
        listing = await self._client.listing(
            self.resource,
            self._namespace,
            label_selector=self._label_selector,
            field_selector=self._field_selector,
            resource_version=self._list_version,
            form=self._form,
        )
        items = listing.items
        with lasting() if self._lasting and not self._objects else uncollected():
            if self._objects:
                items = iter(listed := list(items))
                for gone in self._objects.keys() - {identity(obj)[0] for obj in listed}:
                    self._delete(gone)
            for obj in items:  # at the start one by one: the whole list never exists as objects
                self._put(obj)
        self._resource_version = listing.resource_version
        self.lagging = False
        self._synced.set()

    def _watch(self) -> AsyncIterator[Event]:
        return self._client.watch(
            self.resource,
            self._namespace,
            resource_version=self._resource_version,
            label_selector=self._label_selector,
            field_selector=self._field_selector,
            on_open=self._caught_up,
            form=self._form,
        )

    def _caught_up(self) -> None:
        self.lagging = False
        self._behind.end()

    def _apply(self, event: Event) -> None:
        if event.type == "BOOKMARK":
            self._resource_version = event.object["metadata"]["resourceVersion"]
            return
        name, self._resource_version, _ = identity(event.object)
        if event.type == "DELETED":
            self._delete(name)
        elif event.type in ("ADDED", "MODIFIED"):
            self._put(event.object)

    def _delete(self, name: Key) -> None:
        old = self._objects.pop(name, None)
        if old is not None:
            self._tell(name, old.object, None)

    def _put(self, obj: Any) -> None:
        name, version, uid = identity(obj)
        old = self._objects.get(name)
        if old is not None and old.version == version:
            return
        if not self._managers and isinstance(obj, dict):
            # Half of an object's size is who set what, which no component asks.
            obj["metadata"].pop("managedFields", None)
        new = self._read(obj)
        self._objects[(intern(name[0]), name[1])] = _Held(version, uid, new)
        if old is None:
            self._tell(name, None, new)
        elif old.uid == uid:
            self._tell(name, old.object, new)
        else:  # deleted and created again while nobody was watching: two changes
            self._reindex(name, old.object, new)
            for handler in self._handlers:
                handler(old.object, None)
            for handler in self._handlers:
                handler(None, new)

    def _tell(self, name: Key, before: T | None, after: T | None) -> None:
        if self._indexes:
            self._reindex(name, before, after)
        for handler in self._handlers:
            handler(before, after)

    def _reindex(self, name: Key, old: T | None, new: T | None) -> None:
        for index, values_of in self._index_functions.items():
            entries = self._indexes[index]
            if old is not None:
                for value in values_of(old):
                    entries[value].pop(name, None)
                    if not entries[value]:
                        del entries[value]
            if new is not None:
                for value in values_of(new):
                    entries[value][name] = new


def watches(*informers: TypedInformer[Any]) -> Check:
    """That each of these hears what changes."""
    return Check("watches", lambda now: together(each.problem(now) for each in informers))


def tolerant(read: Callable[[Any], T | None]) -> Callable[[Any], T | None]:
    """As `read`, but None for an object that it can't read: the others are to be served all the same."""

    def attempt(obj: Any) -> T | None:
        try:
            return read(obj)
        except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
            kind = obj.get("kind") if isinstance(obj, dict) else type(obj).__name__.removesuffix("Form")
            _log.error("%s %s/%s is ignored: it can't be read: %r", kind, *identity(obj)[0], error)
            return None

    return attempt


class Informer(TypedInformer[Obj]):
    """An informer that keeps objects as they are."""

    def __init__(
        self,
        client: Client,
        resource: Resource,
        *,
        namespace: str | None = None,
        label_selector: str = "",
        field_selector: str = "",
        indexes: Mapping[str, IndexFunction[Obj]] | None = None,
    ) -> None:
        super().__init__(
            client,
            resource,
            as_it_is,
            namespace=namespace,
            label_selector=label_selector,
            field_selector=field_selector,
            indexes=indexes,
        )


def as_it_is(obj: Obj) -> Any:
    """An object whole, as whichever typed view its reader takes it for."""
    return obj
