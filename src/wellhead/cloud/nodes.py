"""What a load balancer has to know about a Node.

Source: KEP-3458: readiness does not count, since a health check of the node's proxy tells more and sooner.
"""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address

from wellhead.api.meta import Obj

EXCLUDE_LABEL = "node.kubernetes.io/exclude-from-external-load-balancers"
AUTOSCALER_TAINT = "ToBeDeletedByClusterAutoscaler"


@dataclass(frozen=True)
class BalancedNode:
    """A Node as a target of load balancing. `address` is its first InternalIP."""

    name: str
    address: IPv4Address | IPv6Address
    excluded: bool  # gets no new flows, keeps the ones it has


def balanced_node(node: Obj, version: int = 4) -> BalancedNode | None:
    """None for a Node without an InternalIP of IP `version`: nothing can be sent there."""
    for entry in node.get("status", {}).get("addresses") or []:
        if entry.get("type") != "InternalIP":
            continue
        try:
            address = ip_address(entry["address"])
        except ValueError:
            continue
        if address.version == version:
            return BalancedNode(node["metadata"]["name"], address, is_excluded(node))
    return None


def is_excluded(node: Obj) -> bool:
    """Whether the Node must get no new traffic: labelled so (unless =false), or about to be removed."""
    labels = node["metadata"].get("labels") or {}
    if labels.get(EXCLUDE_LABEL, "false") != "false":
        return True
    return any(taint.get("key") == AUTOSCALER_TAINT for taint in node.get("spec", {}).get("taints") or [])
