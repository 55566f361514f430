"""The kernel's part of forwarding one family's VIPs: its table, routes and rules, and the memory of flows."""

from __future__ import annotations

import logging
from collections.abc import Collection
from dataclasses import dataclass, field

from wellhead.cloud.forwarder import held
from wellhead.cloud.forwarder.elements import TABLE
from wellhead.cloud.forwarder.hashing import Node
from wellhead.cloud.forwarder.own_changes import OwnChanges
from wellhead.cloud.forwarder.routes import Routes
from wellhead.cloud.forwarder.tables import Change, Frontend, Tables
from wellhead.ip import Family, IPAddress, IPNetwork, Protocol, parse_address
from wellhead.linux import conntrack, nft, sysctls
from wellhead.linux.conntrack import Dialled
from wellhead.linux.numbers import FORWARDER_MARK_MASK, FORWARDER_MARKS

_log = logging.getLogger(__name__)

_UNREACHABLE_RETRY_SECONDS = 5.0
_FORWARDING = {Family.IPV4: "net/ipv4/ip_forward", Family.IPV6: "net/ipv6/conf/all/forwarding"}


@dataclass
class Wishes:
    """What is to be different. See `Forwarder.submit`; the rest says what somebody else may have changed."""

    change: Change = field(default_factory=Change)
    nodes: frozenset[Node] | None = None
    peers: frozenset[Node] | None = None
    lost: set[Node] = field(default_factory=set)
    mute: set[tuple[Frontend, Node]] = field(default_factory=set)
    table_disturbed: bool = False
    routes_disturbed: bool = False


@dataclass(frozen=True)
class Outcome:
    """What is forwarded now.

    `again` are the seconds after which to look, unasked, at the same again. `gone` are frontends whose flows
    are to be forgotten: their packets are dropped already, so there is no hurry.
    """

    vips: frozenset[IPAddress]
    again: float | None
    gone: frozenset[Frontend]


