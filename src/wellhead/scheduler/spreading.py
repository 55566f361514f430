"""Topology spread constraints, required ones as filter, the others (and a default) as cost.

Source: upstream's podtopologyspread plugin; KEP-895, KEP-1258 (default spreading).
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence

from wellhead.api.names import HOSTNAME_LABEL, ZONE_LABEL
from wellhead.api.placement import untolerated
from wellhead.scheduler.cluster import Cluster, NodeInfo
from wellhead.scheduler.filters import matches_affinity
from wellhead.scheduler.pod import PodInfo
from wellhead.scheduler.terms import SpreadConstraint, domain

MISFIT = "node(s) didn't match pod topology spread constraints"
MISSING_LABEL = f"{MISFIT} (missing required label)"


class Spread:
    """The required constraints of one pod: counted once, then asked per node."""

    def __init__(self, pod: PodInfo, cluster: Cluster) -> None:
        self._constraints = [each for each in pod.spread_constraints if each.required]
        self._counts = [_count(pod, each, self._constraints, cluster) for each in self._constraints]
        self._itself = [each.counts(pod.namespace, pod.labels) for each in self._constraints]

    def misfit(self, node: NodeInfo) -> str | None:
        """Why the pod can't go to the node, if so."""
        for constraint, counts, itself in zip(self._constraints, self._counts, self._itself, strict=True):
            place = domain(node.name, node.labels, constraint.topology_key)
            if place is None:
                return MISSING_LABEL
            least = min(counts.values(), default=0) if len(counts) >= constraint.min_domains else 0
            if counts.get(place, 0) + itself - least > constraint.max_skew:
                return MISFIT
        return None


def _count(
    pod: PodInfo, constraint: SpreadConstraint, constraints: Sequence[SpreadConstraint], cluster: Cluster
) -> dict[str, int]:
    """Pods per domain, over the domains where the pod could go at all."""
    counts: dict[str, int] = {}
    for node in cluster.nodes():
        if any(domain(node.name, node.labels, each.topology_key) is None for each in constraints):
            continue
        if constraint.honor_affinity and not matches_affinity(pod, node):
            continue
        if constraint.honor_taints and untolerated(node.taints, pod.tolerations, ("NoSchedule", "NoExecute")):
            continue
        place = domain(node.name, node.labels, constraint.topology_key) or ""
        here = sum(
            not each.leaving and constraint.counts(each.namespace, each.labels) for each in node.pods.values()
        )
        counts[place] = counts.get(place, 0) + here
    return counts


def crowding(
    pod: PodInfo, nodes: Sequence[NodeInfo], is_mate: Callable[[PodInfo], bool] | None
) -> dict[str, float] | None:
    """Per node, how crowded it already is with pods that are to be spread; None if nothing is.

    A pod's own soft constraints decide. Without any constraint it keeps away, by node and by zone, from pods
    of the same controller; without a controller, from those that `is_mate` tells.
    """
    constraints: list[tuple[str, Callable[[NodeInfo], int]]]
    if pod.spread_constraints:
        constraints = [
            (each.topology_key, _counter(each)) for each in pod.spread_constraints if not each.required
        ]
    elif pod.owner is not None:
        owner = pod.owner
        constraints = [(name, lambda node: node.owners[owner]) for name in (HOSTNAME_LABEL, ZONE_LABEL)]
    elif is_mate is not None:
        mates = {node.name: sum(map(is_mate, node.pods.values())) for node in nodes}
        constraints = [(name, lambda node: mates[node.name]) for name in (HOSTNAME_LABEL, ZONE_LABEL)]
    else:
        return None
    if not constraints:
        return None
    costs = dict.fromkeys((node.name for node in nodes), 0.0)
    for topology_key, count in constraints:
        places = {node.name: domain(node.name, node.labels, topology_key) for node in nodes}
        totals: Counter[str] = Counter()
        for node in nodes:
            totals[places[node.name] or ""] += count(node)
        if None in places.values() and pod.spread_constraints == ():
            continue  # zones count only where all nodes have one
        weight = math.log(len(set(places.values())) + 2)
        for node in nodes:
            costs[node.name] += weight * totals[places[node.name] or ""]
    return costs


def _counter(constraint: SpreadConstraint) -> Callable[[NodeInfo], int]:
    def count(node: NodeInfo) -> int:
        return sum(
            not each.leaving and constraint.counts(each.namespace, each.labels) for each in node.pods.values()
        )

    return count
