"""What the kernel says about this node's interfaces, and about the links that it shares with other nodes."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import ip_network
from typing import cast

from wellhead.ip import Family, IPAddress, IPNetwork
from wellhead.linux import routing
from wellhead.linux.facts import Reader
from wellhead.linux.routes import MAIN_TABLE, Interface
from wellhead.linux.rtnetlink import Requests
from wellhead.proxy.symmetric_return.nodes import NodeFacts
from wellhead.proxy.symmetric_return.plan import Way

_NOWHERE = frozenset({6, 7, 8})  # RTN_BLACKHOLE, RTN_UNREACHABLE, RTN_PROHIBIT


def interfaces(asker: Requests, addresses: Iterable[IPAddress]) -> dict[IPAddress, Interface]:
    """The interfaces that hold these addresses, as far as any do."""
    wanted = set(addresses)
    links = routing.links(asker)
    return {
        address: link
        for family in Family
        for address, index in routing.addresses(asker, family)
        if address in wanted and (link := links.get(index)) is not None
    }


def ways_on_link(asker: Requests, nodes: Iterable[NodeFacts]) -> dict[str, tuple[Way, ...]]:
    """How to get to nodes on links shared with them: one way a family, none if any family has none.

    The link must lead to the address itself, and to the node's pods by that address: else its pods are
    reached through a network that may not carry clients' addresses.
    """
    asked = list(nodes)
    names = {index: link.name for index, link in routing.links(asker).items()}
    questions = [each for node in asked for each in _asked(node)]
    hops = dict(zip(questions, routing.next_hops(asker, questions), strict=True))
    return {node.name: _ways(node, names, hops) for node in asked}


def _asked(node: NodeFacts) -> Iterable[IPAddress]:
    for family in Family:
        if (address := node.address(family)) is not None:
            yield address
            yield from (_inside(each) for each in node.pod_networks if each.version == family)


def _inside(network: IPNetwork) -> IPAddress:
    return network.network_address + 1


def _ways(
    node: NodeFacts, names: dict[int, str], hops: dict[IPAddress, tuple[int, IPAddress | None]]
) -> tuple[Way, ...]:
    ways = []
    for family in Family:
        address = node.address(family)
        pods = [each for each in node.pod_networks if each.version == family]
        if address is None:
            if pods:
                return ()
            continue
        index, gateway = hops[address]
        if gateway is not None or index not in names:
            return ()
        if any(hops[_inside(network)] != (index, address) for network in pods):
            return ()
        ways.append(Way(address, names[index]))
    return tuple(ways)


def blocks() -> tuple[IPNetwork, ...]:
    """The blocks of addresses that a pod network has given this node, as Calico's does.

    What of them no pod has yet leads nowhere, by a route of the main table that says so.
    """
    found: set[IPNetwork] = set()
    for (_, table, to, _, what), value in Reader().routes():
        if table == MAIN_TABLE and what == "to" and isinstance(value, tuple) and value[0] in _NOWHERE:
            network = ip_network(cast(str, to))
            if network.prefixlen:
                found.add(network)
    return tuple(sorted(found, key=lambda each: (each.version, int(each[0]), each.prefixlen)))
