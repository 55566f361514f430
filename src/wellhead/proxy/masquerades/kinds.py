"""Whose connections the proxy of a node leaves alone, and which of them it claims. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from ipaddress import ip_network
from typing import Final

from wellhead.ip import Family, IPNetwork
from wellhead.proxy.claims.settings import SourceClaims
from wellhead.proxy.claims.ways import Way
from wellhead.proxy.masquerades.addresses import Addresses, everything
from wellhead.proxy.masquerades.rules import Flows, Kind
from wellhead.services.node import FromBridge, FromInterfacePrefix, FromNetwork, LocalNode

_PODS: Final = ("pods", "that dial Services")
_NOBODY = {
    Family.IPV4: ("0.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16", "224.0.0.0/3"),
    Family.IPV6: ("::/127", "fe80::/10", "ff00::/8"),
}
"""Addresses that no client has."""
_COMMON_LENGTH = {4: 16, 6: 48}


def kinds_of(node: LocalNode, claims: SourceClaims, ways: Sequence[Way]) -> Iterator[Kind]:
    """What a node's proxy leaves alone; `ways` are the routes by which packets leave the node."""
    for family in Family:
        yield from _of_family(family, node, claims, [each for each in ways if each.network.version == family])


def _of_family(family: Family, node: LocalNode, claims: SourceClaims, ways: list[Way]) -> Iterator[Kind]:
    own_networks = _own_pods(family, node, ways)
    own = Addresses.within(family, own_networks)
    if not own:
        return
    configured = Addresses.within(family, node.cluster_networks)
    others = (configured | Addresses.within(family, node.ways.routed)) - own
    nodes = Addresses.between(family, [(each, each) for each in node.addresses if each.version == family])
    nobody = Addresses.within(family, map(ip_network, _NOBODY[family]))
    inside = Addresses.within(family, (*node.inside, *(() if configured else _around(own_networks))))
    outside = everything(family) - nobody - configured - own - others - nodes - inside
    here = frozenset(
        each.interface
        for each in ways
        if not each.by_others and Addresses.within(family, [each.network]) - own == Addresses(family)
    )
    claimed = claims != "none"
    elsewhere = list(_by_interface(others, ways)) or [(everything(family) - own - nobody, None)]
    if node.detector(family) is not None and not node.masquerade_all:
        for destination, out in elsewhere:
            yield Kind(*_PODS, Flows(own, destination, out), claims == "all" or (claimed and bool(others)))
        yield Kind(*_PODS, Flows(own, own, here or None), claimed)
        if others:
            arriving = Flows(others, own, here or None, translated=False)
            yield Kind("other nodes' pods", "that dial Services", arriving, claimed)
    yield Kind("clients outside", "under policy Local", Flows(outside, own, here or None), claimed)
    for destination, out in elsewhere if others and node.returning else ():
        yield Kind("clients outside", "that are to be preserved", Flows(outside, destination, out), claimed)


def _own_pods(family: Family, node: LocalNode, ways: list[Way]) -> list[IPNetwork]:
    """Of the Node object or the configuration, and what routes say: Calico, for one, gives pods addresses of
    its own choice."""
    detector = node.detector(family)
    own = [each for each in node.pod_networks if each.version == family]
    if not own and isinstance(detector, FromNetwork):
        own = [detector.network]
    pods = Addresses.within(family, (*own, *node.cluster_networks))
    for each in ways:
        if each.by_others:
            continue
        if isinstance(detector, FromBridge):
            is_pods = each.interface == detector.interface
        elif isinstance(detector, FromInterfacePrefix):
            is_pods = each.interface.startswith(detector.prefix)
        else:
            single = each.network.prefixlen == each.network.max_prefixlen
            is_pods = single and (not pods or bool(pods & Addresses.within(family, [each.network])))
        if is_pods:
            own.append(each.network)
    return own


def _around(pods: list[IPNetwork]) -> Iterator[IPNetwork]:
    """Where other nodes' pods will be: nodes' networks are commonly cut out of one of these sizes."""
    for each in pods:
        length = _COMMON_LENGTH[each.version]
        yield each.supernet(new_prefix=length) if each.prefixlen > length else each


def _by_interface(others: Addresses, ways: list[Way]) -> Iterator[tuple[Addresses, frozenset[str] | None]]:
    """Others' pods by the interface that leads to them, as far as there is one."""
    left = others
    for interface in sorted({each.interface for each in ways if each.by_others}):
        there = Addresses.within(
            others.family, (each.network for each in ways if each.by_others and each.interface == interface)
        )
        if found := left & there:
            yield found, frozenset((interface,))
            left -= found
    if left:
        yield left, None
