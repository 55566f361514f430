"""The sets that claims go by, and their elements."""

from __future__ import annotations

from collections.abc import Iterator
from struct import Struct

from wellhead.ip import Family, IPNetwork, Protocol, collapse
from wellhead.linux.nftables.objects import Element, ElementKey, Set, SetFlag
from wellhead.linux.nftables.types import IFNAME, INET_PROTO, INET_SERVICE, IPV4_ADDR, IPV6_ADDR
from wellhead.services.names import FrontendKind
from wellhead.services.node import LocalNode
from wellhead.services.view import PortView

CLUSTER_IPS = "cluster-ips"
NODE_PORT_ADDRESSES = "node-port-addresses"
HAIRPINS = "hairpins"
RETURNING = "returning"
"""Which nftables mode has for itself, too."""
EXTERNAL_IPS = "external-ips"
EXTERNAL_PORTS = "external-ports"
NODE_PORT_NUMBERS = "node-port-numbers"
ENDPOINTS_HERE = "endpoints-here"
NODELESS = "nodeless-endpoints"
PODS = "cluster-pods"
OWN_PODS = "own-pods"
ROUTED = "routed-to-others"
BRIDGES = "bridges"

_PORT = Struct("!Hxx")
_PROTOCOL = {each: bytes((each.number, 0, 0, 0)) for each in Protocol}


def claim_sets(family: Family) -> tuple[Set, ...]:
    """Those that there are for claims alone."""
    address = IPV4_ADDR if family is Family.IPV4 else IPV6_ADDR
    return (
        Set(EXTERNAL_IPS, (address,)),
        Set(EXTERNAL_PORTS, (INET_SERVICE,)),
        Set(NODE_PORT_NUMBERS, (INET_SERVICE,)),
        Set(ENDPOINTS_HERE, (address, INET_PROTO, INET_SERVICE)),
        Set(NODELESS, (address,)),
        Set(PODS, (address,), flags=SetFlag.INTERVAL),
        Set(OWN_PODS, (address,), flags=SetFlag.INTERVAL),
        Set(ROUTED, (address,), flags=SetFlag.INTERVAL),
        Set(BRIDGES, (IFNAME, IFNAME)),
    )


def of_port(view: PortView) -> list[Element]:
    """The elements of one Service port. Other ports may have the same, and it the same twice."""
    if not (view.cluster or view.local):
        return []  # nothing is led anywhere
    keys: list[ElementKey] = []
    for kind, frontend in view.frontends:
        if kind is FrontendKind.CLUSTER_IP:
            continue
        port = frontend.port.to_bytes(2, "big")
        if frontend.address is None:
            keys.append(ElementKey(NODE_PORT_NUMBERS, port))
        else:
            keys += (ElementKey(EXTERNAL_IPS, frontend.address.packed), ElementKey(EXTERNAL_PORTS, port))
    if view.hairpins:
        protocol = _PROTOCOL[view.protocol]
        keys += [
            ElementKey(ENDPOINTS_HERE, each.packed + protocol + _PORT.pack(each.port)) for each in view.here
        ]
        keys += [ElementKey(NODELESS, each.packed) for each in view.nodeless]
    return [Element(each) for each in keys] if keys else []


def networks_of_node(node: LocalNode, family: Family) -> Iterator[tuple[str, list[IPNetwork]]]:
    """The content of the interval sets, by name."""
    for name, networks in (
        (PODS, node.cluster_networks),
        (OWN_PODS, node.pod_networks),
        (ROUTED, node.ways.routed),
    ):
        yield name, list(collapse(each for each in networks if each.version == family))


def bridges_of_node(node: LocalNode) -> Iterator[Element]:
    """The elements that name bridges."""
    for each in node.ways.bridges:
        name = each.encode().ljust(IFNAME.size, b"\0")
        yield Element(ElementKey(BRIDGES, name * 2))
