"""The nodes and what is on them, kept current change by change.

A pod counts on its node from the moment it was decided (`assume`), not from when the API says so.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping

from wellhead.api.meta import Obj, labels
from wellhead.scheduler.pod import HostPort, PodInfo, added, amounts


class NodeInfo:
    """One node: what it offers, and the pods on it. `obj` is None while only its pods are known."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.obj: Obj | None = None
        self.labels: dict[str, str] = {}
        self.taints: list[Obj] = []
        self.unschedulable = False
        self.allocatable: dict[str, int] = {}
        self.features: frozenset[str] = frozenset()
        self.pods: dict[str, PodInfo] = {}  # by uid
        self.requested: dict[str, int] = {}
        self.scored_cpu = 0
        self.scored_memory = 0
        self.ports: Counter[HostPort] = Counter()
        self.owners: Counter[str] = Counter()

    def set_object(self, obj: Obj | None) -> None:
        self.obj = obj
        if obj is None:
            return
        self.labels = labels(obj)
        self.taints = obj["spec"].get("taints") or []
        self.unschedulable = bool(obj["spec"].get("unschedulable"))
        status = obj.get("status") or {}
        self.allocatable = amounts(status.get("allocatable") or status.get("capacity"))
        self.features = frozenset(status.get("declaredFeatures") or ())

    def add(self, pod: PodInfo) -> None:
        self.pods[pod.uid] = pod
        self._count(pod, 1)

    def with_pods(self, pods: Iterable[PodInfo]) -> NodeInfo:
        """The same node with these pods on it, and no others."""
        copy = NodeInfo(self.name)
        copy.obj, copy.labels, copy.taints = self.obj, self.labels, self.taints
        copy.unschedulable, copy.allocatable = self.unschedulable, self.allocatable
        copy.features = self.features
        for pod in pods:
            copy.add(pod)
        return copy

    def remove(self, uid: str) -> None:
        self._count(self.pods.pop(uid), -1)

    def _count(self, pod: PodInfo, sign: int) -> None:
        self.requested = added(self.requested, {name: sign * amount for name, amount in pod.requests.items()})
        cpu, memory = pod.scored_requests
        self.scored_cpu += sign * cpu
        self.scored_memory += sign * memory
        for port in pod.host_ports:
            self.ports[port] += sign
            if not self.ports[port]:
                del self.ports[port]
        if pod.owner is not None:
            self.owners[pod.owner] += sign
            if not self.owners[pod.owner]:
                del self.owners[pod.owner]


