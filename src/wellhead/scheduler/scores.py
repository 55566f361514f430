"""Which of the nodes that would do is best: scores of 0 to 100, with the weights of upstream's plugins."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence

from wellhead.api.placement import untolerated
from wellhead.scheduler.cluster import Cluster, NodeInfo
from wellhead.scheduler.pod import PodInfo
from wellhead.scheduler.spreading import crowding
from wellhead.scheduler.terms import PodTerm, domain

_HARD_AFFINITY = 1
"""What it counts that a pod which is there needs such as the newcomer near it (hardPodAffinityWeight)."""

_TAINTS, _NODE_AFFINITY, _POD_AFFINITY, _SPREAD, _LEAST_ALLOCATED, _BALANCE = 3, 2, 2, 2, 1, 1


def scores(
    pod: PodInfo,
    nodes: Sequence[NodeInfo],
    cluster: Cluster,
    is_mate: Callable[[PodInfo], bool] | None,
) -> dict[str, float]:
    """The total score of each node; the highest is best. `is_mate`: see `spreading.crowding`."""
    total = dict.fromkeys((node.name for node in nodes), 0.0)

    def add(weight: float, found: Mapping[str, float]) -> None:
        for name, score in found.items():
            total[name] += weight * score

    add(_LEAST_ALLOCATED, {node.name: _least_allocated(pod, node) for node in nodes})
    add(_BALANCE, {node.name: _balance(pod, node) for node in nodes})
    taints = {
        node.name: len(untolerated(node.taints, pod.tolerations, ("PreferNoSchedule",))) for node in nodes
    }
    if any(taints.values()):
        add(_TAINTS, _less_is_better(taints))
    if pod.preferred_nodes:
        preferred = {
            node.name: sum(
                weight for weight, term in pod.preferred_nodes if term.matches(node.name, node.labels)
            )
            for node in nodes
        }
        add(_NODE_AFFINITY, _more_is_better(preferred))
    if pod.preferred_affinity or cluster.sociable:
        add(_POD_AFFINITY, _more_is_better(_company(pod, nodes, cluster)))
    crowded = crowding(pod, nodes, is_mate)
    if crowded is not None:
        add(_SPREAD, _less_is_better(crowded))
    return total


def _least_allocated(pod: PodInfo, node: NodeInfo) -> float:
    free = [100.0 * max(0.0, 1 - share) for share in _shares(pod, node)]
    return sum(free) / len(free) if free else 0.0


def _balance(pod: PodInfo, node: NodeInfo) -> float:
    """Full marks if CPU and memory are used to the same share."""
    shares = [min(1.0, share) for share in _shares(pod, node)]
    return 100.0 * (1 - (max(shares) - min(shares)) / 2) if shares else 0.0


def _shares(pod: PodInfo, node: NodeInfo) -> list[float]:
    """The shares of the node's CPU and memory that would be taken with the pod on it."""
    cpu, memory = pod.scored_requests
    taken = (("cpu", node.scored_cpu + cpu), ("memory", node.scored_memory + memory))
    return [amount / node.allocatable[name] for name, amount in taken if node.allocatable.get(name)]


def _company(pod: PodInfo, nodes: Sequence[NodeInfo], cluster: Cluster) -> dict[str, float]:
    """What the pod likes of the pods that are there, and they of it; each counts."""
    liked: Counter[tuple[str, str]] = Counter()  # (topology key, domain) → weight
    known = cluster.namespaces

    def like(weight: int, term: PodTerm, where: NodeInfo, whom: PodInfo) -> None:
        place = domain(where.name, where.labels, term.topology_key)
        if place is not None and term.matches(whom.namespace, whom.labels, known):
            liked[term.topology_key, place] += weight

    if pod.preferred_affinity:
        for node, other in cluster.pods():
            for weight, term in pod.preferred_affinity:
                like(weight, term, node, other)
    for node, other in cluster.sociables():
        for weight, term in other.preferred_affinity:
            like(weight, term, node, pod)
        for term in other.required_affinity:
            like(_HARD_AFFINITY, term, node, pod)
    found = dict.fromkeys((node.name for node in nodes), 0.0)
    for (topology_key, place), weight in liked.items():
        for node in nodes:
            if domain(node.name, node.labels, topology_key) == place:
                found[node.name] += weight
    return found


def _more_is_better(found: Mapping[str, float]) -> dict[str, float]:
    least, most = min(found.values()), max(found.values())
    if most == least:
        return dict.fromkeys(found, 0.0)
    return {name: 100.0 * (value - least) / (most - least) for name, value in found.items()}


def _less_is_better(found: Mapping[str, float]) -> dict[str, float]:
    return _more_is_better({name: -value for name, value in found.items()})
