"""What there is to try: clients, addresses, policies, families. Pure.

The server is a pod on the first node. Where an address belongs to a node, it is once the server's and once
another.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from wellhead.ip import Family, bracketed
from wellhead.trace.request import How
from wellhead.trace.target import Frontend, Wanted

PORT, TARGET_PORT = 80, 8080

SERVER, NEIGHBOUR, REMOTE = "server", "neighbour", "remote"
"""The pods: the server, a client beside it, and one on another node."""


class Where(StrEnum):
    """Who asks."""

    OUTSIDE = "client outside"
    NEIGHBOUR = "pod, server's node"
    REMOTE = "pod, other node"
    ITSELF = "the server itself"
    NODE = "server's node"
    OTHER_NODE = "other node"


class Dialled(StrEnum):
    """What is dialled."""

    POD = "pod IP"
    CLUSTER_IP = "ClusterIP"
    NODE_PORT = "node port, server's node"
    OTHER_NODE_PORT = "node port, other node"
    EXTERNAL_IP = "external IP"
    LOAD_BALANCER = "LB IP (forwarder)"
    TERMINATING = "LB IP (terminating)"


class Policy(StrEnum):
    """What the Service says of the source."""

    NONE = "any"
    CLUSTER = "Cluster"
    LOCAL = "Local"
    PRESERVING = "Cluster, kept"
    """With the annotation that keeps the client's address."""
    INTERNAL_LOCAL = "internal Local"


POLICIES: dict[Dialled, tuple[Policy, ...]] = {
    Dialled.POD: (Policy.NONE,),
    Dialled.CLUSTER_IP: (Policy.CLUSTER, Policy.INTERNAL_LOCAL),
    Dialled.NODE_PORT: (Policy.CLUSTER, Policy.LOCAL, Policy.PRESERVING),
    Dialled.OTHER_NODE_PORT: (Policy.CLUSTER, Policy.LOCAL, Policy.PRESERVING),
    Dialled.EXTERNAL_IP: (Policy.CLUSTER, Policy.LOCAL),
    Dialled.LOAD_BALANCER: (Policy.CLUSTER, Policy.LOCAL, Policy.PRESERVING),
    Dialled.TERMINATING: (Policy.CLUSTER, Policy.LOCAL),
}
_FRONTENDS = {
    Dialled.CLUSTER_IP: Frontend.CLUSTER_IP,
    Dialled.NODE_PORT: Frontend.NODE_PORT,
    Dialled.OTHER_NODE_PORT: Frontend.NODE_PORT,
    Dialled.EXTERNAL_IP: Frontend.EXTERNAL_IP,
    Dialled.LOAD_BALANCER: Frontend.LOAD_BALANCER,
    Dialled.TERMINATING: Frontend.LOAD_BALANCER,
}
_OURS_ALONE = (Policy.PRESERVING,)


@dataclass(frozen=True)
class Node:
    """A node, by the addresses that it has inside and outside of the cluster."""

    name: str
    internal: Mapping[Family, str]
    external: Mapping[Family, str]


@dataclass(frozen=True)
class Place:
    """Where things stand: the namespace, the server's node and another one."""

    namespace: str
    node: Node
    other: Node

    def claimed(self, policy: Policy) -> Node:
        """The node whose InternalIP a Service claims as its external IP: from outside it is reached by the
        ExternalIP. Under Local that has to be the server's own node."""
        return self.node if policy is Policy.LOCAL else self.other


@dataclass(frozen=True)
class Cell:
    """One combination."""

    where: Where
    dialled: Dialled
    policy: Policy
    family: Family

    def service(self) -> str:
        """The name of its Service; '' for the pod."""
        return service_name(self.dialled, self.policy) if self.dialled is not Dialled.POD else ""

    def client(self, place: Place) -> str:
        """Who sends, as `wellhead trace --from` takes it."""
        return {
            Where.OUTSIDE: "client",
            Where.NEIGHBOUR: f"pod/{place.namespace}/{NEIGHBOUR}",
            Where.REMOTE: f"pod/{place.namespace}/{REMOTE}",
            Where.ITSELF: f"pod/{place.namespace}/{SERVER}",
            Where.NODE: f"node/{place.node.name}",
            Where.OTHER_NODE: f"node/{place.other.name}",
        }[self.where]

    def wanted(self, place: Place) -> Wanted:
        """What is dialled."""
        outside = self.where is Where.OUTSIDE
        if self.dialled is Dialled.EXTERNAL_IP:
            node = place.claimed(self.policy)
            address = (node.external if outside else node.internal)[self.family]
            to = f"{bracketed(address)}:{PORT}"
            return Wanted(to, place.namespace, from_outside=outside, how=How.HTTP)
        via = {Dialled.NODE_PORT: place.node.name, Dialled.OTHER_NODE_PORT: place.other.name}
        service = self.service()
        return Wanted(
            f"svc/{place.namespace}/{service}"
            if service
            else f"pod/{place.namespace}/{SERVER}:{TARGET_PORT}",
            place.namespace,
            from_outside=outside,
            family=self.family,
            frontend=_FRONTENDS.get(self.dialled),
            via=via.get(self.dialled, ""),
        )


def service_name(dialled: Dialled, policy: Policy) -> str:
    """Node ports of both nodes are one Service's."""
    kind = {
        Dialled.CLUSTER_IP: "cluster-ip",
        Dialled.NODE_PORT: "node-port",
        Dialled.OTHER_NODE_PORT: "node-port",
        Dialled.EXTERNAL_IP: "external-ip",
        Dialled.LOAD_BALANCER: "vip",
        Dialled.TERMINATING: "terminating",
    }[dialled]
    suffix = {
        Policy.CLUSTER: "cluster",
        Policy.LOCAL: "local",
        Policy.PRESERVING: "kept",
        Policy.INTERNAL_LOCAL: "internal-local",
    }[policy]
    return f"{kind}-{suffix}"


def cells(families: Sequence[Family], dialled: Sequence[Dialled] = tuple(Dialled)) -> Iterator[Cell]:
    """All combinations, in the order in which they are shown."""
    for family in families:
        for address in dialled:
            for policy in POLICIES[address]:
                for where in Where:
                    yield Cell(where, address, policy, family)


@dataclass(frozen=True)
class Parts:
    """What the cluster has of ours."""

    proxy: bool = True
    cloud: bool = True


def untried(cell: Cell, place: Place, parts: Parts) -> str:
    """Why a cell can't be tried here; '' if it can."""
    if cell.dialled in (Dialled.LOAD_BALANCER, Dialled.TERMINATING) and not parts.cloud:
        return "this cluster has no load balancers of ours"
    if cell.policy in _OURS_ALONE and not parts.proxy:
        return "only wellhead's own proxy knows it"
    if cell.dialled is Dialled.CLUSTER_IP and cell.where is Where.OUTSIDE:
        return "nobody leads ClusterIPs from outside to a node"
    elsewhere = cell.where in (Where.REMOTE, Where.OTHER_NODE) or cell.dialled is Dialled.OTHER_NODE_PORT
    return "there is no other node" if elsewhere and place.node == place.other else ""
