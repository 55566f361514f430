"""Binds claims to volumes, says what state both are in, and hands on what a provisioner is to make or delete.

Upstream: pkg/controller/volume/persistentvolume/pv_controller.go.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Literal

from wellhead.api import meta
from wellhead.api.kinds.storage import classes, modes
from wellhead.api.meta import Obj, is_deleting, key
from wellhead.api.resources import PERSISTENTVOLUMECLAIMS, PERSISTENTVOLUMES, PODS, STORAGECLASSES
from wellhead.api.storage import (
    BETA_PROVISIONER,
    BIND_COMPLETED,
    BOUND_BY_CONTROLLER,
    PROVISIONED_BY,
    PROVISIONER,
    SELECTED_NODE,
    best_match,
    is_for,
    unfitness,
)
from wellhead.client.events import EventRecorder
from wellhead.client.reconciler import Reconciler
from wellhead.controllers.store import Store, Stores
from wellhead.health import Check

_BOUND_ONLY = ("accessModes", "capacity")
Name = tuple[Literal["claim", "volume"], str, str]


class PersistentVolumeBinder:
    """Reconciles claims and volumes by name."""

    name = "persistent-volume-binder"

    def __init__(self, stores: Stores, recorder: EventRecorder) -> None:
        self._stores = stores
        self._recorder = recorder
        self._claims: Store[Obj] = stores[PERSISTENTVOLUMECLAIMS]
        self._volumes: Store[Obj] = stores[PERSISTENTVOLUMES]
        self._classes: Store[Obj] = stores[STORAGECLASSES]
        self._pods: Store[Obj] = stores[PODS]
        self._reconciler: Reconciler[Name] = Reconciler(self.name, self.reconcile)
        self._claims.on_change(self._claim_changed)
        self._volumes.on_change(self._volume_changed)
        self._classes.on_change(self._class_changed)

    async def run(self) -> None:
        await self._stores.synced(PERSISTENTVOLUMECLAIMS, PERSISTENTVOLUMES, STORAGECLASSES, PODS)
        await self._reconciler.run()

    def checks(self) -> list[Check]:
        return self._reconciler.checks()

    # What a change may concern

    def _claim_changed(self, old: Obj | None, new: Obj | None) -> None:
        claim = new or old or {}
        self._reconciler.enqueue(("claim", *key(claim)))
        for each in (old, new):
            if each is not None and (name := each["spec"].get("volumeName")):
                self._reconciler.enqueue(("volume", "", name))
        if new is None:
            for volume in self._volumes.by_index("place", ("claim", *key(claim))):
                self._reconciler.enqueue(("volume", *key(volume)))

    def _volume_changed(self, old: Obj | None, new: Obj | None) -> None:
        volume = new or old or {}
        self._reconciler.enqueue(("volume", *key(volume)))
        reference = volume["spec"].get("claimRef")
        if reference:
            self._reconciler.enqueue(("claim", reference.get("namespace") or "", reference.get("name") or ""))
        elif new is not None:
            self._enqueue_waiting(("class", modes.class_of(volume)))
        for claim in self._claims.by_index("place", ("volume", volume["metadata"]["name"])):
            self._reconciler.enqueue(("claim", *key(claim)))

    def _class_changed(self, old: Obj | None, new: Obj | None) -> None:
        name = (new or old or {})["metadata"]["name"]
        self._enqueue_waiting(("class", name))
        if new is not None and classes.is_default(new):
            self._enqueue_waiting(("no class",))

    def _enqueue_waiting(self, place: Hashable) -> None:
        for claim in self._claims.by_index("place", place):
            self._reconciler.enqueue(("claim", *key(claim)))

    async def reconcile(self, name: Name) -> float | None:
        """Bring one claim or volume a step on, or as far as it gets."""
        kind, namespace, own = name
        if kind == "claim":
            claim = self._claims.get(own, namespace)
            if claim is not None:
                await self._sync_claim(claim)
        else:
            volume = self._volumes.get(own)
            if volume is not None:
                await self._sync_volume(volume)
        return None

    # Claims

    async def _sync_claim(self, claim: Obj) -> None:
        if BIND_COMPLETED in meta.annotations(claim):
            await self._sync_bound(claim)
        elif name := claim["spec"].get("volumeName"):
            await self._sync_asking(claim, self._volumes.get(name))
        elif not is_deleting(claim):
            await self._sync_unbound(claim)

    async def _sync_bound(self, claim: Obj) -> None:
        name = claim["spec"].get("volumeName")
        volume = self._volumes.get(name) if name else None
        if not name:
            text = "Bound claim has lost reference to PersistentVolume. Data on the volume is lost!"
            await self._lose(claim, "ClaimLost", text)
        elif volume is None:
            text = "Bound claim has lost its PersistentVolume. Data on the volume is lost!"
            await self._lose(claim, "ClaimLost", text)
        elif not volume["spec"].get("claimRef") or is_for(volume, claim):
            await self._bind(volume, claim)
        else:
            text = "Two claims are bound to the same volume, this one is bound incorrectly"
            await self._lose(claim, "ClaimMisbound", text)

    async def _sync_asking(self, claim: Obj, volume: Obj | None) -> None:
        """The claim names a volume that it isn't bound to yet."""
        if volume is None:
            await self._put_claim_status(claim, {"phase": "Pending"})
            return
        if not volume["spec"].get("claimRef"):
            if problem := unfitness(volume, claim):
                text = f'Cannot bind to requested volume "{volume["metadata"]["name"]}": {problem}'
                self._recorder.event(claim, "Warning", "VolumeMismatch", text)
                await self._put_claim_status(claim, {"phase": "Pending"})
                return
        elif not is_for(volume, claim):
            text = f'volume "{volume["metadata"]["name"]}" already bound to a different claim.'
            self._recorder.event(claim, "Warning", "FailedBinding", text)
            await self._put_claim_status(claim, {"phase": "Pending"})
            return
        if not is_deleting(volume):
            await self._bind(volume, claim)

    async def _sync_unbound(self, claim: Obj) -> None:
        storage_class = self._classes.get(modes.class_of(claim)) if modes.class_of(claim) else None
        delayed = classes.waits_for_consumer(storage_class)
        volume = best_match(claim, self._candidates(claim), delayed=delayed)
        if volume is not None:
            await self._bind(volume, claim)
            return
        if not modes.has_class(claim):
            name = classes.default_of(self._classes.values())
            if name is not None:
                await self._claims.update({**claim, "spec": {**claim["spec"], "storageClassName": name}})
                return
        if delayed and SELECTED_NODE not in meta.annotations(claim):
            self._say_what_is_waited_for(claim)
        elif class_name := modes.class_of(claim):
            claim = await self._ask_provisioner(claim, class_name, storage_class)
        else:
            text = "no persistent volumes available for this claim and no storage class is set"
            self._recorder.event(claim, "Normal", "FailedBinding", text)
        await self._put_claim_status(claim, {"phase": "Pending"})

    def _candidates(self, claim: Obj) -> list[Obj]:
        return [
            *self._volumes.by_index("place", ("claim", *key(claim))),
            *self._volumes.by_index("place", ("class", modes.class_of(claim))),
        ]

    def _say_what_is_waited_for(self, claim: Obj) -> None:
        waiting = [
            pod["metadata"]["name"]
            for pod in self._pods.by_index("claim", key(claim))
            if not pod["spec"].get("nodeName")
        ]
        if waiting:
            text = f"waiting for pod {','.join(sorted(waiting))} to be scheduled"
            self._recorder.event(claim, "Normal", "WaitForPodScheduled", text)
        else:
            text = "waiting for first consumer to be created before binding"
            self._recorder.event(claim, "Normal", "WaitForFirstConsumer", text)

    async def _ask_provisioner(self, claim: Obj, name: str, storage_class: Obj | None) -> Obj:
        if storage_class is None:
            text = f'storageclass.storage.k8s.io "{name}" not found'
            self._recorder.event(claim, "Warning", "ProvisioningFailed", text)
            return claim
        provisioner = storage_class.get("provisioner") or ""
        if provisioner == classes.NO_PROVISIONER:
            text = "no persistent volumes available for this claim, and its class has no provisioner"
            self._recorder.event(claim, "Normal", "FailedBinding", text)
            return claim
        if meta.annotations(claim).get(PROVISIONER) != provisioner:
            named = {PROVISIONER: provisioner, BETA_PROVISIONER: provisioner}
            claim = await self._claims.update(_annotated(claim, named))
        text = (
            f"Waiting for a volume to be created either by the external provisioner '{provisioner}' or "
            "manually by the system administrator. If volume creation is delayed, please verify that the "
            "provisioner is running and correctly registered."
        )
        self._recorder.event(claim, "Normal", "ExternalProvisioning", text)
        return claim

    async def _lose(self, claim: Obj, reason: str, text: str) -> None:
        if (claim.get("status") or {}).get("phase") != "Lost":
            self._recorder.event(claim, "Warning", reason, text)
            await self._put_claim_status(claim, {"phase": "Lost"})

    # Both together

    async def _bind(self, volume: Obj, claim: Obj) -> None:
        """Each step leaves what the next run goes on from."""
        volume = await self._reserve(volume, claim)
        volume = await self._put_volume_phase(volume, "Bound")
        added = {} if claim["spec"].get("volumeName") else {BOUND_BY_CONTROLLER: "yes"}
        spec = {**claim["spec"], "volumeName": volume["metadata"]["name"]}
        if BIND_COMPLETED not in meta.annotations(claim) or added:
            named = {**claim, "spec": spec}
            claim = await self._claims.update(_annotated(named, {BIND_COMPLETED: "yes", **added}))
        status: Obj = {
            "phase": "Bound",
            "accessModes": list(volume["spec"].get("accessModes") or ()),
            "capacity": {"storage": volume["spec"]["capacity"]["storage"]},
        }
        before = claim.get("status") or {}
        if before.get("phase") == "Bound":
            status["capacity"] = before.get("capacity") or status["capacity"]
        await self._put_claim_status(claim, status)

    async def _reserve(self, volume: Obj, claim: Obj) -> Obj:
        """Let the volume be this claim's."""
        reference = volume["spec"].get("claimRef")
        metadata = claim["metadata"]
        if reference and reference.get("uid") == metadata["uid"]:
            return volume
        wanted = {
            "apiVersion": "v1",
            "kind": "PersistentVolumeClaim",
            "namespace": metadata["namespace"],
            "name": metadata["name"],
            "uid": metadata["uid"],
            "resourceVersion": metadata["resourceVersion"],
        }
        changed = {**volume, "spec": {**volume["spec"], "claimRef": wanted}}
        return await self._volumes.update(
            changed if reference else _annotated(changed, {BOUND_BY_CONTROLLER: "yes"})
        )

    # Volumes

    async def _sync_volume(self, volume: Obj) -> None:
        reference = volume["spec"].get("claimRef")
        if not reference or not reference.get("uid"):
            await self._put_volume_phase(volume, "Available")
            return
        claim = self._claims.get(reference.get("name") or "", reference.get("namespace") or "")
        if claim is None or claim["metadata"]["uid"] != reference["uid"]:
            await self._release(volume)
        elif not claim["spec"].get("volumeName"):
            self._reconciler.enqueue(("claim", *key(claim)))
        elif claim["spec"]["volumeName"] == volume["metadata"]["name"]:
            await self._put_volume_phase(volume, "Bound")
        elif PROVISIONED_BY in meta.annotations(volume) and _policy(volume) == "Delete":
            await self._release(volume)  # it was made for the claim, which has taken another one
        else:
            await self._let_go(volume)

    async def _let_go(self, volume: Obj) -> None:
        """The claim has another volume: who asked for this one in advance may still get it."""
        spec = dict(volume["spec"])
        metadata = volume["metadata"]
        if BOUND_BY_CONTROLLER in meta.annotations(volume):
            del spec["claimRef"]
            kept = {k: v for k, v in meta.annotations(volume).items() if k != BOUND_BY_CONTROLLER}
            metadata = {**metadata, "annotations": kept}
        else:
            spec["claimRef"] = {k: v for k, v in spec["claimRef"].items() if k != "uid"}
        changed = await self._volumes.update({**volume, "metadata": metadata, "spec": spec})
        await self._put_volume_phase(changed, "Available")

    async def _release(self, volume: Obj) -> None:
        phase = (volume.get("status") or {}).get("phase")
        if phase not in ("Released", "Failed"):
            volume = await self._put_volume_phase(volume, "Released")
        if _policy(volume) == "Retain" or is_deleting(volume) or phase == "Failed":
            return
        if _policy(volume) == "Recycle":
            text = "No recycler plugin found for the volume!"
            self._recorder.event(volume, "Warning", "VolumeFailedRecycle", text)
            await self._put_volume_phase(volume, "Failed", text)
        elif PROVISIONED_BY not in meta.annotations(volume):
            text = f'error getting deleter volume plugin for volume "{volume["metadata"]["name"]}": '
            text += "no deletable volume plugin matched"
            self._recorder.event(volume, "Warning", "VolumeFailedDelete", text)
            await self._put_volume_phase(volume, "Failed", text)
        # Else who made it deletes it.

    # What is said

    async def _put_claim_status(self, claim: Obj, status: Obj) -> None:
        before = claim.get("status") or {}
        wanted = {**before, **status}
        if status["phase"] != "Bound":
            wanted = {name: value for name, value in wanted.items() if name not in _BOUND_ONLY}
        if wanted != before:
            await self._claims.update({**claim, "status": wanted}, "status")

    async def _put_volume_phase(self, volume: Obj, phase: str, message: str = "") -> Obj:
        before = volume.get("status") or {}
        if before.get("phase") == phase:
            return volume
        status = {"phase": phase} | ({"message": message} if message else {})
        if since := before.get("lastPhaseTransitionTime"):
            status["lastPhaseTransitionTime"] = since  # the server notes when it changed
        return await self._volumes.update({**volume, "status": status}, "status")


def _policy(volume: Obj) -> str:
    return str(volume["spec"].get("persistentVolumeReclaimPolicy") or "Retain")


def _annotated(obj: Obj, added: dict[str, str]) -> Obj:
    found = {**meta.annotations(obj), **added}
    return {**obj, "metadata": {**obj["metadata"], "annotations": found}}