class Cluster:
    """All nodes, and on which of them each assigned pod counts."""

    def __init__(self) -> None:
        self._nodes: dict[str, NodeInfo] = {}
        self._placed: dict[str, str] = {}  # uid → node name
        self._assumed: set[str] = set()
        self._nominated: dict[str, tuple[str, PodInfo]] = {}  # uid → node name, pod
        self.namespaces: dict[str, Mapping[str, str]] = {}
        """The labels of each namespace."""
        self.repellent: set[str] = set()
        """uids of assigned pods with required anti-affinity: each newcomer is checked against them."""
        self.sociable: set[str] = set()
        """uids of assigned pods that would like some newcomers near or far, or needed others near."""

    def nodes(self) -> list[NodeInfo]:
        """The nodes that exist."""
        return [node for node in self._nodes.values() if node.obj is not None]

    def node(self, name: str) -> NodeInfo | None:
        return self._nodes.get(name)

    def pods(self) -> Iterator[tuple[NodeInfo, PodInfo]]:
        """Every assigned pod with its node, if that exists."""
        for node in self._nodes.values():
            if node.obj is not None:
                for pod in node.pods.values():
                    yield node, pod

    def with_node(self, node: NodeInfo) -> Cluster:
        """The same cluster where one node has other pods; to be looked at only."""
        before = self._nodes[node.name].pods
        copy = Cluster()
        copy._nodes = {**self._nodes, node.name: node}
        copy._placed, copy._nominated = self._placed, self._nominated
        copy.namespaces = self.namespaces
        copy.repellent = {uid for uid in self.repellent if uid not in before or uid in node.pods}
        return copy

    def nominate(self, pod: PodInfo, node: str) -> None:
        """Others are pushed away from the node for this pod."""
        self._nominated[pod.uid] = (node, pod)

    def nominated(self, uid: str) -> str:
        """The node where place was made for the pod; '' if none was."""
        return self._nominated[uid][0] if uid in self._nominated else ""

    def withdraw(self, uid: str) -> None:
        """The pod has a node, is gone, or has lost its claim to one."""
        self._nominated.pop(uid, None)

    def reserved(self, node: str, newcomer: PodInfo) -> list[PodInfo]:
        """Pods for which place was made on the node, and that come before a newcomer."""
        return [
            pod
            for name, pod in self._nominated.values()
            if name == node and pod.uid != newcomer.uid and pod.priority >= newcomer.priority
        ]

    def lesser_claims(self, node: str, priority: int) -> list[PodInfo]:
        """Pods of lower priority for which place was made on the node."""
        return [pod for name, pod in self._nominated.values() if name == node and pod.priority < priority]

    def repellents(self) -> Iterator[tuple[NodeInfo, PodInfo]]:
        for uid in self.repellent:
            node = self._nodes[self._placed[uid]]
            if node.obj is not None:
                yield node, node.pods[uid]

    def sociables(self) -> Iterator[tuple[NodeInfo, PodInfo]]:
        for uid in self.sociable:
            node = self._nodes[self._placed[uid]]
            if node.obj is not None:
                yield node, node.pods[uid]

    def put_node(self, obj: Obj) -> None:
        name = obj["metadata"]["name"]
        self._nodes.setdefault(name, NodeInfo(name)).set_object(obj)

    def remove_node(self, name: str) -> None:
        node = self._nodes.get(name)
        if node is not None:
            node.set_object(None)
            self._drop_if_unused(node)

    def put_pod(self, pod: PodInfo) -> None:
        """An assigned pod as the API has it: confirms, or corrects, what was assumed."""
        self._remove(pod.uid)
        self._place(pod, pod.node_name)
        self._assumed.discard(pod.uid)

    def assume(self, pod: PodInfo, node: str) -> None:
        """Count a pod on the node that was chosen for it, until the API confirms it or `forget` is called."""
        self._remove(pod.uid)
        self._place(pod, node)
        self._assumed.add(pod.uid)

    def is_assumed(self, uid: str) -> bool:
        return uid in self._assumed

    def place_of(self, uid: str) -> str:
        """The node where a pod is, or is assumed; '' if it has none."""
        return self._placed.get(uid, "")

    def forget(self, uid: str) -> None:
        """The binding of an assumed pod failed. One that the API confirmed meanwhile stays."""
        if uid in self._assumed:
            self.remove_pod(uid)

    def remove_pod(self, uid: str) -> bool:
        """The pod is gone or has ended. Whether it counted."""
        self._assumed.discard(uid)
        return self._remove(uid)

    def _place(self, pod: PodInfo, name: str) -> None:
        self._nodes.setdefault(name, NodeInfo(name)).add(pod)
        self._placed[pod.uid] = name
        if pod.required_anti_affinity:
            self.repellent.add(pod.uid)
        if pod.preferred_affinity or pod.required_affinity:
            self.sociable.add(pod.uid)

    def _remove(self, uid: str) -> bool:
        name = self._placed.pop(uid, None)
        if name is None:
            return False
        self.repellent.discard(uid)
        self.sociable.discard(uid)
        node = self._nodes[name]
        node.remove(uid)
        self._drop_if_unused(node)
        return True

    def _drop_if_unused(self, node: NodeInfo) -> None:
        if node.obj is None and not node.pods:
            del self._nodes[node.name]
