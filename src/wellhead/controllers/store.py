"""The cluster as the controllers read and write it: informers, with this process's own writes on top.

An informer learns of a write some milliseconds after the server has acknowledged it. A controller that looks
in between would do its work twice: create a second pod, scale down once more. So every write goes through a
`Store`, which answers with the written object until the informer has caught up with it. That takes the place
of upstream's expectations (pkg/controller/controller_utils.go), which count what must still be seen.
"""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, Literal, TypeVar

from wellhead.api.meta import AnyObj, Key, Obj, is_deleting, key, now
from wellhead.api.resource import Resource
from wellhead.api.selectors import LabelSelector
from wellhead.client.informer import Handler, IndexFunction, TypedInformer, as_it_is
from wellhead.client.rest import Client
from wellhead.health import Check, together

T = TypeVar("T", bound=AnyObj)

_log = logging.getLogger(__name__)

_FORGET_SECONDS = 30.0
"""A write that an informer in good health hasn't shown for so long was undone while its watch was broken."""


@dataclass(frozen=True)
class _Written(Generic[T]):
    obj: T
    deleted: bool


class Store(Generic[T]):
    """One resource: read from memory, written through the API, and never older than the own writes.

    Objects belong to everybody: never change one.
    """

    def __init__(
        self, client: Client, resource: Resource, indexes: Mapping[str, IndexFunction[T]] | None = None
    ) -> None:
        self.resource = resource
        self._client = client
        self._index_functions = dict(indexes or {})
        self._informer = TypedInformer[T](client, resource, as_it_is, indexes=self._index_functions)
        self._written: dict[Key, _Written[T]] = {}
        self._written_by: dict[str, dict[Hashable, set[Key]]] = {
            name: defaultdict(set) for name in self._index_functions
        }
        self._handlers: list[Handler[T]] = []
        self.echoes = False
        """Whether what handlers hear of is but a write of this process, just as the server answered it."""
        self._informer.on_change(self._seen)

    @property
    def lagging(self) -> bool:
        """Whether the copy may be behind the server by more than a moment."""
        return self._informer.lagging

    async def run(self) -> None:
        """Keep the copy current until cancelled."""
        await self._informer.run()

    async def synced(self) -> None:
        """Wait for the first complete list."""
        await self._informer.synced()

    def problem(self, now: float) -> str:
        """Since when there has been no watch, and why, if that is for too long."""
        return self._informer.problem(now)

    def on_change(self, handler: Handler[T]) -> None:
        """Call `handler(old, new)` for each change. Its exceptions are logged, and hurt nobody else."""
        self._handlers.append(handler)
        for obj in self._informer:
            _guarded(handler, None, obj)

    def get(self, name: str, namespace: str = "") -> T | None:
        written = self._written.get((namespace, name))
        return written.obj if written is not None else self._informer.get(name, namespace)

    def values(self) -> list[T]:
        if not self._written:
            return self._informer.values()
        objects = {key(obj): obj for obj in self._informer}
        return list((objects | {name: written.obj for name, written in self._written.items()}).values())

    def by_index(self, index: str, value: Hashable) -> list[T]:
        """The objects for which the index function gives `value`."""
        found = self._informer.by_index(index, value)
        if not self._written:
            return found
        objects = {name: obj for obj in found if (name := key(obj)) not in self._written}
        for name in self._written_by[index].get(value, ()):
            objects[name] = self._written[name].obj
        return list(objects.values())

    async def live(self, name: str, namespace: str = "") -> T:
        """The object as the server has it now. Raises NotFound."""
        live: Any = await self._client.get(self.resource, name, namespace or None)
        found: T = live
        return found

    async def create(self, obj: T) -> T:
        """Create the object; the answer is it as created. Raises AlreadyExists, Invalid, Forbidden."""
        return self._wrote(await self._client.create(self.resource, obj))

    async def update(self, obj: T, subresource: str = "") -> T:
        """Replace the object. Raises Conflict if it isn't made from the server's newest version."""
        return self._wrote(await self._client.update(self.resource, obj, subresource))

    async def put_condition(self, obj: T, condition: Obj, **status: str) -> T:
        """Set one status condition (and fields of the status) of exactly this object, whatever else changes.

        Unlike `update`, this can't collide with others who write the status, such as a pod's node agent.
        Raises NotFound, Conflict.
        """
        metadata = obj["metadata"]
        body = {"metadata": {"uid": metadata["uid"]}, "status": {**status, "conditions": [condition]}}
        patched = await self._client.patch(
            self.resource,
            metadata["name"],
            body,
            metadata.get("namespace"),
            kind="strategic",
            subresource="status",
        )
        return self._wrote(patched)

    async def drop_finalizer(self, obj: T, finalizer: str) -> T:
        """Take one finalizer from exactly this object, whatever else changes. Raises NotFound, Conflict."""
        metadata = obj["metadata"]
        change = {"uid": metadata["uid"], "$deleteFromPrimitiveList/finalizers": [finalizer]}
        patched = await self._client.patch(
            self.resource,
            metadata["name"],
            {"metadata": change},
            metadata.get("namespace"),
            kind="strategic",
        )
        answer: Any = patched
        if _is_gone(answer) and self._informer.get(*reversed(key(obj))) is None:
            gone: T = answer
            return gone  # what the watch has shown to be gone must not come back
        return self._wrote(answer)

    async def delete(
        self,
        obj: T,
        *,
        grace_period: int | None = None,
        propagation: Literal["Foreground", "Background", "Orphan"] = "Background",
    ) -> None:
        """Delete exactly this object (by uid), its dependents in the background unless said otherwise.

        Raises NotFound, Conflict.
        """
        metadata = obj["metadata"]
        await self._client.delete(
            self.resource,
            metadata["name"],
            metadata.get("namespace"),
            propagation=propagation,
            grace_period=grace_period,
            uid=metadata["uid"],
        )
        # Whether it is gone or only going, for everybody here it is an object that is being deleted.
        deletion = {"deletionTimestamp": metadata.get("deletionTimestamp") or now()}
        going: Any = {**obj, "metadata": {**metadata, **deletion}}
        self._remember(going, deleted=True)

    async def refresh(self, namespace: str, selector: LabelSelector) -> None:
        """Learn of all objects that match, as the server has them now. Raises ConnectionLost."""
        listed = await self._client.list(self.resource, namespace, label_selector=str(selector))
        for obj in listed.get("items") or []:
            self._wrote(obj)

    def learn(self, obj: T) -> None:
        """Take note of an object that was read from the server and that the informer may not have yet."""
        self._wrote(obj)

    def _wrote(self, answer: Any) -> T:
        obj: T = answer
        self._remember(obj, deleted=False)
        return obj

    def _remember(self, obj: T, *, deleted: bool) -> None:
        name = key(obj)
        current = self._informer.get(*reversed(name))
        if current is not None and _shows(current, _Written(obj, deleted)):
            return  # the watch was faster than the answer
        self._forget(name)
        written = self._written[name] = _Written(obj, deleted)
        for index, values_of in self._index_functions.items():
            for value in values_of(obj):
                self._written_by[index][value].add(name)
        asyncio.get_running_loop().call_later(_FORGET_SECONDS, self._expire, name, written)

    def _forget(self, name: Key) -> None:
        written = self._written.pop(name, None)
        if written is None:
            return
        for index, values_of in self._index_functions.items():
            entries = self._written_by[index]
            for value in values_of(written.obj):
                entries[value].discard(name)
                if not entries[value]:
                    del entries[value]

    def _expire(self, name: Key, written: _Written[T]) -> None:
        if self._written.get(name) is not written:
            return
        if self.lagging:
            asyncio.get_running_loop().call_later(_FORGET_SECONDS, self._expire, name, written)
            return
        self._forget(name)
        self._tell(written.obj, self._informer.get(*reversed(name)))

    def _seen(self, old: T | None, new: T | None) -> None:
        name = key(new or old or {})
        written = self._written.get(name)
        echoes = False
        if written is not None:
            if new is not None:
                if _shows(new, written):
                    self._forget(name)
                    echoes = not written.deleted and _version(new) == _version(written.obj)
            elif old is not None and old["metadata"].get("uid") == written.obj["metadata"].get("uid"):
                self._forget(name)
        self.echoes = echoes
        self._tell(old, new)
        self.echoes = False

    def _tell(self, old: T | None, new: T | None) -> None:
        for handler in self._handlers:
            _guarded(handler, old, new)