class Router:
    """One family's forwarding, as the kernel has it. Everything here blocks.

    It belongs to one thread, in the router's network namespace; what it learns goes out by `Outcome` alone.
    """

    def __init__(
        self, family: Family, pools: Collection[IPNetwork], announced: Collection[str], ours: OwnChanges
    ) -> None:
        self._family = family
        self._ours = ours
        self._pools = tuple(pools)
        self._announced = frozenset(announced)
        self._tables = Tables(self._pools, family, announced)
        self._routes = Routes(family)
        self._nodes: frozenset[Node] = frozenset()
        self._peers: frozenset[Node] = frozenset()
        self._unreachable: frozenset[Node] = frozenset()
        self._adopted = False
        self._told_nodes = False  # until then they are those that an earlier run has left
        self._in_kernel = False  # whether the table is there, and as `_tables` remembers it
        self._forgotten: set[Frontend] = set()
        self._lost: set[Node] = set()
        self._mute: set[tuple[Frontend, Node]] = set()

    def follow(self, wishes: Wishes) -> Outcome:
        """Make the kernel do as is wished.

        Raises:
            NftError, OSError: it refused. The next call does all of it, whatever it is asked.
        """
        self._remember(wishes)
        if wishes.table_disturbed and self._in_kernel:
            _log.warning("somebody has changed the table %s: it is mended", TABLE)
        fresh = wishes.table_disturbed or not self._in_kernel
        self._in_kernel = False  # until all of this has succeeded
        if not self._adopted:
            self._routes.adopt()
            if not self._told_nodes:
                self._nodes = frozenset(self._routes.marks)
            self._adopted = True
        commands = [self._tables.change(wishes.change)]
        if fresh or wishes.routes_disturbed or self._unreachable or self._nodes != self._routes.marks.keys():
            commands.append(self._route())
        if self._announced:
            commands.append(self._tables.neighbours(self._routes.macs(self._peers, self._announced)))
        if fresh:
            self._mend()
        elif text := "".join(commands):
            self._run(text)
        gone = self._forget()
        self._in_kernel = True
        vips = frozenset(frontend.vip for frontend in self._tables.frontends)
        return Outcome(vips, _UNREACHABLE_RETRY_SECONDS if self._unreachable else None, gone)

    def remove(self) -> None:
        """Remove table, rules, routes and the flows' memory of them."""
        self._routes.adopt()
        self._run(nft.replacement(self._family.nft, TABLE))
        conntrack.forget_marked([FORWARDER_MARKS.start], FORWARDER_MARK_MASK, self._family)
        self._routes.remove(list(self._routes.marks))
        self._routes.disown()

    def obstacles(self) -> list[str]:
        """What would keep packets from passing: set by whoever set up the machine, not by us."""
        found = []
        name = _FORWARDING[self._family]
        if sysctls.number(name) != 1:
            found.append(f"the router does not forward: {name.replace('/', '.')} is not 1")
        if self._announced and sysctls.number("net/netfilter/nf_conntrack_tcp_loose") == 0:
            found.append(
                "net.netfilter.nf_conntrack_tcp_loose is 0: of connections that are announced here only the "
                "clients' half is seen, and conntrack takes that for invalid; set it to 1"
            )
        value = sysctls.number("net/ipv4/conf/all/rp_filter")
        if not self._announced and self._family is Family.IPV4 and value:
            found.append(
                f"net.ipv4.conf.all.rp_filter is {value}: answers come from VIPs, to which the router has no "
                "route, so its reverse-path filter drops them; set it to 0, also on the nodes' interface"
            )
        return found

    def _remember(self, wishes: Wishes) -> None:
        """First, so that a failure half-way loses nothing."""
        self._lost |= wishes.lost
        self._mute |= wishes.mute
        self._forgotten |= {
            frontend
            for frontend, target in wishes.change.frontends.items()
            if target is None and frontend in self._tables.frontends
        }
        if wishes.nodes is not None:
            self._nodes, self._told_nodes = wishes.nodes, True
        if wishes.peers is not None:
            self._peers = wishes.peers

    def _route(self) -> str:
        """Have the nodes' rules and routes. Returns what the table has to know of them, as nft commands."""
        errors = self._routes.add(self._nodes)
        for node in errors.keys() - self._unreachable:
            _log.error("no route to node %s, which must be a neighbour: %s", node, errors[node])
        self._unreachable = frozenset(errors)
        marks = {node: self._routes.marks[node] for node in self._nodes - self._unreachable}
        links = self._routes.links(self._nodes)
        if links and not self._announced:
            self._routes.own(self._pools, min(links))
        return self._tables.route(marks, links)

    def _mend(self) -> None:
        """Have the whole table, whatever is there."""
        try:
            there = held.read(nft.objects(self._family.nft, TABLE))
        except nft.NoSuchObject:
            there = None
        text = self._tables.mend(there) if there is not None else None
        if there is not None:
            # What an earlier run has forwarded is known by its table, however many flows there are.
            frontends = (_frontend(key) for key in there.elements.get("frontends", {}))
            self._forgotten |= {each for each in frontends if each is not None}
        try:
            if text is not None:
                self._run(text)
                return
        except nft.NftError as error:
            _log.warning("the table %s can't be mended, and is made anew: %s", TABLE, error)
        self._run(self._tables.replace())

    def _run(self, text: str) -> None:
        nft.run(text, started=self._ours.announce)

    def _forget(self) -> frozenset[Frontend]:
        """Forget the flows of nodes that are gone, dead or mute. Returns the frontends that are gone."""
        gone = self._routes.marks.keys() - self._nodes
        if marks := {self._routes.marks[node] for node in (gone | self._lost) & self._routes.marks.keys()}:
            conntrack.forget_marked(marks, family=self._family)
        for frontend, node in self._mute:
            if node in self._routes.marks:
                conntrack.forget_dialled(self._family, [_dialled(frontend)], self._routes.marks[node])
        if gone:
            self._routes.remove(gone)
        forgotten = frozenset(each for each in self._forgotten if each not in self._tables.frontends)
        self._lost.clear()
        self._mute.clear()
        self._forgotten.clear()
        return forgotten


def forget(family: Family, gone: Collection[Frontend]) -> None:
    """Forget the flows to these frontends. Raises OSError."""
    conntrack.forget_dialled(family, map(_dialled, gone), FORWARDER_MARKS.start, FORWARDER_MARK_MASK)


def _dialled(frontend: Frontend) -> Dialled:
    return Dialled(Protocol(frontend.protocol.upper()), frontend.vip, frontend.port)


def _frontend(key: str) -> Frontend | None:
    """What a key of the map `frontends` stands for; None if that is nothing of ours."""
    vip, _, rest = key.partition(" . ")
    protocol, _, port = rest.partition(" . ")
    address = parse_address(vip)
    if address is None or protocol not in ("tcp", "udp") or not port.isdigit():
        return None
    return Frontend(address, protocol, int(port))
