"""Rules in an order, as what becomes of each port: so that nobody has to ask in that order any more."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from wellhead.ip import Protocol
from wellhead.policies.cluster_policies import Ruling
from wellhead.policies.cluster_policy import Action
from wellhead.policies.followed import PeerClass
from wellhead.policies.policy import EVERYONE, HIGHEST_PORT, AnyTraffic, NamedPort, PortRange


class Portion(NamedTuple):
    """Ports of a protocol that one action is for; None: all protocols without ports."""

    action: Action
    protocol: Protocol | None
    first: int = 0
    last: int = HIGHEST_PORT


def flattened(rulings: Iterable[Ruling], peer: PeerClass) -> list[Portion]:
    """What becomes of what comes from, or goes to, an address of a class. Of rulings the first one counts.

    What is in no portion is the next tier's, as what is passed.
    """
    found: list[Portion] = []
    decided: dict[Protocol | None, list[tuple[int, int]]] = {}
    for ruling in rulings:
        if EVERYONE not in ruling.peers and not ruling.peers & peer.peers:
            continue
        for protocol, first, last in _ports(ruling, peer):
            taken = decided.setdefault(protocol, [])
            free = list(_without(first, last, taken))
            found += (Portion(ruling.action, protocol, *each) for each in free)
            decided[protocol] = sorted([*taken, *free])
    return [each for each in found if each.action is not Action.PASS]


def is_whole(portions: list[Portion]) -> bool:
    """Whether all traffic has one action."""
    everything = {(each, 0, HIGHEST_PORT) for each in (*Protocol, None)}
    return {each[1:] for each in portions} == everything and len({each.action for each in portions}) == 1


def _ports(ruling: Ruling, peer: PeerClass) -> Iterator[tuple[Protocol | None, int, int]]:
    for port in ruling.ports:
        match port:
            case AnyTraffic():
                yield from ((each, 0, HIGHEST_PORT) for each in (*Protocol, None))
            case PortRange():
                yield port.protocol, port.first, port.last
            case NamedPort():
                for each in peer.ports:
                    if (each.name, each.protocol) == (port.name, port.protocol):
                        yield each.protocol, each.number, each.number


def _without(first: int, last: int, taken: list[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """What is left of a range; `taken` is in order and doesn't overlap."""
    for start, end in taken:
        if end < first:
            continue
        if start > last:
            break
        if first < start:
            yield first, start - 1
        first = end + 1
    if first <= last:
        yield first, last
