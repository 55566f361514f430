"""Keeps the objects of flow control: those that must be there, and what schemas' statuses say.

Upstream: pkg/registry/flowcontrol/rest/storage_flowcontrol.go, apf_controller.go.
"""

from __future__ import annotations

import asyncio
import logging

from wellhead.api.errors import AlreadyExists, ApiError, Conflict, NotFound
from wellhead.api.flowcontrol.bootstrap import levels, revised, schemas
from wellhead.api.meta import Obj, condition, now
from wellhead.api.resource import Resource
from wellhead.api.resources import FLOWSCHEMAS, PRIORITYLEVELS
from wellhead.apiserver.names import Names
from wellhead.apiserver.registry.registry import Registry
from wellhead.storage.event_log import Event

_log = logging.getLogger(__name__)

_DANGLING = "Dangling"
_RETRY_SECONDS = 1.0


async def ensure_flow_control(registry: Registry) -> None:
    """The objects that are there from the start. Raises InternalError when they can't be stored."""
    # At once, so that they share commits.
    for resource, wanted in ((PRIORITYLEVELS, levels()), (FLOWSCHEMAS, schemas())):
        await asyncio.gather(*(_ensure(registry, resource, each) for each in wanted.values()))


async def _ensure(registry: Registry, resource: Resource, wanted: Obj) -> None:
    name = wanted["metadata"]["name"]
    found = registry.lookup(resource, ("", name))
    if found is None:
        # A copy: what is stored is filled in in place.
        copy = wanted | {"metadata": dict(wanted["metadata"]), "spec": dict(wanted["spec"])}
        try:
            await registry.create(resource, "", copy)
        except AlreadyExists:  # another server is starting, too
            return
    elif revised(found, wanted) != found:
        try:
            await registry.update(resource, "", name, lambda old: revised(old, wanted))
        except (Conflict, NotFound) as error:
            _log.info("%s %s: %s", resource.kind, name, error)


class FlowControlKeeper:
    """Looks at each schema and level that changes."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._names = Names()

    def start(self) -> None:
        """Follow the objects from now on."""
        for item in self._registry.collection(FLOWSCHEMAS).items(""):
            self._names.add(f"schema/{item.name}")
        self._registry.collection(FLOWSCHEMAS).observe(self._schema_changed)
        self._registry.collection(PRIORITYLEVELS).observe(self._level_changed)

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            entry = await self._names.next()
            kind, _, name = entry.partition("/")
            try:
                await (self._look_at_schema(name) if kind == "schema" else self._look_at_level(name))
            except ApiError as error:
                _log.warning("%s: %s", entry, error)
                asyncio.get_running_loop().call_later(_RETRY_SECONDS, self._names.add, entry)

    def _schema_changed(self, event: Event) -> None:
        self._names.add(f"schema/{event.item.name}")

    def _level_changed(self, event: Event) -> None:
        self._names.add(f"level/{event.item.name}")
        if event.type != "MODIFIED":
            for item in self._registry.collection(FLOWSCHEMAS).items(""):
                self._names.add(f"schema/{item.name}")

    async def _look_at_level(self, name: str) -> None:
        if (wanted := levels().get(name)) is not None:
            await _ensure(self._registry, PRIORITYLEVELS, wanted)

    async def _look_at_schema(self, name: str) -> None:
        if (wanted := schemas().get(name)) is not None:
            await _ensure(self._registry, FLOWSCHEMAS, wanted)
        found = self._registry.lookup(FLOWSCHEMAS, ("", name))
        if found is None:
            return
        level = found["spec"]["priorityLevelConfiguration"]["name"]
        is_there = self._registry.collection(PRIORITYLEVELS).get("", level) is not None
        said = dangling(level, is_there)
        if _same(condition(found, _DANGLING), said):
            return

        def change(current: Obj) -> None:
            if _same(condition(current, _DANGLING), said):
                return
            status = current.setdefault("status", {})
            others = [each for each in status.get("conditions") or () if each["type"] != _DANGLING]
            status["conditions"] = [*others, said | {"lastTransitionTime": now()}]

        try:
            await self._registry.modify(FLOWSCHEMAS, "", name, change)
        except NotFound:
            return


def dangling(level: str, is_there: bool) -> Obj:
    """The condition that says whether a schema's level is there."""
    about = f'This FlowSchema references the PriorityLevelConfiguration object named "{level}"'
    if is_there:
        return {"type": _DANGLING, "status": "False", "reason": "Found", "message": f"{about} and it exists"}
    message = f"{about} but there is no such object"
    return {"type": _DANGLING, "status": "True", "reason": "NotFound", "message": message}


def _same(found: Obj | None, said: Obj) -> bool:
    return found is not None and all(found.get(field) == value for field, value in said.items())
