"""A cluster in memory for a controller that is driven by hand, and that may be killed at any write.

Objects go through the API's own rules, so what a controller writes is also held against them.
"""

from __future__ import annotations

import copy
from collections import defaultdict
from collections.abc import Hashable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from wellhead.api import writes
from wellhead.api.errors import AlreadyExists, Conflict, NotFound
from wellhead.api.meta import Key, Obj, format_time, key
from wellhead.api.resource import Resource
from wellhead.api.strategy import Context
from wellhead.client.informer import IndexFunction
from wellhead.controllers.indexes import INDEXES

START = datetime(2026, 1, 1, tzinfo=UTC)


class Killed(Exception):
    """The controller's process ended here."""


class World:
    """Objects of all kinds, a clock, and the writes after or before which the writer dies."""

    def __init__(self) -> None:
        self.now = START
        self.writes = 0
        self.deadly: dict[int, bool] = {}
        """Number of a write -> whether it still reaches the server."""
        self.events: list[tuple[str, str, str]] = []
        self._revision = 0
        self._stores: dict[Resource, FakeStore] = {}

    def __getitem__(self, resource: Resource) -> FakeStore:
        if resource not in self._stores:
            self._stores[resource] = FakeStore(self, resource, INDEXES.get(resource, {}))
        return self._stores[resource]

    async def synced(self, *resources: Resource) -> None:
        """They are."""

    def pass_time(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)

    def event(self, obj: Mapping[str, Any], type: str, reason: str, message: str) -> None:
        self.events.append((type, reason, message))

    def reasons(self) -> list[str]:
        return [reason for _, reason, _ in self.events]

    def revision(self) -> str:
        self._revision += 1
        return str(self._revision)


class FakeStore:
    """One resource, as a controller's `Store` gives it; and the server's side of it (`put`, `remove`)."""

    def __init__(self, world: World, resource: Resource, indexes: Mapping[str, IndexFunction[Any]]) -> None:
        self.resource = resource
        self._world = world
        self._indexes = indexes
        self.objects: dict[Key, Obj] = {}

    def on_change(self, handler: object) -> None:
        """Nobody is told: a test says when to look."""

    def get(self, name: str, namespace: str = "") -> Obj | None:
        return self.objects.get((namespace, name))

    def values(self) -> list[Obj]:
        return list(self.objects.values())

    def by_index(self, index: str, value: Hashable) -> list[Obj]:
        found: dict[Hashable, list[Obj]] = defaultdict(list)
        for obj in self.objects.values():
            for each in self._indexes[index](obj):
                found[each].append(obj)
        return found[value]

    async def live(self, name: str, namespace: str = "") -> Obj:
        return self._existing((namespace, name))

    async def create(self, obj: Obj) -> Obj:
        self._about_to_write()
        created = self.make(obj)
        self._written()
        return created

    async def update(self, obj: Obj, subresource: str = "") -> Obj:
        self._about_to_write()
        old = self._existing(key(obj))
        if obj["metadata"].get("resourceVersion") != old["metadata"]["resourceVersion"]:
            raise Conflict.of(self.resource, key(obj)[1])
        new = self.change(obj, subresource)
        self._written()
        return new

    async def drop_finalizer(self, obj: Obj, finalizer: str) -> Obj:
        self._about_to_write()
        old = self._existing(key(obj), obj["metadata"]["uid"])
        left = [name for name in old["metadata"].get("finalizers") or () if name != finalizer]
        answer = self.put({**old, "metadata": {**old["metadata"], "finalizers": left}})
        self._written()
        return answer

    async def delete(self, obj: Obj, **_: Any) -> None:
        self._about_to_write()
        self.remove(self._existing(key(obj), obj["metadata"]["uid"]))
        self._written()

    def make(self, obj: Obj) -> Obj:
        """Create it, without a controller that could die of it."""
        obj = copy.deepcopy(obj)
        context = Context(obj["metadata"].get("namespace", ""), format_time(self._world.now))
        created = writes.create(self.resource, writes.received(self.resource, obj, context), context)
        if key(created) in self.objects:
            raise AlreadyExists.of(self.resource, key(created)[1])
        return self.put(created)

    def change(self, obj: Obj, subresource: str = "") -> Obj:
        """Update it, likewise."""
        old = self._existing(key(obj))
        context = Context(obj["metadata"].get("namespace", ""), format_time(self._world.now))
        obj = copy.deepcopy(obj)
        if not subresource:
            obj = writes.received(self.resource, obj, context)
        return self.put(writes.update(self.resource, obj, old, context, subresource))

    def put(self, obj: Obj) -> Obj:
        """Store it as it is; it goes if nothing holds it."""
        obj = {**obj, "metadata": {**obj["metadata"], "resourceVersion": self._world.revision()}}
        metadata = obj["metadata"]
        held = metadata.get("finalizers") or metadata.get("deletionGracePeriodSeconds")
        if metadata.get("deletionTimestamp") and not held:
            self.objects.pop(key(obj), None)
        else:
            self.objects[key(obj)] = obj
        return obj

    def remove(self, obj: Obj) -> None:
        """Delete it: a pod that runs has its grace period."""
        grace = 30 if (obj.get("status") or {}).get("phase") == "Running" else 0
        deletion = {
            "deletionTimestamp": format_time(self._world.now + timedelta(seconds=grace)),
            "deletionGracePeriodSeconds": grace,
        }
        if not obj["metadata"].get("deletionTimestamp"):
            self.put({**obj, "metadata": {**obj["metadata"], **deletion}})

    def _existing(self, name: Key, uid: str = "") -> Obj:
        obj = self.objects.get(name)
        if obj is None:
            raise NotFound.of(self.resource, name[1])
        if uid and obj["metadata"]["uid"] != uid:
            raise Conflict.uid(self.resource, name[1], uid, obj["metadata"]["uid"])
        return obj

    def _about_to_write(self) -> None:
        self._world.writes += 1
        if self._world.deadly.get(self._world.writes) is False:
            raise Killed

    def _written(self) -> None:
        if self._world.deadly.get(self._world.writes) is True:
            raise Killed
