"""Custom objects as the controllers of all kinds see them: their metadata, whatever definitions there are.

A definition that is established is watched from then on, in one of its versions; one that goes
isn't any more.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from wellhead.api.meta import Obj, is_condition_true
from wellhead.api.resource import Resource
from wellhead.api.resources import CUSTOMRESOURCEDEFINITIONS
from wellhead.client.informer import TypedInformer
from wellhead.client.rest import Client
from wellhead.controllers.store import Stores
from wellhead.health import Check, together

Handler = Callable[[Resource, Obj | None, Obj | None], None]


@dataclass(frozen=True)
class _Followed:
    resource: Resource
    informer: TypedInformer[Obj]
    task: asyncio.Task[None]


class CustomObjects:
    """One watch for each definition, for all who look at every object."""

    name = "custom-objects"

    def __init__(self, client: Client, stores: Stores) -> None:
        self._client = client
        self._stores = stores
        self._definitions = stores[CUSTOMRESOURCEDEFINITIONS]
        self._followed: dict[str, _Followed] = {}
        self._kinds: dict[tuple[str, str], Resource] = {}
        self._handlers: list[Handler] = []
        self._changed = asyncio.Event()
        self._definitions.on_change(lambda old, new: self._changed.set())

    def on_change(self, handler: Handler) -> None:
        """Call `handler(resource, old, new)` for each change of an object. Call it before `run`."""
        self._handlers.append(handler)

    def resources(self) -> list[Resource]:
        """What is served now, each in one version."""
        return [each.resource for each in self._followed.values()]

    def by_kind(self, api_version: str, kind: str) -> Resource | None:
        """The resource whose objects carry this apiVersion and kind, if a definition serves it."""
        return self._kinds.get((api_version, kind))

    def checks(self) -> list[Check]:
        return [
            Check(
                "custom-watches",
                lambda now: together(each.informer.problem(now) for each in self._followed.values()),
            )
        ]

    async def run(self) -> None:
        """Until cancelled."""
        await self._stores.synced(CUSTOMRESOURCEDEFINITIONS)
        async with asyncio.TaskGroup() as tasks:
            while True:
                self._changed.clear()
                await self._follow(tasks)
                await self._changed.wait()

    async def _follow(self, tasks: asyncio.TaskGroup) -> None:
        """Begin and end watches, so that they are those of the definitions."""
        wanted: dict[str, Resource] = {}
        kinds: dict[tuple[str, str], Resource] = {}
        for definition in self._definitions.values():
            versions = resources_of(definition)
            if versions:
                wanted[definition["metadata"]["name"]] = versions[0]
            kinds |= {(each.api_version, each.kind): each for each in versions}
        self._kinds = kinds
        for name in [each for each, now in self._followed.items() if wanted.get(each) != now.resource]:
            await self._leave(self._followed.pop(name))
        for name, resource in wanted.items():
            if name not in self._followed:
                informer = TypedInformer[Obj](self._client, resource, _metadata)
                informer.on_change(partial(self._tell, resource))
                self._followed[name] = _Followed(resource, informer, tasks.create_task(informer.run()))

    async def _leave(self, followed: _Followed) -> None:
        followed.task.cancel()
        await asyncio.wait([followed.task])
        for obj in followed.informer.values():
            self._tell(followed.resource, obj, None)

    def _tell(self, resource: Resource, old: Obj | None, new: Obj | None) -> None:
        for handler in self._handlers:
            handler(resource, old, new)


def resources_of(definition: Obj) -> list[Resource]:
    """What a definition serves, its storage version first; nothing until it is established."""
    if not is_condition_true(definition, "Established"):
        return []
    spec = definition["spec"]
    names = (definition.get("status") or {}).get("acceptedNames") or spec["names"]
    served = [each for each in spec["versions"] if each.get("served")]
    return [
        Resource(
            spec["group"],
            version["name"],
            names.get("kind") or spec["names"]["kind"],
            spec["names"]["plural"],
            namespaced=spec["scope"] == "Namespaced",
        )
        for version in sorted(served, key=lambda each: not each.get("storage"))
    ]


def _metadata(obj: Obj) -> Obj:
    """All that is kept of an object."""
    metadata = {name: value for name, value in obj["metadata"].items() if name not in _NOT_KEPT}
    return {"apiVersion": obj["apiVersion"], "kind": obj["kind"], "metadata": metadata}


_NOT_KEPT = ("annotations", "labels", "managedFields")
