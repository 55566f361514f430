"""Claims and volumes find each other, whenever the binder dies; and each way in which they part."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.examples import examples
from tests.unit.controllers.world import Killed, World
from wellhead.api import meta
from wellhead.api.errors import Conflict
from wellhead.api.kinds.storage.classes import DEFAULT_ANNOTATION
from wellhead.api.meta import Obj, format_time
from wellhead.api.names import CLAIM_FINALIZER, VOLUME_FINALIZER
from wellhead.api.resources import PERSISTENTVOLUMECLAIMS, PERSISTENTVOLUMES, PODS, STORAGECLASSES
from wellhead.api.storage import BIND_COMPLETED, PROVISIONED_BY, PROVISIONER, SELECTED_NODE, Node, best_match
from wellhead.controllers.storage.binder import PersistentVolumeBinder
from wellhead.controllers.storage.ephemeral import EphemeralVolumeController
from wellhead.controllers.storage.protection import ClaimProtectionController, VolumeProtectionController


class Cluster:
    """Claims, volumes, and the controllers that look after them."""

    def __init__(self) -> None:
        self.world = World()
        self.start()

    def start(self) -> None:
        world = cast(Any, self.world)
        self.binder = PersistentVolumeBinder(world, world)
        self.protection = ClaimProtectionController(world)
        self.volume_protection = VolumeProtectionController(world)
        self.ephemeral = EphemeralVolumeController(world, world)

    def volume(self, name: str = "v", size: str = "1Gi", **spec: Any) -> Obj:
        base = {"capacity": {"storage": size}, "accessModes": ["ReadWriteOnce"], "hostPath": {"path": "/x"}}
        obj: Obj = {"apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": name}}
        return self.world[PERSISTENTVOLUMES].make(obj | {"spec": base | spec})

    def claim(self, name: str = "c", size: str = "1Gi", **spec: Any) -> Obj:
        base = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": size}}}
        obj: Obj = {"apiVersion": "v1", "kind": "PersistentVolumeClaim"}
        metadata = {"name": name, "namespace": "n"}
        spec = {"storageClassName": "", **base, **spec}
        return self.world[PERSISTENTVOLUMECLAIMS].make(obj | {"metadata": metadata, "spec": spec})

    def storage_class(self, name: str = "s", *, delayed: bool = False, default: bool = False) -> Obj:
        metadata: Obj = {"name": name}
        if default:
            metadata["annotations"] = {DEFAULT_ANNOTATION: "true"}
        obj: Obj = {"apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", "metadata": metadata}
        mode = "WaitForFirstConsumer" if delayed else "Immediate"
        made = obj | {"provisioner": "x.y/z", "volumeBindingMode": mode}
        return self.world[STORAGECLASSES].make(made)

    def settle(self) -> None:
        """Let all controllers look until nothing changes any more."""
        for _ in range(60):
            before = self.world.revision()
            try:
                asyncio.run(self._look())
            except Killed:
                self.start()
                continue
            except Conflict:
                continue
            if int(self.world.revision()) == int(before) + 1:
                return
        raise AssertionError("it never settles")

    async def _look(self) -> None:
        for namespace, name in list(self.world[PERSISTENTVOLUMECLAIMS].objects):
            await self.binder.reconcile(("claim", namespace, name))
            await self.protection.reconcile((namespace, name))
        for _, name in list(self.world[PERSISTENTVOLUMES].objects):
            await self.binder.reconcile(("volume", "", name))
            await self.volume_protection.reconcile(name)
        for namespace, name in list(self.world[PODS].objects):
            await self.ephemeral.reconcile((namespace, name))

    def c(self, name: str = "c") -> Obj:
        return self.world[PERSISTENTVOLUMECLAIMS].objects["n", name]

    def v(self, name: str = "v") -> Obj:
        return self.world[PERSISTENTVOLUMES].objects["", name]

    def delete(self, obj: Obj) -> None:
        resource = PERSISTENTVOLUMES if obj["kind"] == "PersistentVolume" else PERSISTENTVOLUMECLAIMS
        metadata = {**obj["metadata"], "deletionTimestamp": format_time(self.world.now)}
        self.world[resource].put({**obj, "metadata": metadata})

    def phases(self) -> tuple[str, str]:
        return self.c()["status"]["phase"], self.v()["status"]["phase"]


@given(deadly=st.dictionaries(st.integers(1, 12), st.booleans(), max_size=4))
@settings(deadline=None, max_examples=examples(60))
def test_a_claim_and_a_volume_are_bound_whenever_the_binder_dies(deadly: dict[int, bool]) -> None:
    cluster = Cluster()
    cluster.volume("big", "5Gi")
    cluster.volume("v", "2Gi")
    cluster.volume("small", "1Mi")
    cluster.settle()
    cluster.claim()
    cluster.world.deadly = {cluster.world.writes + number: how for number, how in deadly.items()}
    cluster.settle()
    claim, volume = cluster.c(), cluster.v()
    assert claim["spec"]["volumeName"] == "v"
    assert claim["status"] == {
        "phase": "Bound",
        "accessModes": ["ReadWriteOnce"],
        "capacity": {"storage": "2Gi"},
    }
    assert volume["spec"]["claimRef"]["uid"] == claim["metadata"]["uid"]
    assert volume["status"]["phase"] == "Bound"
    assert BIND_COMPLETED in meta.annotations(claim)
    assert cluster.v("big")["status"]["phase"] == "Available"


def test_two_claims_never_share_a_volume() -> None:
    cluster = Cluster()
    cluster.volume()
    cluster.claim("c")
    cluster.claim("d")
    cluster.settle()
    assert sorted(cluster.c(name)["status"]["phase"] for name in "cd") == ["Bound", "Pending"]


def test_a_volume_that_was_asked_for_is_taken_if_it_does() -> None:
    cluster = Cluster()
    cluster.volume("v", accessModes=["ReadOnlyMany"])
    cluster.claim(volumeName="v")
    cluster.settle()
    assert cluster.phases() == ("Pending", "Available")
    assert "VolumeMismatch" in cluster.world.reasons()
    cluster.volume("w")
    cluster.claim("d", volumeName="w")
    cluster.settle()
    assert cluster.c("d")["status"]["phase"] == "Bound"


def test_a_volume_that_is_reserved_is_nobody_elses() -> None:
    cluster = Cluster()
    cluster.volume("v", claimRef={"namespace": "n", "name": "other"})
    cluster.claim()
    cluster.settle()
    assert cluster.phases() == ("Pending", "Available")
    cluster.claim("other")
    cluster.settle()
    assert cluster.c("other")["spec"]["volumeName"] == "v"


@pytest.mark.parametrize(
    ("policy", "provisioned", "phase"),
    [("Retain", True, "Released"), ("Delete", True, "Released"), ("Delete", False, "Failed")],
)
def test_when_its_claim_is_gone_a_volume_is_released(policy: str, provisioned: bool, phase: str) -> None:
    cluster = Cluster()
    volume = cluster.volume(persistentVolumeReclaimPolicy=policy)
    if provisioned:
        metadata = {**volume["metadata"], "annotations": {PROVISIONED_BY: "x.y/z"}}
        cluster.world[PERSISTENTVOLUMES].put({**volume, "metadata": metadata})
    claim = cluster.claim()
    cluster.settle()
    cluster.world[PERSISTENTVOLUMECLAIMS].remove(cluster.c())
    cluster.delete(cluster.world[PERSISTENTVOLUMECLAIMS].objects.get(("n", "c"), claim))
    cluster.settle()
    assert cluster.v()["status"]["phase"] == phase
    assert cluster.v()["spec"]["claimRef"]["uid"] == claim["metadata"]["uid"]


def test_a_bound_claim_without_its_volume_is_lost() -> None:
    cluster = Cluster()
    cluster.volume()
    cluster.claim()
    cluster.settle()
    del cluster.world[PERSISTENTVOLUMES].objects["", "v"]
    cluster.settle()
    assert cluster.c()["status"]["phase"] == "Lost"
    assert "ClaimLost" in cluster.world.reasons()


def test_a_class_hands_on_to_its_provisioner_now_or_when_a_node_is_chosen() -> None:
    cluster = Cluster()
    cluster.storage_class("now")
    cluster.storage_class("later", delayed=True)
    cluster.claim("a", storageClassName="now")
    cluster.claim("b", storageClassName="later")
    cluster.claim("d", storageClassName="missing")
    cluster.settle()
    assert meta.annotations(cluster.c("a"))[PROVISIONER] == "x.y/z"
    assert PROVISIONER not in meta.annotations(cluster.c("b"))
    assert {"ExternalProvisioning", "WaitForFirstConsumer", "ProvisioningFailed"} <= set(
        cluster.world.reasons()
    )
    chosen = cluster.c("b")
    metadata = {**chosen["metadata"], "annotations": {SELECTED_NODE: "node-1"}}
    cluster.world[PERSISTENTVOLUMECLAIMS].put({**chosen, "metadata": metadata})
    cluster.settle()
    assert meta.annotations(cluster.c("b"))[PROVISIONER] == "x.y/z"


def test_a_claim_without_a_class_gets_the_default_one_when_there_is_one() -> None:
    cluster = Cluster()
    cluster.claim("a", storageClassName=None)
    cluster.claim("b")
    cluster.settle()
    cluster.storage_class("s", default=True)
    cluster.settle()
    assert cluster.c("a")["spec"]["storageClassName"] == "s"
    assert cluster.c("b")["spec"]["storageClassName"] == ""


def test_what_is_in_use_stays_until_it_is_not() -> None:
    cluster = Cluster()
    cluster.volume()
    cluster.claim()
    cluster.settle()
    assert cluster.c()["metadata"]["finalizers"] == [CLAIM_FINALIZER]
    assert cluster.v()["metadata"]["finalizers"] == [VOLUME_FINALIZER]
    pod: Obj = {
        "metadata": {"name": "p", "namespace": "n", "uid": "u"},
        "spec": {
            "nodeName": "node-1",
            "volumes": [{"name": "x", "persistentVolumeClaim": {"claimName": "c"}}],
        },
    }
    cluster.world[PODS].put(pod)
    cluster.delete(cluster.c())
    cluster.delete(cluster.v())
    cluster.settle()
    assert cluster.c()["metadata"]["finalizers"] == [CLAIM_FINALIZER]
    del cluster.world[PODS].objects["n", "p"]
    cluster.settle()
    assert not cluster.world[PERSISTENTVOLUMECLAIMS].objects
    assert not cluster.world[PERSISTENTVOLUMES].objects


def test_a_pods_ephemeral_volume_gets_a_claim_of_the_pods_own() -> None:
    cluster = Cluster()
    template = {"spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}}
    pod: Obj = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "p", "namespace": "n", "uid": "u"},
        "spec": {"volumes": [{"name": "x", "ephemeral": {"volumeClaimTemplate": template}}]},
    }
    cluster.world[PODS].put(pod)
    cluster.settle()
    [owner] = cluster.c("p-x")["metadata"]["ownerReferences"]
    assert (owner["uid"], owner["controller"]) == ("u", True)


def test_a_delayed_claim_takes_the_smallest_volume_that_its_node_has() -> None:
    cluster = Cluster()

    def on(node: str) -> Obj:
        values = {"key": "kubernetes.io/hostname", "operator": "In", "values": [node]}
        return {"required": {"nodeSelectorTerms": [{"matchExpressions": [values]}]}}

    for name, node, size in (("a", "n1", "2Gi"), ("b", "n2", "1Gi"), ("c", "n1", "1Gi")):
        cluster.volume(name, size, nodeAffinity=on(node))
    cluster.settle()
    claim = cluster.claim()
    volumes = cluster.world[PERSISTENTVOLUMES].values()
    place = Node("n1", {"kubernetes.io/hostname": "n1"})
    assert (best_match(claim, volumes, node=place) or {})["metadata"]["name"] == "c"
    assert (best_match(claim, volumes, node=place, excluded=["c"]) or {})["metadata"]["name"] == "a"
    assert best_match(claim, volumes, delayed=True) is None
