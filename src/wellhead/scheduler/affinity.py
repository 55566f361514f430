"""Required affinity and anti-affinity between pods.

Source: upstream's interpodaffinity plugin.
"""

from __future__ import annotations

from collections import Counter

from wellhead.scheduler.cluster import Cluster, NodeInfo
from wellhead.scheduler.pod import PodInfo
from wellhead.scheduler.terms import domain

AFFINITY = "node(s) didn't match pod affinity rules"
ANTI_AFFINITY = "node(s) didn't match pod anti-affinity rules"
EXISTING_ANTI_AFFINITY = "node(s) didn't satisfy existing pods anti-affinity rules"

_Domain = tuple[str, str]  # (topology key, value)


class PodAffinity:
    """What the pods that are there mean for one newcomer: counted once, then asked per node."""

    def __init__(self, pod: PodInfo, cluster: Cluster) -> None:
        self._pod = pod
        self._namespaces = cluster.namespaces
        self._wanted: Counter[tuple[int, str]] = Counter()  # (term, domain) → pods that match the term
        self._unwanted: set[_Domain] = set()
        self._repelled: set[_Domain] = set()
        if pod.required_affinity or pod.required_anti_affinity:
            for node, other in cluster.pods():
                self._count(node, other)
        for node, other in cluster.repellents():
            for term in other.required_anti_affinity:
                if term.matches(pod.namespace, pod.labels, self._namespaces):
                    place = domain(node.name, node.labels, term.topology_key)
                    if place is not None:
                        self._repelled.add((term.topology_key, place))

    def misfit(self, node: NodeInfo) -> str | None:
        """Why the pod can't go to the node, if so."""
        if not self._is_wanted(node):
            return AFFINITY
        for term in self._pod.required_anti_affinity:
            place = domain(node.name, node.labels, term.topology_key)
            if place is not None and (term.topology_key, place) in self._unwanted:
                return ANTI_AFFINITY
        for topology_key, place in self._repelled:
            if domain(node.name, node.labels, topology_key) == place:
                return EXISTING_ANTI_AFFINITY
        return None

    def _count(self, node: NodeInfo, other: PodInfo) -> None:
        terms = self._pod.required_affinity
        # A pod counts for affinity only if it matches all terms, as upstream has it.
        if terms and all(term.matches(other.namespace, other.labels, self._namespaces) for term in terms):
            for number, term in enumerate(terms):
                place = domain(node.name, node.labels, term.topology_key)
                if place is not None:
                    self._wanted[number, place] += 1
        for term in self._pod.required_anti_affinity:
            if term.matches(other.namespace, other.labels, self._namespaces):
                place = domain(node.name, node.labels, term.topology_key)
                if place is not None:
                    self._unwanted.add((term.topology_key, place))

    def _is_wanted(self, node: NodeInfo) -> bool:
        terms = self._pod.required_affinity
        places = [domain(node.name, node.labels, term.topology_key) for term in terms]
        if any(place is None for place in places):
            return False
        if all(self._wanted[number, place] for number, place in enumerate(places) if place is not None):
            return True
        # The first of a group that wants to be together with itself may go anywhere.
        pod, known = self._pod, self._namespaces
        return not self._wanted and all(term.matches(pod.namespace, pod.labels, known) for term in terms)
