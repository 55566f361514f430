"""Keeps each quota's status true: what it limits, and what is used.

Admission notes what new objects take; this sees what goes, and corrects.
Upstream: pkg/controller/resourcequota.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from datetime import UTC, datetime

from wellhead.api.meta import Key, Obj, key
from wellhead.api.quota.usage import is_live, is_measured, usage
from wellhead.api.resource import Resource
from wellhead.api.resources import PODS, RESOURCEQUOTAS
from wellhead.client.reconciler import Reconciler
from wellhead.controllers.custom import CustomObjects
from wellhead.controllers.resourcequota.counting import counted
from wellhead.controllers.store import Store, Stores
from wellhead.health import Check

_CORRECT_SECONDS = 60.0
"""Until limits in a status that aren't the quota's are put right."""
_LOOK_AGAIN_SECONDS = 2.0
"""After a correction: an object that was admitted, and not seen here yet, was left out of it."""


class ResourceQuotaController:
    """Reconciles quotas."""

    name = "resourcequota"

    def __init__(self, stores: Stores, custom: CustomObjects) -> None:
        self._quotas: Store[Obj] = stores[RESOURCEQUOTAS]
        self._stores = stores
        self._reconciler = Reconciler(self.name, self._reconcile)
        self._names: dict[str, set[str]] = defaultdict(set)
        """The quotas of each namespace."""
        self._numbers: dict[Resource, Counter[str]] = {}
        """How many objects of each resource are in each namespace."""
        self._measured: dict[Resource, Store[Obj]] = {}
        self._quotas.on_change(self._quota_changed)
        for store in stores.all():
            if store.resource.namespaced:
                self._follow(store.resource, store)
        custom.on_change(self._custom_changed)

    async def run(self) -> None:
        await self._stores.synced()
        await self._reconciler.run()

    def checks(self) -> list[Check]:
        return self._reconciler.checks()

    def _follow(self, resource: Resource, store: Store[Obj]) -> None:
        numbers = self._numbers[resource] = Counter()
        measured = is_measured(resource)
        if measured:
            self._measured[resource] = store

        def changed(old: Obj | None, new: Obj | None) -> None:
            namespace = (new or old or {})["metadata"]["namespace"]
            if old is None or new is None:
                numbers[namespace] += 1 if old is None else -1
                if not numbers[namespace]:
                    del numbers[namespace]
            if namespace not in self._names:
                return
            # What is new has been counted by admission, maybe before it is seen here.
            if new is None or (old is not None and measured and uses_otherwise(resource, new, old)):
                self._look_at(namespace)

        store.on_change(changed)

    def _custom_changed(self, resource: Resource, old: Obj | None, new: Obj | None) -> None:
        if not resource.namespaced or (old is not None and new is not None):
            return
        namespace = (new or old or {})["metadata"]["namespace"]
        numbers = self._numbers.setdefault(resource, Counter())
        numbers[namespace] += 1 if old is None else -1
        if new is None:
            self._look_at(namespace)

    def _quota_changed(self, old: Obj | None, new: Obj | None) -> None:
        namespace, name = key(new or old or {})
        if new is None:
            self._names[namespace].discard(name)
            if not self._names[namespace]:
                del self._names[namespace]
            return
        self._names[namespace].add(name)
        if old is None or old.get("spec") != new.get("spec"):
            self._reconciler.enqueue((namespace, name))
        elif _hard(new, "status") != _hard(new, "spec"):
            # Somebody else wrote that. Upstream sees it with its next resync, within five minutes.
            self._reconciler.enqueue_after((namespace, name), _CORRECT_SECONDS)

    def _look_at(self, namespace: str) -> None:
        for name in self._names.get(namespace, ()):
            self._reconciler.enqueue((namespace, name))

    async def _reconcile(self, name: Key) -> float | None:
        namespace = name[0]
        quota = self._quotas.get(name[1], namespace)
        if quota is None:
            return None
        numbers = {resource: number[namespace] for resource, number in self._numbers.items()}
        status = counted(quota, numbers, self._objects(namespace), datetime.now(UTC))
        if (quota.get("status") or {}) == status:
            return None
        await self._quotas.update({**quota, "status": status}, "status")
        return _LOOK_AGAIN_SECONDS

    def _objects(self, namespace: str) -> dict[Resource, Iterable[Obj]]:
        return {
            resource: store.by_index("namespace", namespace) for resource, store in self._measured.items()
        }


def _hard(quota: Obj, part: str) -> object:
    return (quota.get(part) or {}).get("hard") or {}


def uses_otherwise(resource: Resource, new: Obj, old: Obj) -> bool:
    """Whether a change may make an object use something else."""
    if resource != PODS:
        return any(new.get(part) != old.get(part) for part in ("spec", "status"))
    # Its node means nothing here. It comes when a pod is young: others, made with it, may not be seen yet.
    if {**new["spec"], "nodeName": ""} != {**old["spec"], "nodeName": ""}:
        return True
    now = datetime.now(UTC)
    return is_live(new, now) != is_live(old, now) or usage(PODS, new, now) != usage(PODS, old, now)
