"""A local copy of one resource, kept current by list and watch.

Handlers see differences only: after a lost connection or a compaction the informer lists again, compares with
what it holds, and reports what changed. Nothing is listed in a steady state.
"""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Hashable, Iterable, Iterator, Mapping

from wellhead.api.errors import ApiError, Gone
from wellhead.api.meta import Key, Obj, key
from wellhead.api.resources import Resource
from wellhead.client.backoff import Backoff
from wellhead.client.rest import Client, ConnectionLost, Event

_log = logging.getLogger(__name__)

Handler = Callable[[Obj | None, Obj | None], None]
IndexFunction = Callable[[Obj], Iterable[Hashable]]


class Informer:
    """Objects of one resource (in one namespace, or matching selectors), by key and by index.

    The objects belong to everybody: never change one. A handler is called on the event loop for each change,
    with the old and the new object (no old one: added; no new one: deleted), after the copy has changed. It
    must not block, and an exception in it is a defect: it ends `run`.
    """

    def __init__(
        self,
        client: Client,
        resource: Resource,
        *,
        namespace: str | None = None,
        label_selector: str = "",
        field_selector: str = "",
        indexes: Mapping[str, IndexFunction] | None = None,
    ) -> None:
        self.resource = resource
        self.lagging = True
        """Whether the copy may be behind: before the first list, and while the connection is lost."""
        self._client = client
        self._namespace = namespace
        self._label_selector = label_selector
        self._field_selector = field_selector
        self._objects: dict[Key, Obj] = {}
        self._index_functions = dict(indexes or {})
        self._indexes: dict[str, dict[Hashable, dict[Key, Obj]]] = {
            name: defaultdict(dict) for name in self._index_functions
        }
        self._handlers: list[Handler] = []
        self._synced = asyncio.Event()
        self._resource_version = ""
        # Any server's cache will do for a first list. After a Gone it must be newer than what is held here,
        # which with several servers only the newest state is sure to be (as client-go's reflector does).
        self._list_version = "0"

    def on_change(self, handler: Handler) -> None:
        """Call `handler(old, new)` for each change from now on, and for what is already here."""
        self._handlers.append(handler)
        for obj in list(self._objects.values()):
            handler(None, obj)

    async def synced(self) -> None:
        """Wait for the first complete list."""
        await self._synced.wait()

    def get(self, name: str, namespace: str = "") -> Obj | None:
        """The object, or None."""
        return self._objects.get((namespace, name))

    def values(self) -> list[Obj]:
        """All objects, in no particular order."""
        return list(self._objects.values())

    def __iter__(self) -> Iterator[Obj]:
        return iter(self.values())

    def __len__(self) -> int:
        return len(self._objects)

    def by_index(self, index: str, value: Hashable) -> list[Obj]:
        """The objects for which the index function gave `value`."""
        return list(self._indexes[index].get(value, {}).values())

    async def run(self) -> None:
        """Keep the copy current until cancelled, through every loss of the server."""
        backoff = Backoff(0.05, 5.0)
        while True:
            try:
                if not self._resource_version:
                    await self._list()
                    backoff.reset()
                opened = asyncio.get_running_loop().time()
                async for event in self._watch():
                    backoff.reset()
                    self._apply(event)
                # The server ended the watch, as it may at any time: go on from the same version. One that
                # ends every watch at once must not be asked in a tight loop.
                if asyncio.get_running_loop().time() - opened > 1:
                    continue
            except Gone:
                _log.info(
                    "%s: version %s is gone, listing again", self.resource.plural, self._resource_version
                )
                self._resource_version = self._list_version = ""
            except (ConnectionLost, ApiError) as error:
                # Going on from the same version is right as long as it is the same history. A server that
                # came back with another one (restored from a copy) must answer Gone.
                log = (
                    _log.debug
                    if isinstance(error, ConnectionLost) and not self._synced.is_set()
                    else _log.warning
                )
                log("%s: %s", self.resource.plural, error)
            self.lagging = True
            await asyncio.sleep(backoff.next())

    async def _list(self) -> None:
        answer = await self._client.list(
            self.resource,
            self._namespace,
            label_selector=self._label_selector,
            field_selector=self._field_selector,
            resource_version=self._list_version,
        )
        listed = {key(obj): obj for obj in answer.get("items") or []}
        for gone in self._objects.keys() - listed.keys():
            self._change(gone, None)
        for name, obj in listed.items():
            self._change(name, obj)
        self._resource_version = answer["metadata"]["resourceVersion"]
        self._caught_up()
        self._synced.set()

    def _watch(self) -> AsyncIterator[Event]:
        return self._client.watch(
            self.resource,
            self._namespace,
            resource_version=self._resource_version,
            label_selector=self._label_selector,
            field_selector=self._field_selector,
            on_open=self._caught_up,
        )

    def _caught_up(self) -> None:
        self.lagging = False

    def _apply(self, event: Event) -> None:
        if event.type == "DELETED":
            self._change(key(event.object), None)
        elif event.type in ("ADDED", "MODIFIED"):
            self._change(key(event.object), event.object)
        self._resource_version = event.object["metadata"]["resourceVersion"]

    def _change(self, name: Key, new: Obj | None) -> None:
        old = self._objects.get(name)
        if new is None:
            if old is None:
                return
            del self._objects[name]
        else:
            if old is not None and _same_version(old, new):
                return
            self._objects[name] = new
        self._reindex(name, old, new)
        if old is not None and new is not None and old["metadata"].get("uid") != new["metadata"].get("uid"):
            # Deleted and created again while nobody was watching: two changes.
            for handler in self._handlers:
                handler(old, None)
            old = None
        for handler in self._handlers:
            handler(old, new)

    def _reindex(self, name: Key, old: Obj | None, new: Obj | None) -> None:
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


def _same_version(old: Obj, new: Obj) -> bool:
    return bool(old["metadata"]["resourceVersion"] == new["metadata"]["resourceVersion"])