def _shows(seen: T, written: _Written[T]) -> bool:
    """Whether an object from the watch includes the write, or comes after it."""
    if seen["metadata"].get("uid") != written.obj["metadata"].get("uid"):
        return _version(seen) > _version(written.obj)
    if written.deleted:
        return is_deleting(seen)
    return _version(seen) >= _version(written.obj)


def _is_gone(obj: AnyObj) -> bool:
    """Whether nothing held it any more."""
    metadata = obj["metadata"]
    return is_deleting(obj) and not (metadata.get("finalizers") or metadata.get("deletionGracePeriodSeconds"))


def _version(obj: T) -> int:
    """resourceVersions of one resource are numbers that grow (KEP-5504)."""
    return int(obj["metadata"].get("resourceVersion") or 0)


def _guarded(handler: Handler[T], old: T | None, new: T | None) -> None:
    try:
        handler(old, new)
    except Exception:
        _log.exception("a handler failed on %s", key(new or old or {}))


class Stores:
    """A store per resource, each with one watch that all controllers share."""

    def __init__(
        self,
        client: Client,
        resources: Iterable[Resource],
        indexes: Mapping[Resource, Mapping[str, IndexFunction[Any]]],
    ) -> None:
        self._stores = {resource: Store(client, resource, indexes.get(resource)) for resource in resources}

    def __getitem__(self, resource: Resource) -> Store[Any]:
        return self._stores[resource]

    def all(self) -> list[Store[Any]]:
        return list(self._stores.values())

    def check(self) -> Check:
        """That all of them hear what changes."""
        return Check("watches", lambda now: together(each.problem(now) for each in self._stores.values()))

    async def synced(self, *resources: Resource) -> None:
        """Wait for the first complete list of each of them; of all without an argument."""
        for resource in resources or self._stores:
            await self._stores[resource].synced()

    async def run(self) -> None:
        """Keep all copies current until cancelled."""
        async with asyncio.TaskGroup() as group:
            for store in self._stores.values():
                group.create_task(store.run())
