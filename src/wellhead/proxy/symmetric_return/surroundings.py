"""What the kernel says about this node's interfaces, and about the links that it shares with other nodes."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import ip_address, ip_network
from typing import Any

from wellhead.ip import Family, IPAddress, IPNetwork
from wellhead.linux import pyroute2
from wellhead.linux.routes import MAIN_TABLE, families
from wellhead.proxy.symmetric_return.nodes import Interface, NodeFacts
from wellhead.proxy.symmetric_return.plan import Way

_ETHERNET = 1
_NOWHERE = frozenset({6, 7, 8})  # RTN_BLACKHOLE, RTN_UNREACHABLE, RTN_PROHIBIT


def interfaces(ip: Any, addresses: Iterable[IPAddress]) -> dict[IPAddress, Interface]:
    """The interfaces that hold these addresses, as far as any do."""
    wanted = set(addresses)
    links = {link["index"]: link for link in ip.get_links()}
    found = {}
    for each in ip.get_addr():
        text = each.get("local") or each.get("address")
        address = ip_address(text.partition("%")[0])
        if address in wanted and (link := links.get(each["index"])) is not None:
            mac = link.get("address") if link["ifi_type"] == _ETHERNET else ""
            found[address] = Interface(link.get("ifname"), mac or "", link.get("mtu") or 1500)
    return found


def ways_on_link(ip: Any, node: NodeFacts, names: dict[int, str]) -> tuple[Way, ...]:
    """How to get to a node on links shared with it: one way a family, none if any family has none.

    The link must lead to the address itself, and to the node's pods by that address: else its pods are
    reached through a network that may not carry clients' addresses. `names`: the interfaces by index.
    """
    ways = []
    for family in Family:
        address = node.address(family)
        pods = [each for each in node.pod_networks if each.version == family]
        if address is None:
            if pods:
                return ()
            continue
        index, gateway = _next_hop(ip, address)
        if gateway is not None or index not in names:
            return ()
        for network in pods:
            if _next_hop(ip, network.network_address + 1) != (index, address):
                return ()
        ways.append(Way(address, names[index]))
    return tuple(ways)


def blocks(ip: Any) -> tuple[IPNetwork, ...]:
    """The blocks of addresses that a pod network has given this node, as Calico's does.

    What of them no pod has yet leads nowhere, by a route of the main table that says so.
    """
    found: set[IPNetwork] = set()
    for family in families():
        for each in ip.route("dump", family=family.number, table=MAIN_TABLE):
            if each["type"] in _NOWHERE and each["dst_len"] and each.get("table") == MAIN_TABLE:
                found.add(ip_network(f"{each.get('dst')}/{each['dst_len']}"))
    return tuple(sorted(found, key=lambda each: (each.version, int(each[0]), each.prefixlen)))


def _next_hop(ip: Any, to: IPAddress) -> tuple[int, IPAddress | None]:
    try:
        [route] = ip.route("get", dst=str(to))
    except pyroute2.NetlinkError:
        return 0, None
    gateway = route.get("gateway")
    return route.get("oif") or 0, ip_address(gateway) if gateway else None
