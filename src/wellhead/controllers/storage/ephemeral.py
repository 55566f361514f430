"""Makes the claims of pods' `ephemeral` volumes, each owned by its pod.

Upstream: pkg/controller/volume/ephemeral.
"""

from __future__ import annotations

from wellhead.api.errors import AlreadyExists
from wellhead.api.meta import Key, Obj, is_controlled_by, is_deleting, key, owner_reference
from wellhead.api.resources import PERSISTENTVOLUMECLAIMS, PODS
from wellhead.client.events import EventRecorder
from wellhead.client.reconciler import Reconciler
from wellhead.controllers.store import Store, Stores
from wellhead.health import Check


class EphemeralVolumeController:
    """Reconciles pods by name."""

    name = "ephemeral-volume"

    def __init__(self, stores: Stores, recorder: EventRecorder) -> None:
        self._stores = stores
        self._recorder = recorder
        self._claims: Store[Obj] = stores[PERSISTENTVOLUMECLAIMS]
        self._pods: Store[Obj] = stores[PODS]
        self._reconciler = Reconciler(self.name, self.reconcile)
        self._pods.on_change(self._pod_changed)
        self._claims.on_change(self._claim_changed)

    async def run(self) -> None:
        await self._stores.synced(PERSISTENTVOLUMECLAIMS, PODS)
        await self._reconciler.run()

    def checks(self) -> list[Check]:
        return self._reconciler.checks()

    def _pod_changed(self, old: Obj | None, new: Obj | None) -> None:
        if new is not None and old is None and _templates(new):
            self._reconciler.enqueue(key(new))

    def _claim_changed(self, old: Obj | None, new: Obj | None) -> None:
        if old is not None and new is None:
            for pod in self._pods.by_index("claim", key(old)):
                if _templates(pod):
                    self._reconciler.enqueue(key(pod))

    async def reconcile(self, name: Key) -> float | None:
        """See to one of them."""
        pod = self._pods.get(name[1], name[0])
        if pod is None or is_deleting(pod):
            return None
        for volume, template in _templates(pod):
            await self._ensure(pod, f"{name[1]}-{volume}", template)
        return None

    async def _ensure(self, pod: Obj, name: str, template: Obj) -> None:
        namespace = pod["metadata"]["namespace"]
        found = self._claims.get(name, namespace)
        if found is not None:
            if not is_controlled_by(found, pod):
                text = f"PVC {namespace}/{name} was not created for pod {namespace}/{pod['metadata']['name']}"
                text += " (pod is not owner)"
                self._recorder.event(pod, "Warning", "FailedBinding", text)
            return
        metadata = template.get("metadata") or {}
        claim = {
            "apiVersion": "v1",
            "kind": "PersistentVolumeClaim",
            "metadata": {
                "name": name,
                "namespace": namespace,
                "ownerReferences": [owner_reference(pod)],
                "labels": metadata.get("labels") or {},
                "annotations": metadata.get("annotations") or {},
            },
            "spec": template["spec"],
        }
        try:
            await self._claims.create(claim)
        except AlreadyExists:
            return  # and the watch is about to show it


def _templates(pod: Obj) -> list[tuple[str, Obj]]:
    """(volume, template of its claim) of each ephemeral volume."""
    return [
        (volume["name"], volume["ephemeral"]["volumeClaimTemplate"])
        for volume in pod["spec"].get("volumes") or ()
        if (volume.get("ephemeral") or {}).get("volumeClaimTemplate")
    ]
