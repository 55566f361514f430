"""Where a node answers node ports, and the health-check node ports with them."""

from __future__ import annotations

from ipaddress import ip_network
from typing import Literal

from wellhead.ip import Family, IPNetwork
from wellhead.services.node import LocalNode

NodePortAddresses = tuple[IPNetwork, ...] | Literal["primary"]
"""As configured: the node's addresses in these networks, or its primary one of each family. A family of which
no network is given is not restricted."""


def node_port_networks(
    chosen: NodePortAddresses, family: Family, node: LocalNode | None
) -> tuple[IPNetwork, ...]:
    """The networks whose addresses answer, of those that this node has.

    None (an empty tuple) while its primary address is to answer, and it has none, or is not known yet; that
    of everywhere alone, if all addresses do.
    """
    if chosen == "primary":
        mine = family.of(node.addresses if node is not None else ())
        return tuple(ip_network(each) for each in mine[:1])
    networks = tuple(each for each in chosen if each.version == family)
    unrestricted = not networks or any(each.prefixlen == 0 for each in networks)
    return (family.everywhere,) if unrestricted else networks


def answers_on_loopback(chosen: NodePortAddresses, family: Family) -> bool:
    """Whether loopback addresses are among them: what only some of a proxy's modes can do."""
    return any(each.overlaps(family.loopback) for each in node_port_networks(chosen, family, None))
