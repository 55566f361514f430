"""What a load balancer has to know about a Node.

Source: KEP-3458: readiness does not count, since a health check of the node's proxy tells more and sooner.
"""

from __future__ import annotations

from dataclasses import dataclass

from wellhead.api.meta import Obj
from wellhead.api.names import EXCLUDE_LABEL
from wellhead.ip import IPAddress, parse_address

AUTOSCALER_TAINT = "ToBeDeletedByClusterAutoscaler"


@dataclass(frozen=True)
class BalancedNode:
    """A Node as a target of load balancing.

    `address` is its first InternalIP, where its health is checked; `addresses` are the first of each family.
    """

    name: str
    addresses: tuple[IPAddress, ...]
    excluded: bool  # gets no new flows, keeps the ones it has

    @property
    def address(self) -> IPAddress:
        return self.addresses[0]

    def of(self, version: int) -> IPAddress | None:
        """Its address of IP `version` (4 or 6), if it has one."""
        return next((address for address in self.addresses if address.version == version), None)


def balanced_node(node: Obj) -> BalancedNode | None:
    """None for a Node without an InternalIP: nothing can be sent there."""
    addresses: dict[int, IPAddress] = {}
    for entry in node.get("status", {}).get("addresses") or []:
        if entry.get("type") != "InternalIP":
            continue
        if (address := parse_address(entry["address"])) is not None:
            addresses.setdefault(address.version, address)
    if not addresses:
        return None
    return BalancedNode(node["metadata"]["name"], tuple(addresses.values()), is_excluded(node))


def is_excluded(node: Obj) -> bool:
    """Whether the Node must get no new traffic: labelled so (unless =false), or about to be removed."""
    labels = node["metadata"].get("labels") or {}
    if labels.get(EXCLUDE_LABEL, "false") != "false":
        return True
    return any(taint.get("key") == AUTOSCALER_TAINT for taint in node.get("spec", {}).get("taints") or [])
