"""The node that a view is made for: who it is, where it is, and how it recognises its own pods' packets."""

from __future__ import annotations

from dataclasses import dataclass, field

from wellhead.api.meta import Obj
from wellhead.api.names import ZONE_LABEL
from wellhead.ip import Family, IPAddress, IPNetwork, addresses_of, networks_of

TO_BE_DELETED_TAINT = "ToBeDeletedByClusterAutoscaler"


@dataclass(frozen=True, slots=True)
class FromNetwork:
    """Packets whose source is in a network come from pods (ClusterCIDR and NodeCIDR)."""

    network: IPNetwork


@dataclass(frozen=True, slots=True)
class FromBridge:
    """Packets that come in by one interface come from this node's pods (BridgeInterface)."""

    interface: str


@dataclass(frozen=True, slots=True)
class FromInterfacePrefix:
    """Packets that come in by an interface named so come from this node's pods (InterfaceNamePrefix)."""

    prefix: str


Detector = FromNetwork | FromBridge | FromInterfacePrefix
"""How local pods' packets are told from others (kube-proxy's detectLocalMode)."""


@dataclass(frozen=True, slots=True)
class Ways:
    """What a node's own network says of the ways between pods. No Service is handled differently for it."""

    routed: tuple[IPNetwork, ...] = ()
    """Networks that its routes lead to by way of other machines; the default routes left out."""
    bridges: tuple[str, ...] = ()
    """Bridges on which a reply between two ports passes neither conntrack nor NAT."""


@dataclass(frozen=True, slots=True)
class LocalNode:
    """This node, as far as Services are concerned. A heartbeat changes nothing here."""

    name: str
    zone: str = ""
    addresses: tuple[IPAddress, ...] = ()
    """Its InternalIPs; the first of a family is the node's primary address."""
    pod_networks: tuple[IPNetwork, ...] = ()
    detectors: tuple[tuple[Family, Detector], ...] = ()
    masquerade_all: bool = False
    preserve_client_ip: bool = False
    """Whether Services that don't say keep the address of clients outside under the Cluster policy."""
    returning: frozenset[str] = frozenset()
    """Names of the other nodes that send replies back through this one (symmetric return)."""
    inside: tuple[IPNetwork, ...] = ()
    """Where the cluster's own packets come from: every node's addresses and pod networks. A family without
    any is not known yet."""
    cluster_networks: tuple[IPNetwork, ...] = ()
    """Where the cluster's pods are, as configured."""
    ways: Ways = field(default_factory=Ways)
    """What its routes and links say."""

    def detector(self, family: Family) -> Detector | None:
        """How this node recognises its own pods in `family`; None when it can't."""
        for each, detector in self.detectors:
            if each is family:
                return detector
        return None

    def knows_inside(self, family: Family) -> bool:
        """Whether clients outside can be told from the cluster's own in `family`."""
        return any(each.version == family for each in self.inside)


def parse_node(node: Obj) -> LocalNode:
    """What a Node object says about this node. Detectors and policies come from configuration,
    `returning` and `inside` from other Node objects."""
    spec, status = node.get("spec", {}), node.get("status", {})
    internal = [each["address"] for each in status.get("addresses") or () if each["type"] == "InternalIP"]
    cidrs = spec.get("podCIDRs") or ([spec["podCIDR"]] if spec.get("podCIDR") else [])
    return LocalNode(
        name=node["metadata"]["name"],
        zone=(node["metadata"].get("labels") or {}).get(ZONE_LABEL, ""),
        addresses=tuple(ip for family in Family for ip in addresses_of(family, internal)),
        pod_networks=tuple(each for family in Family for each in networks_of(family, cidrs)),
    )


def is_leaving(node: Obj) -> bool:
    """Whether a Node is being deleted, or the cluster autoscaler is about to: it wants no new traffic."""
    if node["metadata"].get("deletionTimestamp"):
        return True
    return any(taint["key"] == TO_BE_DELETED_TAINT for taint in node.get("spec", {}).get("taints") or ())
