"""Keeps the status of each definition, and ends its objects before it ends itself.

Upstream: apiextensions' naming, establishing and finalizing controllers, which run in its API server, too.
"""

from __future__ import annotations

import asyncio
import logging
from functools import partial

from wellhead.api.custom.definition import read_definition
from wellhead.api.custom.strategy import CustomStrategy
from wellhead.api.errors import ApiError, NotFound
from wellhead.api.kinds.customresourcedefinition.names import (
    CLEANUP_FINALIZER,
    Taken,
    ending_status,
    settled_status,
)
from wellhead.api.meta import Obj, is_condition_true, is_deleting, now
from wellhead.api.resource import Resource
from wellhead.api.resources import CUSTOMRESOURCEDEFINITIONS
from wellhead.apiserver.custom.kinds import CustomKinds
from wellhead.apiserver.custom.rights import CustomRights
from wellhead.apiserver.names import Names
from wellhead.apiserver.registry.deletion import DeleteOptions
from wellhead.apiserver.registry.registry import Registry
from wellhead.storage.event_log import Event, Item

_log = logging.getLogger(__name__)

_RETRY_SECONDS = 1.0
_AT_ONCE = 16


class DefinitionKeeper:
    """Looks at each definition that changes, and at one that ends when its last object has gone."""

    def __init__(self, registry: Registry, kinds: CustomKinds) -> None:
        self._registry = registry
        self._kinds = kinds
        self._rights = CustomRights(registry)
        self._definitions = registry.collection(CUSTOMRESOURCEDEFINITIONS)
        self._names = Names()
        self._ending: dict[str, str] = {}
        """The definitions whose objects are being deleted, by the prefix of those."""

    def start(self) -> None:
        """Follow the definitions from now on."""
        for item in self._definitions.items(""):
            self._names.add(item.name)
        self._definitions.observe(self._changed)

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            name = await self._names.next()
            try:
                await self._look(name)
            except ApiError as error:
                _log.warning("%s: %s", name, error)
                asyncio.get_running_loop().call_later(_RETRY_SECONDS, self._names.add, name)

    def _changed(self, event: Event) -> None:
        self._names.add(event.item.name)

    def _object_gone(self, name: str, event: Event) -> None:
        if event.type == "DELETED" and name in self._ending.values():
            self._names.add(name)

    async def _look(self, name: str) -> None:
        item = self._definitions.get("", name)
        if item is None:
            plural, _, group = name.partition(".")
            await self._rights.exclude(group, plural)
            self._enqueue_group(name.partition(".")[2], name)  # whose names are free now
            return
        crd = self._registry.decoded(CUSTOMRESOURCEDEFINITIONS, item)
        if is_deleting(crd) and CLEANUP_FINALIZER in (crd["metadata"].get("finalizers") or ()):
            await self._end(crd, item)
            return
        await self._rights.include(crd["spec"]["group"], crd["spec"]["names"]["plural"])
        settle = partial(settled_status, crd, self._taken(crd), now())
        status = await self._registry.apart.run(len(item.data), settle)
        if status != crd.get("status"):
            await self._write_status(crd, status)
            self._enqueue_group(crd["spec"]["group"], name)

    def _taken(self, crd: Obj) -> Taken:
        accepted = []
        for item in self._definitions.items(""):
            if item.name != crd["metadata"]["name"] and item.name.endswith(f".{crd['spec']['group']}"):
                definition = read_definition(item.data)
                if definition.spec.group == crd["spec"]["group"]:
                    names = definition.status.accepted_names
                    accepted.append(
                        {
                            "plural": names.plural,
                            "singular": names.singular,
                            "kind": names.kind,
                            "listKind": names.list_kind,
                            "shortNames": names.short_names,
                        }
                    )
        return Taken.by(accepted)

    def _enqueue_group(self, group: str, but: str) -> None:
        """Those of a group that are still without their names."""
        for item in self._definitions.items(""):
            if item.name != but and item.name.endswith(f".{group}"):
                definition = read_definition(item.data)
                if any(
                    each.type == "NamesAccepted" and each.status != "True"
                    for each in definition.status.conditions
                ):
                    self._names.add(item.name)

    async def _write_status(self, crd: Obj, status: Obj, *, finished: bool = False) -> None:
        uid, version = crd["metadata"]["uid"], crd["metadata"]["resourceVersion"]

        def change(current: Obj) -> None:
            if current["metadata"]["uid"] != uid or current["metadata"]["resourceVersion"] != version:
                raise _Changed
            current["status"] = status
            if finished:
                left = [each for each in current["metadata"]["finalizers"] if each != CLEANUP_FINALIZER]
                current["metadata"]["finalizers"] = left

        try:
            await self._registry.modify(CUSTOMRESOURCEDEFINITIONS, "", crd["metadata"]["name"], change)
        except (_Changed, NotFound):
            return  # and its change, or its end, has brought it here again

    async def _end(self, crd: Obj, item: Item) -> None:
        definition = read_definition(item.data)
        prefix, name = definition.storage_prefix, crd["metadata"]["name"]
        if not is_condition_true(crd, "Established"):
            status = ending_status(crd, "False", "NeverEstablished", "resource was never established", now())
            await self._write_status(crd, status, finished=True)
            return
        objects = self._registry.cache[prefix]
        if len(objects) == 0:
            self._ending.pop(prefix, None)
            done = ("False", "InstanceDeletionCompleted", "removed all instances")
            await self._write_status(crd, ending_status(crd, *done, now()), finished=True)
            return
        if prefix not in self._ending:
            self._ending[prefix] = name
            objects.observe(partial(self._object_gone, name))
        progress = ("True", "InstanceDeletionInProgress", "CustomResource deletion is in progress")
        status = ending_status(crd, *progress, now())
        if status != crd.get("status"):
            await self._write_status(crd, status)
        await self._delete_objects(prefix)

    async def _delete_objects(self, prefix: str) -> None:
        resources = [each for each in self._kinds.all() if each.storage_prefix == prefix]
        if not resources:
            return
        # Those of the version that is stored need no conversion.
        resource = min(resources, key=lambda each: not _is_stored(each))
        slots = asyncio.Semaphore(_AT_ONCE)

        async def delete(item: Item) -> None:
            async with slots:
                try:
                    await self._registry.delete(resource, item.namespace, item.name, DeleteOptions())
                except NotFound:
                    return

        pending = [
            item
            for item in self._registry.cache[prefix].items()
            if not _metadata(item).get("deletionTimestamp")
        ]
        await asyncio.gather(*(delete(item) for item in pending))


def _is_stored(resource: Resource) -> bool:
    strategy = None if resource.custom is None else resource.custom.strategy
    return isinstance(strategy, CustomStrategy) and strategy.is_stored


def _metadata(item: Item) -> Obj:
    metadata = item.head["metadata"]
    assert isinstance(metadata, dict)
    return metadata


class _Changed(Exception):
    """The definition is not the one that was looked at any more."""
