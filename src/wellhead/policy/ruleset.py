"""Everything that the table of one family should hold, kept current by single changes."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping

from wellhead.ip import Family, IPAddress, IPNetwork, Protocol
from wellhead.linux.nftables.content import replace_ranges
from wellhead.linux.nftables.intervals import intervals
from wellhead.linux.nftables.objects import Chain, Element, Table, Transaction
from wellhead.policies.blocks import Stretch
from wellhead.policies.cluster_policies import ClusterSubject
from wellhead.policies.followed import Changes, PeerClass
from wellhead.policies.node_policies import Allowed, Subject
from wellhead.policies.policy import (
    ANY_TRAFFIC,
    EVERYONE,
    AnyTraffic,
    Direction,
    NamedPort,
    Peer,
    Port,
    PortRange,
)
from wellhead.policy import layout, skeleton
from wellhead.policy.cluster_rules import ClusterRules, change

End = tuple[Direction, IPAddress]
"""A pod of the node, seen from one direction."""
_EVERYONE = PeerClass(frozenset())


class Ruleset:
    """The content of one family's table. A change costs what it changes.

    A *cell* is what one class of peers may do to (or is allowed from) one pod: the ports, as elements.
    """

    def __init__(self, family: Family) -> None:
        self.family = family
        self._chains = {each.name: each for each in skeleton.chains(family)}
        self._networks: tuple[Element, ...] = ()
        self._cluster = ClusterRules(family)
        self._known: dict[IPAddress, Subject] = {}
        self._peers: dict[IPAddress, PeerClass] = {}
        self._stretches: tuple[Stretch, ...] = ()
        self._allowing: defaultdict[Peer, dict[End, set[Port]]] = defaultdict(dict)
        self._with_peer: defaultdict[Peer, set[PeerClass]] = defaultdict(set)
        self._uses: Counter[PeerClass] = Counter()
        self._numbers: dict[PeerClass, int] = {_EVERYONE: layout.EVERYONE}
        self._classes: dict[int, PeerClass] = {layout.EVERYONE: _EVERYONE}
        self._cells: defaultdict[PeerClass, dict[End, frozenset[Port]]] = defaultdict(dict)
        self._touched: dict[tuple[PeerClass, End], frozenset[Port]] = {}
        """In the update that is being made: cells, as they were before it."""

    # ---- what there should be

    @property
    def table(self) -> Table:
        return layout.table(self.family)

    @property
    def chains(self) -> Mapping[str, Chain]:
        """Every chain, callees before callers."""
        return self._chains

    def elements(self) -> Iterator[Element]:
        """Every element."""
        yield from layout.with_ports()
        if self.family is Family.IPV6:
            yield from layout.neighbour_discovery()
        yield from self._networks
        for address, subject in self._known.items():
            yield from _of_subject(address, subject)
        for address, found in self._peers.items():
            yield layout.peer(address, self._numbers[found])
        yield from self._of_stretches()
        for found, cells in self._cells.items():
            for end, ports in cells.items():
                yield from _of_cell(self._numbers[found], end, ports)
        yield from self._cluster.elements()

    # ---- changes

    def set_pod_networks(self, networks: Iterable[IPNetwork]) -> None:
        """The node's pods have their addresses in these. Seldom another: the table is to be compared then."""
        own = (each for each in networks if each.version == self.family)
        self._networks = tuple(intervals(layout.POD_NETWORKS, own))

    def update(
        self, changes: Changes[Subject], cluster: Changes[ClusterSubject] | None = None
    ) -> Transaction:
        """Take in what changed, and say what that changes in the table."""
        transaction = Transaction()
        if cluster:
            self._cluster.update(cluster, transaction)
        gone: list[PeerClass] = []
        for address, (_, found) in changes.classes.items():
            if address.version == self.family:
                self._set_peer(address, found, gone, transaction)
        if self.family in changes.stretches:
            self._set_stretches(changes.stretches[self.family], gone, transaction)
        for address, (_, subject) in changes.subjects.items():
            if address.version == self.family:
                self._set_subject(address, subject, transaction)
        unused = {each for each in gone if not self._uses[each]}
        for each in unused:
            for end in list(self._cells.get(each, ())):
                self._set_cell(each, end, frozenset())
        for (found_class, end), before in self._touched.items():
            number = self._numbers[found_class]
            after = self._cells.get(found_class, {}).get(end, frozenset())
            change(_of_cell(number, end, before), _of_cell(number, end, after), transaction)
        self._touched.clear()
        for each in unused:
            self._drop_class(each)
        return transaction

    def _set_peer(
        self, address: IPAddress, found: PeerClass | None, gone: list[PeerClass], transaction: Transaction
    ) -> None:
        before = self._peers.pop(address, None)
        if found is not None:
            self._use(found)
            self._peers[address] = found
            new = layout.peer(address, self._numbers[found])
            if before is not None:
                transaction.delete_elements.append(new.id)
            transaction.add_elements.append(new)
        elif before is not None:
            transaction.delete_elements.append(layout.peer(address, 0).id)
        if before is not None:
            self._release(before, gone)

    def _set_stretches(
        self, found: tuple[Stretch, ...], gone: list[PeerClass], transaction: Transaction
    ) -> None:
        before, old = [each.id for each in self._of_stretches()], self._stretches
        self._stretches = found
        for each in found:
            self._use(PeerClass(frozenset(each.blocks)))
        replace_ranges(self.table, before, list(self._of_stretches()), transaction)
        for each in old:
            self._release(PeerClass(frozenset(each.blocks)), gone)

    def _of_stretches(self) -> Iterator[Element]:
        for each in self._stretches:
            yield from layout.stretch(each, self._numbers[PeerClass(frozenset(each.blocks))])

    def _set_subject(self, address: IPAddress, subject: Subject | None, transaction: Transaction) -> None:
        before = self._known.pop(address, None)
        if subject is not None:
            self._known[address] = subject
        change(
            _of_subject(address, before) if before else (),
            _of_subject(address, subject) if subject else (),
            transaction,
        )
        for direction in Direction:
            old = (before.allowed(direction) if before else None) or frozenset()
            new = (subject.allowed(direction) if subject else None) or frozenset()
            if old != new:
                self._set_allowed((direction, address), old, new)

    def _set_allowed(self, end: End, old: frozenset[Allowed], new: frozenset[Allowed]) -> None:
        concerned: set[PeerClass] = set()
        for peer, port in old - new:
            ports = self._allowing[peer][end]
            ports.discard(port)
            if not ports:
                del self._allowing[peer][end]
                if not self._allowing[peer]:
                    del self._allowing[peer]
        for peer, port in new - old:
            self._allowing[peer].setdefault(end, set()).add(port)
        for peer, port in old ^ new:
            concerned.update(self._with_peer.get(peer, ()))
            if peer is EVERYONE:
                concerned.add(_EVERYONE)
                if isinstance(port, NamedPort):
                    concerned.update(each for each in self._uses if each.ports)
        for found in concerned:
            self._set_cell(found, end, frozenset(self._ports(found, end)))

    # ---- classes

    def _use(self, found: PeerClass) -> None:
        self._uses[found] += 1
        if found in self._numbers:
            return
        number = layout.number_of(found.text, self._classes)
        self._numbers[found], self._classes[number] = number, found
        ends: set[End] = set()
        for peer in found.peers:
            self._with_peer[peer].add(found)
            ends.update(self._allowing.get(peer, ()))
        if found.ports:
            ends.update(self._allowing.get(EVERYONE, ()))
        for end in ends:
            self._set_cell(found, end, frozenset(self._ports(found, end)))

    def _release(self, found: PeerClass, gone: list[PeerClass]) -> None:
        self._uses[found] -= 1
        if not self._uses[found]:
            gone.append(found)

    def _drop_class(self, found: PeerClass) -> None:
        """That has no cells any more."""
        del self._uses[found], self._classes[self._numbers.pop(found)]
        for peer in found.peers:
            self._with_peer[peer].discard(found)
            if not self._with_peer[peer]:
                del self._with_peer[peer]

    def _set_cell(self, found: PeerClass, end: End, ports: frozenset[Port]) -> None:
        cells = self._cells[found]
        self._touched.setdefault((found, end), cells.pop(end, frozenset()))
        if ports:
            cells[end] = ports
        elif not cells:
            del self._cells[found]

    def _ports(self, found: PeerClass, end: End) -> Iterator[Port]:
        """What is allowed between a class and a pod, names resolved."""
        for peer in found.peers:
            yield from _resolved(self._allowing.get(peer, {}).get(end, ()), found)
        of_everyone = self._allowing.get(EVERYONE, {}).get(end, ())
        if found is _EVERYONE:
            yield from _resolved(of_everyone, found)
        elif found.ports and of_everyone:
            yield from _resolved((each for each in of_everyone if isinstance(each, NamedPort)), found)


