"""Where a pod goes, and what is said when it can go nowhere."""

from __future__ import annotations

import random
from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wellhead.api.meta import Obj
from wellhead.scheduler.cluster import Cluster
from wellhead.scheduler.decide import Placed, Unschedulable, decide
from wellhead.scheduler.pod import PodInfo

HOSTNAME, ZONE = "kubernetes.io/hostname", "topology.kubernetes.io/zone"


def node(name: str, cpu: str = "4", zone: str = "", **spec: Any) -> Obj:
    labels = {HOSTNAME: name} | ({ZONE: zone} if zone else {})
    return {
        "metadata": {"name": name, "labels": labels},
        "spec": spec,
        "status": {"allocatable": {"cpu": cpu, "memory": "8Gi", "pods": "110"}},
    }


def pod(
    name: str, *, labels: dict[str, str] | None = None, owner: str = "", cpu: str = "", **spec: Any
) -> PodInfo:
    metadata: Obj = {"name": name, "namespace": "default", "uid": name, "labels": labels or {}}
    if owner:
        metadata["ownerReferences"] = [
            {"uid": owner, "controller": True, "kind": "ReplicaSet", "name": owner}
        ]
    requests = {"requests": {"cpu": cpu}} if cpu else {}
    container = {"name": "c", "resources": requests, "ports": spec.pop("ports", [])}
    return PodInfo({"metadata": metadata, "spec": {"containers": [container], **spec}})


def cluster(*nodes: Obj) -> Cluster:
    made = Cluster()
    for each in nodes or (node("node-1"), node("node-2"), node("node-3")):
        made.put_node(each)
    return made


def place(made: Cluster, each: PodInfo, seed: int = 0) -> str:
    """Decide and assume; the node."""
    found = decide(each, made, random.Random(seed))
    assert isinstance(found, Placed), found
    made.assume(each, found.node)
    return found.node


def refusal(made: Cluster, each: PodInfo) -> str:
    found = decide(each, made, random.Random(0))
    assert isinstance(found, Unschedulable), found
    return found.message


@given(st.integers(1, 30), st.integers(0, 1000))
def test_a_burst_of_one_owners_pods_spreads_evenly(count: int, seed: int) -> None:
    made = cluster()
    on = Counter(place(made, pod(f"p{n}", owner="rs"), seed) for n in range(count))
    assert max(on.values()) - min(on[name] for name in ("node-1", "node-2", "node-3")) <= 1


def test_pods_without_owner_spread_too() -> None:
    made = cluster()
    assert Counter(place(made, pod(f"p{n}")) for n in range(6)) == {"node-1": 2, "node-2": 2, "node-3": 2}


@given(st.lists(st.sampled_from(["100m", "500m", "1", "1500m"]), max_size=20))
def test_no_node_ever_gets_more_than_it_has(cpus: list[str]) -> None:
    made = cluster(node("node-1", "2"), node("node-2", "1"))
    for number, cpu in enumerate(cpus):
        found = decide(pod(f"p{number}", cpu=cpu), made, random.Random(0))
        if isinstance(found, Placed):
            made.assume(pod(f"p{number}", cpu=cpu), found.node)
    for each in made.nodes():
        assert each.requested.get("cpu", 0) <= each.allocatable["cpu"]


def test_without_nodes() -> None:
    assert refusal(Cluster(), pod("p")) == "no nodes available to schedule pods"


def test_a_pod_with_resource_claims_is_refused_in_words() -> None:
    claiming = pod("p")
    claiming.obj["spec"]["resourceClaims"] = [{"name": "gpu", "resourceClaimName": "c"}]
    assert refusal(cluster(node("node-1", "2")), claiming) == (
        "0/1 nodes are available: resource claims can't be allocated: this scheduler and the nodes' agents"
        " work with no drivers of devices."
    )


def test_the_message_counts_the_reasons() -> None:
    made = cluster(
        node("node-1", "1"),
        node("node-2", unschedulable=True),
        node("node-3", taints=[{"key": "a", "effect": "NoSchedule"}]),
    )
    assert refusal(made, pod("p", cpu="2")) == (
        "0/3 nodes are available: 1 Insufficient cpu, 1 node(s) had untolerated taint(s), "
        "1 node(s) were unschedulable."
    )


