"""Policy routing: a packet with a node's mark is routed to that node, whatever its destination says.

Which mark is whose is remembered by the kernel alone: node N's routing table is its mark, and has the node as
default gateway. So a restarted controller finds the marks that established flows carry. All of these
functions block, and act in the network namespace of the calling thread.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager

from wellhead.cloud.forwarder.hashing import Node
from wellhead.cloud.forwarder.ruleset import HERE
from wellhead.ip import Family, IPNetwork
from wellhead.linux import routing as kernel
from wellhead.linux.netlink import NetlinkError
from wellhead.linux.numbers import FORWARDER_TABLES, RouteOwner, RulePriority
from wellhead.linux.routes import Action, Route, Rule
from wellhead.linux.routing import Owned
from wellhead.linux.rtnetlink import Requests

_OWN_TABLE = FORWARDER_TABLES.start  # no node's
_FULL_MASK = 0xFFFFFFFF


class Routes:
    """The marks of one family's nodes, with the rule and the route that belong to each.

    A node that is this machine itself has the mark `HERE`, and neither.
    """

    def __init__(self, family: Family = Family.IPV4) -> None:
        self.marks: dict[Node, int] = {}
        self._family = family

    def adopt(self) -> None:
        """Take over what an earlier run left in the kernel."""
        with self._ours() as ours:
            self.marks = {each.gateway: each.table for each in ours.routes() if each.gateway}
            marks = set(self.marks.values())
            ours.delete_rules(*(each for each in ours.rules() if each.mark and each.mark not in marks))

    def add(self, nodes: Collection[Node]) -> dict[Node, NetlinkError]:
        """Make rule and route of each node, where missing. Returns the nodes without a way, and why.

        A node must be a neighbour: on another network, the next router would not know what to do with a VIP.
        """
        local = kernel.local_addresses(self._family)
        wanted: dict[Node, int] = {}
        for node in sorted(nodes, key=int):
            if node in local:
                self.marks[node] = HERE
            else:
                wanted[node] = self.marks.get(node) or self._free_mark(wanted.values())
        with self._ours() as ours:
            present = ours.rules()
            rules = {node: rule for node, mark in wanted.items() if (rule := self._rule(mark)) not in present}
            said = ours.bring((self._route(node, mark) for node, mark in wanted.items()), rules.values())
        errors = {node: error for node, error in zip((*wanted, *rules), said, strict=True) if error}
        self.marks |= {node: mark for node, mark in wanted.items() if node not in errors}
        return errors

    def remove(self, nodes: Collection[Node]) -> None:
        """Remove rule and route of each node; its mark may then become another node's."""
        marks = {node: self.marks.pop(node, HERE) for node in nodes}
        theirs = {node: mark for node, mark in marks.items() if mark != HERE}
        with self._ours() as ours:
            ours.delete_rules(*(self._rule(mark) for mark in theirs.values()))
            ours.delete(*(self._route(node, mark) for node, mark in theirs.items()))

    def own(self, pools: Iterable[IPNetwork], link: str) -> None:
        """Give the router a route to the VIPs for what it sends itself, through this interface.

        The kernel sends an ICMP error only if there is some route to its destination; the rules then mark
        it, and its mark leads it to the right node. A packet to a VIP that no rule has marked (it came while
        the table was being made) goes nowhere, in silence: who sent it tries again, and isn't told that there
        is no way.
        """
        with self._ours() as ours:
            ours.replace(Route(self._family, _OWN_TABLE, self._family.everywhere, devices=(link,)))
            wanted = {rule for pool in pools for rule in (self._own_rule(pool), self._end(pool))}
            present = {rule for rule in ours.rules() if not rule.mark}
            ours.add_rules(*(wanted - present))
            ours.delete_rules(*(present - wanted))

    def disown(self) -> None:
        """Remove what `own` made, and whatever else of ours is left."""
        with self._ours() as ours:
            ours.remove_others((), ())

    def links(self, nodes: Collection[Node]) -> frozenset[str]:
        """The names of the interfaces that these nodes are reached through."""
        wanted = {self.marks[node] for node in nodes if node in self.marks}
        with self._ours() as ours:
            found = (route.devices for route in ours.routes() if route.table in wanted)
            return frozenset(name for devices in found for name in devices)

    def macs(self, nodes: Collection[Node], links: Collection[str]) -> frozenset[str]:
        """These nodes' hardware addresses, as far as the kernel knows them: health checks see to that."""
        found: set[str] = set()
        with Requests() as asker:
            for link in links:
                if (index := asker.index(link)) is not None:
                    found |= set(kernel.hardware_addresses(asker, index, list(nodes)))
        return frozenset(found)

    @contextmanager
    def _ours(self) -> Iterator[Owned]:
        with Requests() as asker:
            yield Owned(asker, RouteOwner.FORWARDER, FORWARDER_TABLES, (self._family,))

    def _free_mark(self, taken: Collection[int]) -> int:
        used = {HERE, *self.marks.values(), *taken}
        free = next((mark for mark in FORWARDER_TABLES if mark not in used), None)
        if free is None:
            raise OverflowError(f"more than {len(FORWARDER_TABLES) - 1} nodes")
        return free

    def _route(self, node: Node, mark: int) -> Route:
        return Route(self._family, mark, self._family.everywhere, node)

    def _rule(self, mark: int) -> Rule:
        return Rule(self._family, RulePriority.FORWARDER, mark=mark, mask=_FULL_MASK, table=mark)

    def _end(self, pool: IPNetwork) -> Rule:
        return Rule(self._family, RulePriority.FORWARDER_END, Action.BLACKHOLE, to=pool)

    def _own_rule(self, pool: IPNetwork) -> Rule:
        # `lo`: what the router sends itself.
        return Rule(self._family, RulePriority.FORWARDER, device="lo", to=pool, table=_OWN_TABLE)
