"""Policy routing: a packet with a node's mark is routed to that node, whatever its destination says.

Which mark is whose is remembered by the kernel alone: node N's routing table is its mark, and has the node as
default gateway. So a restarted controller finds the marks that established flows carry. All of these
functions block, and act in the network namespace of the calling thread.
"""

from __future__ import annotations

import errno
from collections.abc import Collection, Iterable
from ipaddress import ip_address, ip_network
from socket import AF_UNSPEC

from pyroute2 import IPRoute
from pyroute2.netlink.exceptions import NetlinkError

from wellhead.cloud.forwarder.family import IPV4, Family
from wellhead.cloud.forwarder.hashing import Node
from wellhead.cloud.forwarder.ruleset import HERE, MARK_TAG, MARK_TAG_MASK
from wellhead.cloud.vips import IPNetwork

_PRIORITY = 1000  # of our rules: after the local table's, before the main table's
_OWN_TABLE = MARK_TAG  # no node's mark: those start at the next number
_PROTOCOL = 87  # marks routes and rules as ours (rt_protos; below 128 none is assigned near it)
_FULL_MASK = 0xFFFFFFFF
_MAX_NODES = 0xFFFF


class Routes:
    """The marks of one family's nodes, with the rule and the route that belong to each.

    A node that is this machine itself has the mark `HERE`, and neither.
    """

    def __init__(self, family: Family = IPV4) -> None:
        self.marks: dict[Node, int] = {}
        self._family = family

    def adopt(self) -> None:
        """Take over what an earlier run left in the kernel."""
        with IPRoute() as ip:
            self.marks = {}
            for route in ip.get_routes(family=self._family.af):
                table, gateway = route.get("table"), route.get("gateway")
                if route["proto"] == _PROTOCOL and gateway and table & MARK_TAG_MASK == MARK_TAG:
                    self.marks[ip_address(gateway)] = table
            for mark in self._rules(ip) - set(self.marks.values()):
                self._delete_rule(ip, mark)

    def add(self, nodes: Collection[Node]) -> dict[Node, NetlinkError]:
        """Make rule and route of each node, where missing. Returns the nodes without a way, and why.

        A node must be a neighbour: on another network, the next router would not know what to do with a VIP.
        """
        errors: dict[Node, NetlinkError] = {}
        with IPRoute() as ip:
            present = self._rules(ip)
            local = {address.get("address") for address in ip.get_addr(family=self._family.af)}
            for node in sorted(nodes, key=int):
                if str(node) in local:
                    self.marks[node] = HERE
                    continue
                mark = self.marks.get(node) or self._free_mark()
                try:
                    ip.route(
                        "replace",
                        dst="default",
                        gateway=str(node),
                        table=mark,
                        proto=_PROTOCOL,
                        family=self._family.af,
                    )
                    if mark not in present:
                        ip.rule(
                            "add",
                            fwmark=mark,
                            fwmask=_FULL_MASK,
                            table=mark,
                            priority=_PRIORITY,
                            protocol=_PROTOCOL,
                            family=self._family.af,
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
                if mark not in (None, HERE):
                    self._delete_rule(ip, mark)
                    ip.flush_routes(table=mark, family=self._family.af)

    def own(self, pools: Iterable[IPNetwork], link: str) -> None:
        """Give the router a route to the VIPs for what it sends itself, through this interface.

        The kernel sends an ICMP error only if there is some route to its destination; the rules then mark
        it, and its mark leads it to the right node.
        """
        with IPRoute() as ip:
            (index,) = ip.link_lookup(ifname=link)
            ip.route(
                "replace", dst="default", oif=index, table=_OWN_TABLE, proto=_PROTOCOL, family=self._family.af
            )
            wanted, present = set(pools), self._own_rules(ip)
            for pool in wanted - present:
                ip.rule("add", protocol=_PROTOCOL, family=self._family.af, **_own_rule(pool))
            for pool in present - wanted:
                ip.rule("del", family=self._family.af, **_own_rule(pool))

    def disown(self) -> None:
        """Remove what `own` made."""
        with IPRoute() as ip:
            for pool in self._own_rules(ip):
                ip.rule("del", family=self._family.af, **_own_rule(pool))
            ip.flush_routes(table=_OWN_TABLE, family=self._family.af)

    def links(self, nodes: Collection[Node]) -> frozenset[str]:
        """The names of the interfaces that these nodes are reached through."""
        wanted = {self.marks[node] for node in nodes if node in self.marks}
        with IPRoute() as ip:
            indices = {
                route.get("oif")
                for route in ip.get_routes(family=self._family.af)
                if route.get("table") in wanted
            }
            return frozenset(link.get("ifname") for link in ip.get_links() if link["index"] in indices)

    def macs(self, nodes: Collection[Node]) -> frozenset[str]:
        """These nodes' hardware addresses, as far as the kernel knows them: health checks see to that."""
        wanted = {str(node) for node in nodes}
        with IPRoute() as ip:
            return frozenset(
                entry.get("lladdr")
                for entry in ip.get_neighbours(family=AF_UNSPEC)
                if entry.get("dst") in wanted and entry.get("lladdr")
            )

    def _free_mark(self) -> int:
        used = set(self.marks.values())
        for number in range(1, _MAX_NODES + 1):
            if MARK_TAG + number not in used:
                return MARK_TAG + number
        raise OverflowError(f"more than {_MAX_NODES} nodes")

    def _rules(self, ip: IPRoute) -> set[int]:
        """The marks that have a rule of ours."""
        rules = ip.get_rules(family=self._family.af)
        return {
            rule.get("fwmark") for rule in rules if rule.get("protocol") == _PROTOCOL and rule.get("fwmark")
        }

    def _own_rules(self, ip: IPRoute) -> set[IPNetwork]:
        """The pools that have such a rule."""
        rules = [rule for rule in ip.get_rules(family=self._family.af) if rule.get("table") == _OWN_TABLE]
        return {ip_network((rule.get("dst"), rule["dst_len"])) for rule in rules}

    def _delete_rule(self, ip: IPRoute, mark: int) -> None:
        try:
            ip.rule(
                "del",
                fwmark=mark,
                fwmask=_FULL_MASK,
                table=mark,
                priority=_PRIORITY,
                family=self._family.af,
            )
        except NetlinkError as error:
            if error.code != errno.ENOENT:
                raise


def _own_rule(pool: IPNetwork) -> dict[str, str | int]:
    return {
        "iifname": "lo",  # what the router sends itself
        "dst": str(pool.network_address),
        "dst_len": pool.prefixlen,
        "table": _OWN_TABLE,
        "priority": _PRIORITY,
    }