@pytest.mark.parametrize(
    ("toleration", "goes"),
    [
        ({"key": "a", "operator": "Exists"}, True),
        ({"key": "a", "value": "x", "effect": "NoSchedule"}, True),
        ({"operator": "Exists"}, True),
        ({"key": "a", "value": "y"}, False),
        ({"key": "a", "operator": "Exists", "effect": "NoExecute"}, False),
    ],
)
def test_tolerations(toleration: Obj, goes: bool) -> None:
    made = cluster(node("node-1", taints=[{"key": "a", "value": "x", "effect": "NoSchedule"}]))
    found = decide(pod("p", tolerations=[toleration]), made, random.Random(0))
    assert isinstance(found, Placed) is goes


def test_node_selector_and_affinity() -> None:
    made = cluster(node("node-1", zone="a"), node("node-2", zone="b"))
    assert place(made, pod("p", nodeSelector={ZONE: "b"})) == "node-2"
    term = {"matchExpressions": [{"key": ZONE, "operator": "NotIn", "values": ["b"]}]}
    required = {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [term]}}
    assert place(made, pod("q", affinity={"nodeAffinity": required})) == "node-1"
    assert refusal(made, pod("r", nodeSelector={ZONE: "c"})) == (
        "0/2 nodes are available: 2 node(s) didn't match Pod's node affinity/selector."
    )


def test_preferred_node_affinity() -> None:
    made = cluster(node("node-1", zone="a"), node("node-2", zone="b"))
    preference = {"matchExpressions": [{"key": ZONE, "operator": "In", "values": ["b"]}]}
    preferred = [{"weight": 100, "preference": preference}]
    affinity = {"nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": preferred}}
    assert {place(made, pod(f"p{n}", affinity=affinity)) for n in range(3)} == {"node-2"}


def test_host_ports_collide_by_protocol_and_address() -> None:
    made = cluster(node("node-1"))
    place(made, pod("a", ports=[{"containerPort": 80, "hostPort": 80}]))
    place(made, pod("b", ports=[{"containerPort": 80, "hostPort": 80, "protocol": "UDP"}]))
    assert "free ports" in refusal(made, pod("c", ports=[{"containerPort": 80, "hostPort": 80}]))
    place(made, pod("d", ports=[{"containerPort": 81, "hostPort": 81, "hostIP": "10.0.0.1"}]))
    place(made, pod("e", ports=[{"containerPort": 81, "hostPort": 81, "hostIP": "10.0.0.2"}]))
    assert "free ports" in refusal(made, pod("f", ports=[{"containerPort": 81, "hostPort": 81}]))


def test_what_a_resized_pod_has_counts_beside_what_it_asks_for() -> None:
    def resized(reason: str, asks: str, has: str) -> int:
        one = pod("x", cpu=asks)
        condition = {"type": "PodResizePending", "status": "True", "reason": reason}
        state = {"name": "c", "resources": {"requests": {"cpu": has}}}
        one.obj["status"] = {"conditions": [condition], "containerStatuses": [state]}
        return one.requests["cpu"]

    assert resized("Deferred", "3", "1") == 3000
    assert resized("Deferred", "1", "3") == 3000
    assert resized("Infeasible", "100", "1") == 1000


def pod_term(label: str, key: str = HOSTNAME) -> Obj:
    return {"topologyKey": key, "labelSelector": {"matchLabels": {"app": label}}}


def required(kind: str, *terms: Obj) -> Obj:
    return {kind: {"requiredDuringSchedulingIgnoredDuringExecution": list(terms)}}


def test_anti_affinity_to_itself_allows_one_pod_a_node() -> None:
    made = cluster()
    alone = required("podAntiAffinity", pod_term("web"))
    nodes = {place(made, pod(f"p{n}", labels={"app": "web"}, affinity=alone)) for n in range(3)}
    assert len(nodes) == 3
    assert "anti-affinity" in refusal(made, pod("p4", labels={"app": "web"}, affinity=alone))


def test_existing_pods_keep_others_away() -> None:
    made = cluster(node("node-1"), node("node-2"))
    first = place(made, pod("a", affinity=required("podAntiAffinity", pod_term("web"))))
    assert place(made, pod("b", labels={"app": "web"})) != first


def test_affinity_brings_pods_together_and_the_first_goes_anywhere() -> None:
    made = cluster()
    together = required("podAffinity", pod_term("web"))
    nodes = {place(made, pod(f"p{n}", labels={"app": "web"}, affinity=together)) for n in range(3)}
    assert len(nodes) == 1
    assert "pod affinity rules" in refusal(made, pod("x", affinity=required("podAffinity", pod_term("none"))))


