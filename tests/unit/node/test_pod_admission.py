"""Which pods a node refuses, though somebody has given them to it."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.node import pods
from wellhead.node.pods import room, status
from wellhead.node.pods.admission import Node, Refusal, refusal
from wellhead.node.pods.record import PodRecord


def with_port(number: int, ip: str = "", protocol: str = "TCP") -> dict[str, Any]:
    port = {"containerPort": 80, "hostPort": number, "protocol": protocol}
    return pods.pod(pods.container("main", ports=[port | ({"hostIP": ip} if ip else {})]))


@pytest.mark.parametrize(
    ("wanted", "held", "refused"),
    [
        (with_port(5000), with_port(5000), True),
        (with_port(5000), with_port(5001), False),
        (with_port(5000), with_port(5000, protocol="UDP"), False),
        (with_port(5000, "127.0.0.1"), with_port(5000), True),
        (with_port(5000, "127.0.0.1"), with_port(5000, "::"), True),
        (with_port(5000, "127.0.0.1"), with_port(5000, "10.240.0.11"), False),
        (pods.pod(), with_port(5000), False),
    ],
)
def test_a_host_port_is_one_pods(wanted: dict[str, Any], held: dict[str, Any], refused: bool) -> None:
    assert (refusal(wanted, [held], Node()) is not None) == refused


def test_a_pod_that_was_refused_has_failed_and_says_why() -> None:
    refused = refusal(with_port(5000), [with_port(5000)], Node())
    assert refused is not None
    record = PodRecord(pods.pod(), phase="Failed", rejected=True, reason=refused.reason, message="so")
    assert status.compute(record, pods.view()) == {
        "phase": "Failed",
        "conditions": [],
        "qosClass": "BestEffort",
        "reason": "NodePorts",
        "message": "so",
    }


HAS = room.whole(
    {"cpu": "2", "memory": "1Gi", "ephemeral-storage": "10Gi", "pods": "3", "example.com/gpu": "1"}
)


def asking(init: Any = (), **requests: str) -> dict[str, Any]:
    named = {
        name.replace("_", "-").replace("gpu", "example.com/gpu"): text for name, text in requests.items()
    }
    container = pods.container("main", resources={"requests": named})
    return pods.pod(container, initContainers=list(init))


def _why(pod: Any, *others: Any, node: Node | None = None, static: bool = False) -> Refusal | None:
    return refusal(pod, others, node or Node(HAS), static=static)


@pytest.mark.parametrize(
    ("pod", "reason", "message"),
    [
        (asking(cpu="1500m"), "OutOfcpu", "cpu, requested: 1500, used: 1000, capacity: 2000"),
        (
            asking(memory="1Gi"),
            "OutOfmemory",
            "memory, requested: 1073741824, used: 104857600, capacity: 1073741824",
        ),
        (
            asking(ephemeral_storage="11Gi"),
            "OutOfephemeral-storage",
            "ephemeral-storage, requested: 11811160064, used: 0, capacity: 10737418240",
        ),
        (asking(gpu="2"), "OutOfexample.com/gpu", "example.com/gpu, requested: 2, used: 0, capacity: 1"),
    ],
)
def test_what_the_node_has_too_little_of_is_named(pod: Any, reason: str, message: str) -> None:
    refused = _why(pod, asking(cpu="1", memory="100Mi"))
    assert refused == Refusal(reason, f"Node didn't have enough resource: {message}")


def test_what_fits_just_so_is_taken_and_who_asks_for_nothing_too() -> None:
    assert _why(asking(cpu="1", memory="924Mi"), asking(cpu="1", memory="100Mi")) is None
    assert _why(pods.pod(), asking(cpu="2")) is None
    assert _why(asking(**{"other.example/x": "5"})) is None  # the node knows no such thing


def test_there_are_only_so_many_pods() -> None:
    refused = _why(pods.pod(), pods.pod(), pods.pod(), pods.pod())
    assert refused == Refusal(
        "OutOfpods", "Node didn't have enough resource: pods, requested: 1, used: 3, capacity: 3"
    )


def test_what_counts_is_what_was_granted_and_what_runs_at_the_same_time() -> None:
    grown = asking(cpu="2")
    assert _why(asking(cpu="1"), room.granted(grown, {"main": {"requests": {"cpu": "1"}}})) is None
    assert _why(asking(cpu="1"), room.granted(grown, {})) is not None
    before = pods.container("first", resources={"requests": {"cpu": "2"}})
    assert _why(asking([before], cpu="1"), asking(cpu="1")) is not None
    assert _why(asking([before], cpu="1")) is None


def _labelled(**labels: str) -> Node:
    return Node(HAS, {"metadata": {"name": "node-1", "labels": labels}, "spec": {}})


def test_the_nodes_labels_must_be_those_that_the_pod_wants() -> None:
    pod = pods.pod(nodeSelector={"disk": "fast"})
    assert _why(pod, node=_labelled(disk="fast")) is None
    refused = _why(pod, node=_labelled(disk="slow"))
    assert refused == Refusal(
        "NodeAffinity",
        "Predicate NodeAffinity failed: node(s) didn't match Pod's node affinity/selector",
        by_labels=True,
    )
    assert _why(pod) is None  # nobody knows the node's labels yet
    terms = [{"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["node-2"]}]}]
    required = {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": terms}}
    assert _why(pods.pod(affinity={"nodeAffinity": required}), node=_labelled()) is not None


def test_a_taint_that_evicts_keeps_pods_out_but_static_ones() -> None:
    taints = [{"key": "a", "effect": "NoSchedule"}, {"key": "b", "effect": "NoExecute"}]
    node = Node(HAS, {"metadata": {"name": "node-1"}, "spec": {"taints": taints}})
    refused = _why(pods.pod(), node=node)
    assert refused is not None
    assert refused.reason == "TaintToleration"
    assert _why(pods.pod(), node=node, static=True) is None
    assert _why(pods.pod(tolerations=[{"key": "b", "operator": "Exists"}]), node=node) is None


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({"os": {"name": "windows"}}, "Failed to admit pod as the OS field doesn't match node OS"),
        ({"os": {"name": "linux"}}, ""),
        ({"securityContext": {"sysctls": [{"name": "net.ipv4.tcp_rmem", "value": "1"}]}}, ""),
        (
            {"securityContext": {"sysctls": [{"name": "kernel/msgmax", "value": "1"}]}},
            'forbidden sysctl: "kernel.msgmax" not allowlisted',
        ),
        ({"securityContext": {"sysctls": [{"name": "net.core.somaxconn", "value": "1"}]}}, ""),
        (
            {
                "hostNetwork": True,
                "securityContext": {"sysctls": [{"name": "net.ipv4.tcp_rmem", "value": "1"}]},
            },
            'forbidden sysctl: "net.ipv4.tcp_rmem" not allowed with host net enabled',
        ),
        (
            {"securityContext": {"appArmorProfile": {"type": "RuntimeDefault"}}},
            "Cannot enforce AppArmor: AppArmor is not enabled on the host",
        ),
        ({"securityContext": {"appArmorProfile": {"type": "Unconfined"}}}, ""),
    ],
)
def test_what_the_node_does_not_do_is_refused(spec: dict[str, Any], message: str) -> None:
    refused = _why(pods.pod(**spec), node=Node(HAS, unsafe_sysctls=("net.core.*",)))
    assert (refused.message if refused else "") == message
