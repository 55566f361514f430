"""The elements of one family's table that ClusterNetworkPolicies come to, kept current by single changes."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator

from wellhead.ip import Family, IPAddress
from wellhead.linux.nftables.content import replace_ranges
from wellhead.linux.nftables.objects import Element, Transaction
from wellhead.policies.blocks import Stretch
from wellhead.policies.cluster_policies import ClusterSubject
from wellhead.policies.cluster_policy import Tier
from wellhead.policies.flattening import Portion, flattened, is_whole
from wellhead.policies.followed import Changes, PeerClass
from wellhead.policies.policy import Direction
from wellhead.policy import layout

End = tuple[Direction, IPAddress]
Cells = dict[Tier, list[Portion]]
_EVERYONE = PeerClass(frozenset())


class ClusterRules:
    """See `Ruleset`, whose part this is. A cell says what becomes of packets of one class of peers and a pod.

    Such policies are few, and so are the classes that they tell apart: where a pod's rules change, all
    classes are looked at.
    """

    def __init__(self, family: Family) -> None:
        self._family = family
        self._subjects: dict[IPAddress, ClusterSubject] = {}
        self._peers: dict[IPAddress, PeerClass] = {}
        self._stretches: tuple[Stretch, ...] = ()
        self._uses: Counter[PeerClass] = Counter()
        self._numbers: dict[PeerClass, int] = {_EVERYONE: layout.EVERYONE}
        self._cells: defaultdict[PeerClass, dict[End, Cells]] = defaultdict(dict)

    def elements(self) -> Iterator[Element]:
        """Every element."""
        for address, subject in self._subjects.items():
            yield from _of_subject(address, subject)
        for address, found in self._peers.items():
            yield layout.peer(address, self._numbers[found], layout.CLUSTER_PEERS)
        yield from self._of_stretches()
        for found, cells in self._cells.items():
            for end, said in cells.items():
                yield from _of_cell(self._numbers[found], end, said)

    def update(self, changes: Changes[ClusterSubject], transaction: Transaction) -> None:
        """Take in what changed, and add to a transaction what that changes in the table."""
        before = self._numbers.copy()
        fresh: set[PeerClass] = set()
        for address, (_, found) in changes.classes.items():
            if address.version == self._family:
                self._set_peer(address, found, fresh, transaction)
        if self._family in changes.stretches:
            self._set_stretches(changes.stretches[self._family], fresh, transaction)
        ends = self._set_subjects(changes, transaction)
        for each in [each for each, uses in self._uses.items() if not uses]:
            for end, said in self._cells.pop(each, {}).items():
                transaction.delete_elements += (x.id for x in _of_cell(before[each], end, said))
            del self._uses[each], self._numbers[each]
            fresh.discard(each)
        for found in self._numbers:
            every = fresh and found in fresh
            for end in self._every_end() | ends if every else ends:
                self._set_cell(found, end, transaction)

    def _set_peer(
        self, address: IPAddress, found: PeerClass | None, fresh: set[PeerClass], transaction: Transaction
    ) -> None:
        before = self._peers.pop(address, None)
        if before is not None:
            self._uses[before] -= 1
            transaction.delete_elements.append(layout.peer(address, 0, layout.CLUSTER_PEERS).id)
        if found is not None:
            self._use(found, fresh)
            self._peers[address] = found
            transaction.add_elements.append(layout.peer(address, self._numbers[found], layout.CLUSTER_PEERS))

    def _set_stretches(
        self, found: tuple[Stretch, ...], fresh: set[PeerClass], transaction: Transaction
    ) -> None:
        before, old = [each.id for each in self._of_stretches()], self._stretches
        self._stretches = found
        for each in found:
            self._use(PeerClass(frozenset(each.blocks)), fresh)
        replace_ranges(layout.table(self._family), before, list(self._of_stretches()), transaction)
        for each in old:
            self._uses[PeerClass(frozenset(each.blocks))] -= 1

    def _of_stretches(self) -> Iterator[Element]:
        for each in self._stretches:
            number = self._numbers[PeerClass(frozenset(each.blocks))]
            yield from layout.stretch(each, number, layout.CLUSTER_BLOCKS)

    def _set_subjects(self, changes: Changes[ClusterSubject], transaction: Transaction) -> set[End]:
        """Returns the ends whose rules are others now."""
        ends: set[End] = set()
        for address, (before, now) in changes.subjects.items():
            if address.version != self._family:
                continue
            self._subjects.pop(address, None)
            if now is not None:
                self._subjects[address] = now
            change(
                _of_subject(address, before) if before else (),
                _of_subject(address, now) if now else (),
                transaction,
            )
            for direction in Direction:
                old, new = (each.rulings(direction) if each else () for each in (before, now))
                if old != new:
                    ends.add((direction, address))
        return ends

    def _every_end(self) -> set[End]:
        return {
            (direction, address)
            for address, subject in self._subjects.items()
            for direction in Direction
            if subject.rulings(direction)
        }

    def _use(self, found: PeerClass, fresh: set[PeerClass]) -> None:
        self._uses[found] += 1
        if found not in self._numbers:
            self._numbers[found] = layout.number_of(found.text, set(self._numbers.values()))
            fresh.add(found)

    def _set_cell(self, found: PeerClass, end: End, transaction: Transaction) -> None:
        direction, address = end
        subject, cells = self._subjects.get(address), self._cells[found]
        rulings = subject.rulings(direction) if subject is not None else ()
        old, new = cells.pop(end, {}), {}
        for tier in Tier:
            if said := flattened((each for each in rulings if each.tier is tier), found):
                new[tier] = said
        if new:
            cells[end] = new
        elif not cells:
            del self._cells[found]
        number = self._numbers[found]
        change(_of_cell(number, end, old), _of_cell(number, end, new), transaction)


def change(old: Iterable[Element], new: Iterable[Element], transaction: Transaction) -> None:
    """Turn elements into others."""
    before, after = ({each.id: each for each in elements} for elements in (old, new))
    for at, each in before.items():
        if after.get(at) != each:
            transaction.delete_elements.append(at)
    transaction.add_elements += (each for at, each in after.items() if before.get(at) != each)


def _of_subject(address: IPAddress, subject: ClusterSubject) -> Iterator[Element]:
    for direction in Direction:
        for tier in dict.fromkeys(each.tier for each in subject.rulings(direction)):
            yield layout.judgement(direction, tier, address)


def _of_cell(number: int, end: End, cells: Cells) -> Iterator[Element]:
    direction, address = end
    for tier, portions in cells.items():
        if is_whole(portions):
            sets = layout.Ruled(direction, tier, portions[0].action)
            if sets in layout.RULED:
                yield layout.member(sets.all, number, address)
            continue
        for action, protocol, first, last in _joined(portions):
            sets = layout.Ruled(direction, tier, action)
            if sets not in layout.RULED:
                continue
            if protocol is None:
                yield layout.member(sets.other, number, address)
            else:
                yield layout.port_range(sets.ports, number, address, protocol, first, last)


def _joined(portions: Iterable[Portion]) -> Iterator[Portion]:
    """In order, neighbours that have one action as one: the kernel takes no ranges that touch."""
    found: list[Portion] = []
    for each in sorted(portions, key=lambda each: (each.action, each.protocol or "", each.first)):
        last = found[-1] if found else None
        if last is not None and last[:2] == each[:2] and last.last + 1 == each.first:
            found[-1] = last._replace(last=each.last)
        else:
            found.append(each)
    yield from found
