"""Deletes what no live object owns any more.

The graph comes from watches, so it is a hint: before anything is deleted or a finalizer removed, the server
is asked for the object and for each owner that the graph doesn't know. Events are left out: they own nothing,
and are owned by nobody.
"""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterable
from functools import partial

from wellhead.api.errors import Conflict, NotFound
from wellhead.api.meta import Obj, owner_references
from wellhead.api.resource import Resource
from wellhead.api.resources import by_kind
from wellhead.client.reconciler import Reconciler
from wellhead.client.rest import Client
from wellhead.controllers.custom import CustomObjects
from wellhead.controllers.garbage.graph import FOREGROUND, ORPHAN, Graph, Node, Owner, node_of
from wellhead.controllers.garbage.verdict import (
    Delete,
    Keep,
    OwnerState,
    Propagation,
    Unblock,
    Unlink,
    blocking,
    verdict,
)
from wellhead.controllers.store import Stores
from wellhead.health import Check

_log = logging.getLogger(__name__)

_WORKERS = 8
_REMEMBERED_ABSENT = 500


class GarbageCollector:
    """Reconciles objects by uid."""

    name = "garbage-collector"

    def __init__(self, client: Client, stores: Stores, custom: CustomObjects) -> None:
        self._client = client
        self._stores = stores
        self._custom = custom
        self._graph = Graph()
        self._absent: OrderedDict[str, None] = OrderedDict()
        """uids that the server didn't know: they never come back."""
        self._reconciler = Reconciler(self.name, self._reconcile, workers=_WORKERS)
        for store in stores.all():
            store.on_change(partial(self._changed, store.resource))
        custom.on_change(self._changed)

    async def run(self) -> None:
        await self._stores.synced()
        await self._reconciler.run()

    def checks(self) -> list[Check]:
        return self._reconciler.checks()

    def _changed(self, resource: Resource, old: Obj | None, new: Obj | None) -> None:
        affected: Iterable[str] = ()
        if new is not None:
            affected = self._graph.put(node_of(resource, new))
        elif old is not None:
            uid = old["metadata"]["uid"]
            self._remember_absent(uid)
            affected = self._graph.remove(uid)
        for uid in affected:
            self._reconciler.enqueue(uid)

    async def _reconcile(self, uid: str) -> float | None:
        node = self._graph.get(uid)
        if node is None:
            return None
        if node.orphans_dependents:
            await self._orphan_dependents(node)
        elif node.deletes_dependents:
            await self._wait_for_dependents(node)
        elif node.owners and not node.deleting:
            await self._judge(node)
        return None

    async def _judge(self, node: Node) -> None:
        known = [self._graph.get(owner.uid) for owner in node.owners]
        if all(owner is not None and not owner.deletes_dependents for owner in known):
            return  # as after a start, when objects came before their owners
        obj = await self._live(node)
        if obj is None:
            return
        node = node_of(node.resource, obj)
        owners = {owner.uid: await self._state(node, owner) for owner in node.owners}
        match verdict(node, owners, self._graph.dependents(node.uid)):
            case Keep():
                return
            case Unlink(uids):
                await self._unlink(node, obj, uids)
            case Delete(propagation):
                _log.info(
                    "deleting %s %s/%s: no owner lives", node.resource.plural, node.namespace, node.name
                )
                await self._delete(node, obj, propagation)
            case Unblock():
                references = [{**ref, "blockOwnerDeletion": False} for ref in owner_references(obj)]
                obj = await self._patch(node, obj, {"ownerReferences": references})
                await self._delete(node, obj, "Foreground")

    async def _state(self, node: Node, owner: Owner) -> OwnerState:
        known = self._graph.get(owner.uid)
        if known is None:
            if owner.uid in self._absent:
                return OwnerState.ABSENT
            resource = by_kind(owner.api_version, owner.kind) or self._custom.by_kind(
                owner.api_version, owner.kind
            )
            if resource is None or (resource.namespaced and not node.namespace):
                return OwnerState.LIVES  # nothing can be known about it, so nothing is deleted for it
            try:
                obj = await self._client.get(
                    resource, owner.name, node.namespace if resource.namespaced else None
                )
            except NotFound:
                self._remember_absent(owner.uid)
                return OwnerState.ABSENT
            if obj["metadata"]["uid"] != owner.uid:
                self._remember_absent(owner.uid)
                return OwnerState.ABSENT
            known = node_of(resource, obj)
        if known.namespace and known.namespace != node.namespace:
            # An owner in another namespace is no owner. The uid is taken; the reference is wrong.
            reference = f"{owner.kind} {owner.name}, uid {owner.uid}"
            _log.warning("%s/%s: its owner is in another namespace: %s", node.namespace, node.name, reference)
            return OwnerState.ABSENT
        return OwnerState.WAITS if known.deletes_dependents else OwnerState.LIVES

    async def _wait_for_dependents(self, node: Node) -> None:
        holding = blocking(node, self._graph.dependents(node.uid))
        for dependent in holding:
            if not dependent.deleting:
                self._reconciler.enqueue(dependent.uid)
        if not holding:
            await self._remove_finalizer(node, FOREGROUND)

    async def _orphan_dependents(self, node: Node) -> None:
        async with asyncio.TaskGroup() as group:
            for dependent in self._graph.dependents(node.uid):
                group.create_task(self._orphan(dependent, node.uid))
        await self._remove_finalizer(node, ORPHAN)

    async def _orphan(self, dependent: Node, owner: str) -> None:
        async def attempt() -> None:
            obj = await self._live(dependent)
            if obj is not None:
                await self._unlink(dependent, obj, frozenset({owner}))

        await _until_no_conflict(attempt)

    async def _remove_finalizer(self, node: Node, finalizer: str) -> None:
        obj = await self._live(node)
        if obj is None:
            return
        finalizers = obj["metadata"].get("finalizers") or []
        if finalizer in finalizers:
            await self._patch(node, obj, {"finalizers": [each for each in finalizers if each != finalizer]})

    async def _unlink(self, node: Node, obj: Obj, owners: frozenset[str]) -> None:
        references = owner_references(obj)
        kept = [ref for ref in references if ref["uid"] not in owners]
        if len(kept) < len(references):
            await self._patch(node, obj, {"ownerReferences": kept})

    async def _patch(self, node: Node, obj: Obj, metadata: Obj) -> Obj:
        """Change metadata of exactly the object that was looked at. Raises Conflict."""
        seen = {name: obj["metadata"][name] for name in ("uid", "resourceVersion")}
        return await self._client.patch(
            node.resource, node.name, {"metadata": metadata | seen}, node.namespace or None
        )

    async def _delete(self, node: Node, obj: Obj, propagation: Propagation) -> None:
        await self._client.delete(
            node.resource,
            node.name,
            node.namespace or None,
            propagation=propagation,
            uid=node.uid,
            # If its owners change meanwhile, the verdict may be another.
            resource_version=obj["metadata"]["resourceVersion"],
        )

    async def _live(self, node: Node) -> Obj | None:
        """The object as the server has it; None if it is gone (another one may have its name)."""
        try:
            obj = await self._client.get(node.resource, node.name, node.namespace or None)
        except NotFound:
            return None
        return obj if obj["metadata"]["uid"] == node.uid else None

    def _remember_absent(self, uid: str) -> None:
        self._absent[uid] = None
        while len(self._absent) > _REMEMBERED_ABSENT:
            self._absent.popitem(last=False)


async def _until_no_conflict(attempt: Callable[[], Awaitable[None]]) -> None:
    """Try five times: the others that write to the object take turns."""
    for _ in range(4):
        try:
            return await attempt()
        except Conflict:
            continue
    return await attempt()
