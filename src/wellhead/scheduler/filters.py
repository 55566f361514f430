"""Why a pod can't go to a node, looking at that node alone. Messages are upstream's."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_address

from wellhead.api.names import UNSCHEDULABLE_TAINT
from wellhead.api.placement import untolerated
from wellhead.scheduler.cluster import NodeInfo
from wellhead.scheduler.pod import PodInfo

_UNSCHEDULABLE = "node(s) were unschedulable"
_TAINTED = "node(s) had untolerated taint(s)"
_INCAPABLE = "node(s) didn't match Pod's required features"
_UNMATCHED = "node(s) didn't match Pod's node affinity/selector"


def misfits(pod: PodInfo, node: NodeInfo) -> Iterator[str]:
    """The reasons of the first filter that refuses the node; none if all accept it."""
    if not _tolerates_unschedulable(pod, node):
        yield _UNSCHEDULABLE
    elif untolerated(node.taints, pod.tolerations, ("NoSchedule", "NoExecute")):
        yield _TAINTED
    elif not matches_affinity(pod, node):
        yield _UNMATCHED
    elif not pod.features <= node.features:
        yield _INCAPABLE
    elif _ports_taken(pod, node):
        yield "node(s) didn't have free ports for the requested pod ports"
    else:
        yield from _lacks(pod, node)


def matches_affinity(pod: PodInfo, node: NodeInfo) -> bool:
    """nodeSelector and required node affinity."""
    selector = pod.obj["spec"].get("nodeSelector") or {}
    if not selector.items() <= node.labels.items():
        return False
    terms = pod.required_nodes
    return terms is None or any(term.matches(node.name, node.labels) for term in terms)


def _tolerates_unschedulable(pod: PodInfo, node: NodeInfo) -> bool:
    if not node.unschedulable:
        return True
    taint = {"key": UNSCHEDULABLE_TAINT, "effect": "NoSchedule"}
    return not untolerated([taint], pod.tolerations, ("NoSchedule",))


def _ports_taken(pod: PodInfo, node: NodeInfo) -> bool:
    return any(
        protocol == other_protocol
        and number == other_number
        and (ip == other_ip or _is_any(ip) or _is_any(other_ip))
        for ip, protocol, number in pod.host_ports
        for other_ip, other_protocol, other_number in node.ports
    )


def _is_any(ip: str) -> bool:
    return not ip or ip_address(ip).is_unspecified


def could_fit(pod: PodInfo, node: NodeInfo) -> bool:
    """Whether the node has enough for the pod if nothing else is on it."""
    return all(amount <= node.allocatable.get(name, 0) for name, amount in pod.requests.items() if amount)


def _lacks(pod: PodInfo, node: NodeInfo) -> Iterator[str]:
    for name, amount in pod.requests.items():
        if amount and amount > node.allocatable.get(name, 0) - node.requested.get(name, 0):
            yield "Too many pods" if name == "pods" else f"Insufficient {name}"


UNRESOLVABLE = frozenset(
    {
        _UNSCHEDULABLE,
        _TAINTED,
        _UNMATCHED,
        _INCAPABLE,
        "node(s) didn't match pod affinity rules",
        "node(s) didn't match pod topology spread constraints (missing required label)",
        "node(s) didn't match PersistentVolume's node affinity",
        "node(s) didn't find available persistent volumes to bind",
    }
)
"""What is no better when other pods go."""