def test_topology_spread_over_zones() -> None:
    made = cluster(node("node-1", zone="a"), node("node-2", zone="a"), node("node-3", zone="b"))
    constraint = {
        "topologyKey": ZONE,
        "maxSkew": 1,
        "whenUnsatisfiable": "DoNotSchedule",
        "labelSelector": {"matchLabels": {"app": "web"}},
    }

    def web(name: str) -> PodInfo:
        return pod(name, labels={"app": "web"}, topologySpreadConstraints=[constraint])

    zones = Counter(
        {"node-1": "a", "node-2": "a", "node-3": "b"}[place(made, web(f"p{n}"))] for n in range(6)
    )
    assert zones == {"a": 3, "b": 3}
    made.put_node(node("node-3", zone="b", unschedulable=True))
    place(made, web("p7"))
    assert "topology spread constraints" in refusal(made, web("p8"))


def test_an_assumed_pod_counts_until_it_is_forgotten_or_confirmed() -> None:
    made = cluster(node("node-1", "1"))
    big = pod("a", cpu="1")
    made.assume(big, "node-1")
    assert "Insufficient cpu" in refusal(made, pod("b", cpu="1"))
    made.forget("a")
    assert place(made, pod("b", cpu="1")) == "node-1"
    made.put_pod(pod("b", cpu="1", nodeName="node-1"))
    made.forget("b")
    assert "Insufficient cpu" in refusal(made, pod("c", cpu="1"))
    assert made.remove_pod("b")
    assert place(made, pod("c", cpu="1")) == "node-1"


def test_init_containers_and_sidecars_count_at_their_peak() -> None:
    def container(cpu: str, **extra: str) -> Obj:
        return {"resources": {"requests": {"cpu": cpu}}, **extra}

    info = PodInfo(
        {
            "metadata": {"name": "p", "namespace": "default", "uid": "p"},
            "spec": {
                "containers": [container("500m"), container("250m")],
                "initContainers": [container("100m", restartPolicy="Always"), container("2")],
                "overhead": {"cpu": "10m"},
            },
        }
    )
    assert info.requests["cpu"] == 2110


def near(labels: dict[str, str], **term: Any) -> Obj:
    """A podAffinityTerm, within a node."""
    return {"labelSelector": {"matchLabels": labels}, "topologyKey": HOSTNAME, **term}


def test_namespaces_are_selected_by_their_labels() -> None:
    made = cluster()
    made.namespaces = {"team": {"kind": "team"}, "other": {}}
    for name, space in (("node-1", "team"), ("node-2", "other")):
        other = pod(f"in-{space}", labels={"app": "a"})
        other.obj["metadata"]["namespace"] = space
        made.assume(other, name)
    by_label = {"matchLabels": {"kind": "team"}}
    term = near({"app": "a"}, namespaceSelector=by_label)
    apart = {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [term]}}
    places = {place(made, pod(f"x{number}", affinity=apart), number) for number in range(8)}
    assert places == {"node-2", "node-3"}
    together = {"podAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [term]}}
    assert place(made, pod("y", affinity=together)) == "node-1"
    made.namespaces["other"] = {"kind": "team"}
    assert place(made, pod("z", affinity=apart)) == "node-3"


@pytest.mark.parametrize(("kind", "expected"), [("podAffinity", True), ("podAntiAffinity", False)])
def test_what_pods_that_are_there_like_counts_too(kind: str, expected: bool) -> None:
    made = cluster(node("node-1", "64"), node("node-2", "64"))
    entry = {"weight": 100, "podAffinityTerm": near({"app": "a"})}
    liking = {kind: {"preferredDuringSchedulingIgnoredDuringExecution": [entry]}}
    made.assume(pod("there", affinity=liking), "node-1")
    found = place(made, pod("new", labels={"app": "a"}))
    assert (found == "node-1") == expected


def test_a_node_must_have_declared_what_a_pod_needs() -> None:
    able = node("node-2")
    able["status"]["declaredFeatures"] = ["RestartAllContainersOnContainerExits"]
    made = cluster(node("node-1"), able)
    wanting = pod("a")
    rule = {"action": "RestartAllContainers", "exitCodes": {"operator": "In", "values": [1]}}
    wanting.obj["spec"]["containers"][0]["restartPolicyRules"] = [rule]
    assert place(made, wanting) == "node-2"
    other = pod("b", hostNetwork=True, hostUsers=False)
    assert refusal(made, other) == "0/2 nodes are available: 2 node(s) didn't match Pod's required features."