def _resolved(ports: Iterable[Port], of: PeerClass) -> Iterator[Port]:
    for port in ports:
        if not isinstance(port, NamedPort):
            yield port
            continue
        for each in of.ports:
            if (each.name, each.protocol) == (port.name, port.protocol):
                yield PortRange(each.protocol, each.number, each.number)


def _of_subject(address: IPAddress, subject: Subject) -> Iterator[Element]:
    yield layout.known(address, str(subject.pod))
    yield layout.itself(address)
    for direction in Direction:
        if subject.allowed(direction) is not None:
            yield layout.isolation(direction, address)


def _of_cell(number: int, end: End, ports: frozenset[Port]) -> Iterator[Element]:
    direction, address = end
    if ANY_TRAFFIC in ports:
        yield layout.everything(direction, number, address)
        return
    for protocol, first, last in _merged(ports):
        if first == last:
            yield layout.port(direction, number, address, protocol, first)
        else:
            yield layout.port_range(layout.port_ranges(direction), number, address, protocol, first, last)


def _merged(ports: Iterable[Port]) -> Iterator[tuple[Protocol, int, int]]:
    """Ranges that don't overlap: the kernel takes no others."""
    found: list[tuple[Protocol, int, int]] = []
    ranges = (each for each in ports if not isinstance(each, NamedPort | AnyTraffic))
    for each in sorted(ranges, key=lambda each: (each.protocol, each.first, each.last)):
        if found and found[-1][0] is each.protocol and each.first <= found[-1][2] + 1:
            found[-1] = (each.protocol, found[-1][1], max(found[-1][2], each.last))
        else:
            found.append((each.protocol, each.first, each.last))
    yield from found
