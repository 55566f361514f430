"""A claim that a pod uses, and a volume that is bound, stay until that is over, though they were deleted.

Upstream: pkg/controller/volume/{pvcprotection,pvprotection}.
"""

from __future__ import annotations

from wellhead.api.meta import Key, Obj, is_deleting, key
from wellhead.api.names import CLAIM_FINALIZER, VOLUME_FINALIZER
from wellhead.api.resources import PERSISTENTVOLUMECLAIMS, PERSISTENTVOLUMES, PODS
from wellhead.api.storage import claim_names
from wellhead.client.reconciler import Reconciler
from wellhead.controllers.store import Store, Stores
from wellhead.health import Check


class ClaimProtectionController:
    """Reconciles claims by name."""

    name = "pvc-protection"

    def __init__(self, stores: Stores) -> None:
        self._stores = stores
        self._claims: Store[Obj] = stores[PERSISTENTVOLUMECLAIMS]
        self._pods: Store[Obj] = stores[PODS]
        self._reconciler = Reconciler(self.name, self.reconcile)
        self._claims.on_change(self._claim_changed)
        self._pods.on_change(self._pod_changed)

    async def run(self) -> None:
        await self._stores.synced(PERSISTENTVOLUMECLAIMS, PODS)
        await self._reconciler.run()

    def checks(self) -> list[Check]:
        return self._reconciler.checks()

    def _claim_changed(self, old: Obj | None, new: Obj | None) -> None:
        if new is not None:
            self._reconciler.enqueue(key(new))

    def _pod_changed(self, old: Obj | None, new: Obj | None) -> None:
        if old is not None and (new is None or _is_over(new)):
            for name, _ in claim_names(old):
                self._reconciler.enqueue((old["metadata"]["namespace"], name))

    async def reconcile(self, name: Key) -> float | None:
        """See to one of them."""
        claim = self._claims.get(name[1], name[0])
        if claim is None:
            return None
        finalizers = claim["metadata"].get("finalizers") or []
        if not is_deleting(claim):
            if CLAIM_FINALIZER not in finalizers:  # made while nobody admitted it so
                metadata = {**claim["metadata"], "finalizers": [*finalizers, CLAIM_FINALIZER]}
                await self._claims.update({**claim, "metadata": metadata})
        elif CLAIM_FINALIZER in finalizers and not self._is_used(name):
            await self._claims.drop_finalizer(claim, CLAIM_FINALIZER)
        return None

    def _is_used(self, name: Key) -> bool:
        """By a pod that has a node and may have it mounted."""
        pods = self._pods.by_index("claim", name)
        return any(pod["spec"].get("nodeName") and not _is_over(pod) for pod in pods)


def _is_over(pod: Obj) -> bool:
    return (pod.get("status") or {}).get("phase") in ("Succeeded", "Failed")


class VolumeProtectionController:
    """Reconciles volumes by name."""

    name = "pv-protection"

    def __init__(self, stores: Stores) -> None:
        self._stores = stores
        self._volumes: Store[Obj] = stores[PERSISTENTVOLUMES]
        self._reconciler = Reconciler(self.name, self.reconcile)
        self._volumes.on_change(self._volume_changed)

    async def run(self) -> None:
        await self._stores.synced(PERSISTENTVOLUMES)
        await self._reconciler.run()

    def checks(self) -> list[Check]:
        return self._reconciler.checks()

    def _volume_changed(self, old: Obj | None, new: Obj | None) -> None:
        if new is not None:
            self._reconciler.enqueue(new["metadata"]["name"])

    async def reconcile(self, name: str) -> float | None:
        """See to one of them."""
        volume = self._volumes.get(name)
        if volume is None:
            return None
        finalizers = volume["metadata"].get("finalizers") or []
        if not is_deleting(volume):
            if VOLUME_FINALIZER not in finalizers:
                metadata = {**volume["metadata"], "finalizers": [*finalizers, VOLUME_FINALIZER]}
                await self._volumes.update({**volume, "metadata": metadata})
        elif VOLUME_FINALIZER in finalizers and (volume.get("status") or {}).get("phase") != "Bound":
            await self._volumes.drop_finalizer(volume, VOLUME_FINALIZER)
        return None
