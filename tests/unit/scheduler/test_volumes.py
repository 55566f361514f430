"""What a pod's claims say about nodes."""

from __future__ import annotations

from typing import Any

import pytest

from wellhead.api.meta import Obj
from wellhead.api.storage import BIND_COMPLETED, SELECTED_NODE
from wellhead.scheduler import volumes
from wellhead.scheduler.cluster import NodeInfo
from wellhead.scheduler.pod import PodInfo
from wellhead.scheduler.volumes import Sources, Volumes


def node(name: str) -> NodeInfo:
    found = NodeInfo(name)
    found.set_object({"metadata": {"name": name, "labels": {"kubernetes.io/hostname": name}}, "spec": {}})
    return found


def volume(name: str, on: str, **spec: Any) -> Obj:
    here = {"key": "kubernetes.io/hostname", "operator": "In", "values": [on]}
    affinity = {"required": {"nodeSelectorTerms": [{"matchExpressions": [here]}]}}
    base = {"capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteOnce"], "storageClassName": "later"}
    return {
        "metadata": {"name": name},
        "spec": base | {"nodeAffinity": affinity} | spec,
        "status": {"phase": "Available"},
    }


def claim(name: str = "c", **spec: Any) -> Obj:
    base = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
    metadata: Obj = {"name": name, "namespace": "n", "uid": f"u-{name}", "annotations": {}}
    return {"metadata": metadata, "spec": base | {"storageClassName": "later"} | spec, "status": {}}


class World:
    """Claims, volumes and classes."""

    def __init__(self, *objects: Obj, provisioner: str = "x/y", users: dict[str, str] | None = None) -> None:
        self.claims = {each["metadata"]["name"]: each for each in objects if "namespace" in each["metadata"]}
        self.volumes = {each["metadata"]["name"]: each for each in objects if "capacity" in each["spec"]}
        modes = {"later": "WaitForFirstConsumer", "now": "Immediate"}
        self.classes = {
            name: {"metadata": {"name": name}, "provisioner": provisioner, "volumeBindingMode": mode}
            for name, mode in modes.items()
        }
        self.users = users or {}

    def of(self, *names: str) -> Volumes:
        listed = [{"name": f"v-{name}", "persistentVolumeClaim": {"claimName": name}} for name in names]
        pod = {"metadata": {"name": "p", "namespace": "n", "uid": "p"}, "spec": {"volumes": listed}}
        sources = Sources(
            claim=lambda name, namespace: self.claims.get(name),
            volume=lambda name, _: self.volumes.get(name),
            storage_class=lambda name, _: self.classes.get(name),
            free=lambda name: [v for v in self.volumes.values() if v["spec"]["storageClassName"] == name],
            users=lambda name, namespace: self.users,
        )
        return Volumes(pod, sources)


@pytest.mark.parametrize(
    ("world", "problem"),
    [
        (World(), 'persistentvolumeclaim "c" not found'),
        (World(claim(storageClassName="now")), volumes.UNBOUND_IMMEDIATE),
        (World(claim(volumeName="v")), volumes.UNBOUND_IMMEDIATE),
        (World(claim()), ""),
    ],
)
def test_what_keeps_a_pod_from_all_nodes(world: World, problem: str) -> None:
    assert world.of("c").problem == problem


def test_a_bound_claim_leads_to_its_volumes_node() -> None:
    bound = claim(volumeName="v")
    bound["metadata"]["annotations"][BIND_COMPLETED] = "yes"
    found = World(bound, volume("v", "a")).of("c")
    assert found.misfit(node("a")) == ""
    assert found.misfit(node("b")) == volumes.CONFLICT


def test_where_a_volume_is_it_is_reserved_and_elsewhere_one_is_made() -> None:
    found = World(claim(), volume("v", "a")).of("c")
    assert found.decide(node("a")).reserve == {"c": "v"}
    assert found.decide(node("b")).provision == ("c",)
    fixed = World(claim(), volume("v", "a"), provisioner="kubernetes.io/no-provisioner").of("c")
    assert fixed.misfit(node("a")) == ""
    assert fixed.misfit(node("b")) == volumes.NO_VOLUME


def test_two_claims_of_a_pod_get_two_volumes() -> None:
    fixed = "kubernetes.io/no-provisioner"
    both = World(claim("c"), claim("d"), volume("v", "a"), volume("w", "a"), provisioner=fixed)
    assert sorted(both.of("c", "d").decide(node("a")).reserve.values()) == ["v", "w"]
    one = World(claim("c"), claim("d"), volume("v", "a"), provisioner=fixed)
    assert one.of("c", "d").misfit(node("a")) == volumes.NO_VOLUME


def test_a_node_that_was_chosen_stays_chosen() -> None:
    chosen = claim()
    chosen["metadata"]["annotations"][SELECTED_NODE] = "a"
    found = World(chosen).of("c")
    assert found.misfit(node("a")) == ""
    assert found.misfit(node("b")) == volumes.NO_VOLUME


def test_one_pod_at_a_time_where_the_claim_says_so() -> None:
    found = World(claim(accessModes=["ReadWriteOncePod"]), users={"other": "a"}).of("c")
    assert found.problem == ""
    other = PodInfo({"metadata": {"name": "o", "namespace": "n", "uid": "other"}, "spec": {}})
    there = node("a").with_pods([other])
    assert [found.misfit(each) for each in (there, node("b"))] == [volumes.ONE_POD_TAKEN] * 2
    assert found.misfit(there.with_pods([])) == ""  # were it to go, which preemption may see to
    assert World(claim(), users={"other": "b"}).of("c").misfit(there) == ""
