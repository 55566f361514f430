"""Namespaces that are being deleted: their contents first, pods before all else, then they themselves.

Source: upstream's pkg/controller/namespace/deletion, and KEP-5080 (ordered deletion).
"""

from __future__ import annotations

import asyncio
from collections import Counter

from wellhead.api.errors import ApiError, NotFound
from wellhead.api.meta import Key, Obj, is_deleting, key, now
from wellhead.api.resource import Resource
from wellhead.api.resources import NAMESPACES, PODS, RESOURCES
from wellhead.client.reconciler import Reconciler
from wellhead.client.rest import Client, ConnectionLost
from wellhead.controllers import conditions
from wellhead.controllers.custom import CustomObjects
from wellhead.controllers.store import Store, Stores
from wellhead.health import Check

_FINALIZER = "kubernetes"
_AT_ONCE = 16
_KINDS_AT_ONCE = 8
_LOOK_AGAIN_SECONDS = 5.0
"""For what no watch tells: events, and contents that came after they were counted."""

CONTENTS = tuple(
    resource
    for resource in sorted(RESOURCES, key=lambda resource: resource != PODS)
    if resource.namespaced and {"list", "delete"} <= set(resource.verbs) and not resource.stored_as
)
"""The resources to delete from a namespace, pods first; each stored kind once."""


class NamespaceController:
    """Reconciles namespaces, one at a time each."""

    name = "namespace"

    def __init__(self, client: Client, stores: Stores, custom: CustomObjects) -> None:
        self._client = client
        self._custom = custom
        self._stores = stores
        self._namespaces: Store[Obj] = stores[NAMESPACES]
        self._slots = asyncio.Semaphore(_AT_ONCE)
        self._reconciler = Reconciler(self.name, self._reconcile)
        self._namespaces.on_change(self._namespace_changed)
        for store in stores.all():
            if store.resource.namespaced:
                store.on_change(self._content_changed)
        custom.on_change(lambda resource, old, new: self._content_changed(old, new))

    async def run(self) -> None:
        await self._stores.synced(NAMESPACES)
        await self._reconciler.run()

    def checks(self) -> list[Check]:
        return self._reconciler.checks()

    def _namespace_changed(self, old: Obj | None, new: Obj | None) -> None:
        if new is not None and is_deleting(new):
            self._reconciler.enqueue(key(new))

    def _content_changed(self, old: Obj | None, new: Obj | None) -> None:
        """The last thing in a namespace may have gone (or a first one have come too late)."""
        if old is not None and new is not None:
            return
        name = (new or old or {})["metadata"].get("namespace") or ""
        namespace = self._namespaces.get(name)
        if namespace is not None and is_deleting(namespace):
            self._reconciler.enqueue(key(namespace))

    async def _reconcile(self, name: Key) -> float | None:
        namespace = self._namespaces.get(name[1])
        if namespace is None or not is_deleting(namespace):
            return None
        finalizers = (namespace.get("spec") or {}).get("finalizers") or []
        if _FINALIZER not in finalizers:
            return None
        left: list[Obj] = []
        failures: list[str] = []
        kinds = asyncio.Semaphore(_KINDS_AT_ONCE)

        async def empty(resource: Resource) -> None:
            async with kinds:
                try:
                    left.extend(await self._empty(resource, name[1]))
                except (ApiError, ConnectionLost) as error:
                    failures.append(f"{resource.plural}: {error}")

        await empty(PODS)
        if not left and not failures:  # whatever they still use stays until they have ended
            custom = [each for each in self._custom.resources() if each.namespaced]
            async with asyncio.TaskGroup() as group:
                for resource in (*CONTENTS, *custom):
                    if resource != PODS:
                        group.create_task(empty(resource))
        if left or failures:
            await self._say_what_is_left(namespace, left, failures)
            return _LOOK_AGAIN_SECONDS
        spec = {**namespace["spec"], "finalizers": [each for each in finalizers if each != _FINALIZER]}
        current = await self._namespaces.live(name[1])
        if current["metadata"]["uid"] == namespace["metadata"]["uid"]:
            await self._client.update(NAMESPACES, {**current, "spec": spec}, "finalize")
        return None

    async def _empty(self, resource: Resource, namespace: str) -> list[Obj]:
        """Delete all objects of a resource; the answer is those that remain for now."""
        listed = (await self._client.list(resource, namespace)).get("items") or []
        async with asyncio.TaskGroup() as group:
            for obj in listed:
                if not is_deleting(obj):
                    group.create_task(self._delete(resource, obj))
        if not listed:
            return []
        return (await self._client.list(resource, namespace)).get("items") or []

    async def _delete(self, resource: Resource, obj: Obj) -> None:
        metadata = obj["metadata"]
        async with self._slots:
            try:
                await self._client.delete(
                    resource,
                    metadata["name"],
                    metadata["namespace"],
                    propagation="Background",
                    uid=metadata["uid"],
                )
            except NotFound:
                return

    async def _say_what_is_left(self, namespace: Obj, left: list[Obj], failures: list[str]) -> None:
        status = namespace.get("status") or {}
        entries = list(status.get("conditions") or [])
        for entry in _conditions(left, failures):
            entries = conditions.put(entries, entry)
        if entries != status.get("conditions"):
            await self._namespaces.update(
                {**namespace, "status": {**status, "conditions": entries}}, "status"
            )


def _conditions(left: list[Obj], failures: list[str]) -> list[Obj]:
    kinds = Counter(f"{obj['kind']}.{obj['apiVersion']}" for obj in left)
    finalizers = Counter(each for obj in left for each in obj["metadata"].get("finalizers") or [])
    remaining = ", ".join(f"{kind} has {count} resource instances" for kind, count in sorted(kinds.items()))
    waiting = ", ".join(f"{each} in {count} resource instances" for each, count in sorted(finalizers.items()))
    return [
        _condition(
            "NamespaceDeletionContentFailure",
            bool(failures),
            ("ContentDeletionFailed", "Failed to delete all resource types, " + "; ".join(failures)),
            ("ContentDeleted", "All content successfully deleted, may be waiting on finalization"),
        ),
        _condition(
            "NamespaceContentRemaining",
            bool(left),
            ("SomeResourcesRemain", f"Some resources are remaining: {remaining}"),
            ("ContentRemoved", "All content successfully removed"),
        ),
        _condition(
            "NamespaceFinalizersRemaining",
            bool(finalizers),
            ("SomeFinalizersRemain", f"Some content in the namespace has finalizers remaining: {waiting}"),
            ("ContentHasNoFinalizers", "All content-preserving finalizers finished"),
        ),
    ]


def _condition(type: str, is_true: bool, if_true: tuple[str, str], if_false: tuple[str, str]) -> Obj:
    reason, message = if_true if is_true else if_false
    return {
        "type": type,
        "status": "True" if is_true else "False",
        "lastTransitionTime": now(),
        "reason": reason,
        "message": message,
    }
