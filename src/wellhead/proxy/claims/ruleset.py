"""The table that claims sources where the mode has none of its own: its content, kept by single changes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping

from wellhead.ip import Family
from wellhead.linux.nftables.content import Content, replace_ranges
from wellhead.linux.nftables.intervals import intervals
from wellhead.linux.nftables.objects import (
    Chain,
    Element,
    ElementKey,
    Set,
    SetFlag,
    Table,
    Transaction,
)
from wellhead.linux.nftables.types import IPV4_ADDR, IPV6_ADDR
from wellhead.linux.numbers import Table as TableName
from wellhead.proxy.claims.chains import claim_chains
from wellhead.proxy.claims.sets import (
    CLUSTER_IPS,
    HAIRPINS,
    NODE_PORT_ADDRESSES,
    RETURNING,
    bridges_of_node,
    claim_sets,
    networks_of_node,
    of_port,
)
from wellhead.proxy.claims.settings import SourceClaims
from wellhead.proxy.marks import Marks
from wellhead.services.names import FrontendKind, PortKey
from wellhead.services.node import LocalNode
from wellhead.services.node_ports import NodePortAddresses, node_port_networks
from wellhead.services.node_view import ViewDiff
from wellhead.services.view import PortView

NAME = TableName.CLAIMS


def table(family: Family) -> Table:
    """What the table declares."""
    address = IPV4_ADDR if family is Family.IPV4 else IPV6_ADDR
    of_any_mode = (
        Set(CLUSTER_IPS, (address,)),
        Set(NODE_PORT_ADDRESSES, (address,), flags=SetFlag.INTERVAL),
        Set(HAIRPINS, (address, address)),
        Set(RETURNING, (address,)),
    )
    return Table(family, NAME, (*of_any_mode, *claim_sets(family)))


class ClaimRuleset:
    """The content of one family's table. A change costs what it changes."""

    def __init__(
        self, family: Family, claims: SourceClaims, marks: Marks, node_ports: NodePortAddresses
    ) -> None:
        self.family = family
        self.table = table(family)
        self._claims: SourceClaims = claims
        self._marks = marks
        self._node_ports = node_ports
        self._views: dict[PortKey, PortView] = {}
        self._counts: Counter[ElementKey] = Counter()
        self._node: LocalNode | None = None
        self._node_elements: tuple[Element, ...] = ()
        self._detects = False
        self._chains = self._compile_chains()

    @property
    def chains(self) -> Mapping[str, Chain]:
        """Every chain, callees before callers."""
        return self._chains

    def elements(self) -> Iterator[Element]:
        """Every element."""
        yield from self._node_elements
        yield from map(Element, self._counts)

    def adopt(self, held: Content) -> None:
        """Nothing here depends on history."""

    def update(self, diff: ViewDiff) -> Transaction:
        """Take in a change of the view, and say what it changes in the table."""
        transaction = Transaction()
        self._set_node(diff.node, transaction)
        for key, (_, view) in diff.ports.items():
            if key.family is self.family:
                self._set_port(key, view, transaction)
        return transaction

    def _set_node(self, node: LocalNode, transaction: Transaction) -> None:
        if node is self._node:
            return
        self._node = node
        old, self._node_elements = self._node_elements, tuple(self._compile_node(node))
        replace_ranges(self.table, [each.id for each in old], self._node_elements, transaction)
        ranges = {each.name for each in self.table.sets if each.is_ranges}
        before, after = (
            {each.id: each for each in elements if each.id.set not in ranges}
            for elements in (old, self._node_elements)
        )
        transaction.delete_elements += before.keys() - after.keys()
        transaction.add_elements += [each for key, each in after.items() if key not in before]
        detects = node.detector(self.family) is not None
        if detects != self._detects:
            self._detects = detects
            self._chains = self._compile_chains()
            transaction.replace_rules += self._chains.values()

    def _compile_chains(self) -> dict[str, Chain]:
        chains = claim_chains(
            self.family, self._claims, self._marks, detects=self._detects, clears_priority=False
        )
        return {each.name: each for each in chains}

    def _compile_node(self, node: LocalNode) -> Iterator[Element]:
        answering = node_port_networks(self._node_ports, self.family, node)
        yield from intervals(NODE_PORT_ADDRESSES, answering)
        for name, networks in networks_of_node(node, self.family):
            yield from intervals(name, networks)
        yield from bridges_of_node(node)

    def _set_port(self, key: PortKey, view: PortView | None, transaction: Transaction) -> None:
        before = self._views.pop(key, None)
        if view is not None:
            self._views[key] = view
        new, old = _of_port(view) if view else (), _of_port(before) if before else ()
        counts = self._counts
        for each in new:
            counts[each] += 1
            if counts[each] == 1:
                transaction.add_elements.append(Element(each))
        for each in old:
            counts[each] -= 1
            if not counts[each]:
                del counts[each]
                transaction.delete_elements.append(each)


def _of_port(view: PortView) -> Iterable[ElementKey]:
    """What one Service port has in the table. What others have too is there once."""
    found: dict[ElementKey, None] = dict.fromkeys(each.id for each in of_port(view))
    for kind, frontend in view.frontends:
        if kind is FrontendKind.CLUSTER_IP and frontend.address is not None:
            found[ElementKey(CLUSTER_IPS, frontend.address.packed)] = None
    found |= dict.fromkeys(ElementKey(HAIRPINS, each.packed * 2) for each in view.hairpins)
    if view.preserved is not None:
        found |= dict.fromkeys(ElementKey(RETURNING, each.packed) for each in view.preserved.returning)
    return found
