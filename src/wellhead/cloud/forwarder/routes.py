"""Policy routing: a packet with a node's mark is routed to that node, whatever its destination says.

Which mark is whose is remembered by the kernel alone: node N's routing table is its mark, and has the node as
default gateway. So a restarted controller finds the marks that established flows carry. All of these
functions block, and act in the network namespace of the calling thread.
"""

from __future__ import annotations

import errno
import socket
from collections.abc import Collection, Iterable
from ipaddress import IPv4Address, IPv4Network

from pyroute2 import IPRoute
from pyroute2.netlink.exceptions import NetlinkError

from wellhead.cloud.forwarder.hashing import Node
from wellhead.cloud.forwarder.tables import MARK_TAG, MARK_TAG_MASK

_PRIORITY = 1000  # of our rules: after the local table's, before the main table's
_OWN_TABLE = MARK_TAG  # no node's mark: those start at the next number
_PROTOCOL = 87  # marks routes and rules as ours (rt_protos; below 128 none is assigned near it)
_FULL_MASK = 0xFFFFFFFF
_MAX_NODES = 0xFFFF


class Routes:
    """The marks of nodes, with the rule and the route that belong to each."""

    def __init__(self) -> None:
        self.marks: dict[Node, int] = {}

    def adopt(self) -> None:
        """Take over what an earlier run left in the kernel."""
        with IPRoute() as ip:
            self.marks = {}
            for route in ip.get_routes(family=socket.AF_INET):
                table, gateway = route.get("table"), route.get("gateway")
                if route["proto"] == _PROTOCOL and gateway and table & MARK_TAG_MASK == MARK_TAG:
                    self.marks[IPv4Address(gateway)] = table
            for mark in _rules(ip) - set(self.marks.values()):
                _delete_rule(ip, mark)

    def add(self, nodes: Collection[Node]) -> dict[Node, NetlinkError]:
        """Make rule and route of each node, where missing. Returns the nodes without a way, and why.

        A node must be a neighbour: on another network, the next router would not know what to do with a VIP.
        """
        errors: dict[Node, NetlinkError] = {}
        with IPRoute() as ip:
            present = _rules(ip)
            for node in sorted(nodes, key=int):
                mark = self.marks.get(node) or self._free_mark()
                try:
                    ip.route(
                        "replace",
                        dst="default",
                        gateway=str(node),
                        table=mark,
                        proto=_PROTOCOL,
                        family=socket.AF_INET,
                    )
                    if mark not in present:
                        ip.rule(
                            "add",
                            fwmark=mark,
                            fwmask=_FULL_MASK,
                            table=mark,
                            priority=_PRIORITY,
                            protocol=_PROTOCOL,
                            family=socket.AF_INET,
                        )
                except NetlinkError as error:
                    errors[node] = error
                    continue
                self.marks[node] = mark
        return errors

    def remove(self, nodes: Collection[Node]) -> None:
        """Remove rule and route of each node; its mark may then become another node's."""
        with IPRoute() as ip:
            for node in nodes:
                mark = self.marks.pop(node, None)
                if mark is not None:
                    _delete_rule(ip, mark)
                    ip.flush_routes(table=mark, family=socket.AF_INET)

    def own(self, pools: Iterable[IPv4Network], link: str) -> None:
        """Give the router a route to the VIPs for what it sends itself, through this interface.

        The kernel sends an ICMP error only if there is some route to its destination; the rules then mark
        it, and its mark leads it to the right node.
        """
        with IPRoute() as ip:
            (index,) = ip.link_lookup(ifname=link)
            ip.route(
                "replace", dst="default", oif=index, table=_OWN_TABLE, proto=_PROTOCOL, family=socket.AF_INET
            )
            wanted, present = set(pools), _own_rules(ip)
            for pool in wanted - present:
                ip.rule("add", protocol=_PROTOCOL, family=socket.AF_INET, **_own_rule(pool))
            for pool in present - wanted:
                ip.rule("del", family=socket.AF_INET, **_own_rule(pool))

    def disown(self) -> None:
        """Remove what `own` made."""
        with IPRoute() as ip:
            for pool in _own_rules(ip):
                ip.rule("del", family=socket.AF_INET, **_own_rule(pool))
            ip.flush_routes(table=_OWN_TABLE, family=socket.AF_INET)

    def links(self, nodes: Collection[Node]) -> frozenset[str]:
        """The names of the interfaces that these nodes are reached through."""
        wanted = {self.marks[node] for node in nodes if node in self.marks}
        with IPRoute() as ip:
            indices = {
                route.get("oif")
                for route in ip.get_routes(family=socket.AF_INET)
                if route.get("table") in wanted
            }
            return frozenset(link.get("ifname") for link in ip.get_links() if link["index"] in indices)

    def _free_mark(self) -> int:
        used = set(self.marks.values())
        for number in range(1, _MAX_NODES + 1):
            if MARK_TAG + number not in used:
                return MARK_TAG + number
        raise OverflowError(f"more than {_MAX_NODES} nodes")


def _rules(ip: IPRoute) -> set[int]:
    """The marks that have a rule of ours."""
    rules = ip.get_rules(family=socket.AF_INET)
    return {rule.get("fwmark") for rule in rules if rule.get("protocol") == _PROTOCOL and rule.get("fwmark")}


def _own_rule(pool: IPv4Network) -> dict[str, str | int]:
    return {
        "iifname": "lo",  # what the router sends itself
        "dst": str(pool.network_address),
        "dst_len": pool.prefixlen,
        "table": _OWN_TABLE,
        "priority": _PRIORITY,
    }


def _own_rules(ip: IPRoute) -> set[IPv4Network]:
    """The pools that have such a rule."""
    rules = [rule for rule in ip.get_rules(family=socket.AF_INET) if rule.get("table") == _OWN_TABLE]
    return {IPv4Network((rule.get("dst"), rule["dst_len"])) for rule in rules}


def _delete_rule(ip: IPRoute, mark: int) -> None:
    try:
        ip.rule("del", fwmark=mark, fwmask=_FULL_MASK, table=mark, priority=_PRIORITY, family=socket.AF_INET)
    except NetlinkError as error:
        if error.code != errno.ENOENT:
            raise
