"""Which addresses are in which blocks: the whole of a family's addresses, cut where blocks begin and end."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from ipaddress import ip_address
from itertools import pairwise
from typing import NamedTuple

from wellhead.ip import Family, IPAddress, IPNetwork
from wellhead.policies.policy import Block


class Stretch(NamedTuple):
    """Addresses that are in the same blocks, the last one included."""

    first: IPAddress
    last: IPAddress
    blocks: frozenset[Block]


def stretches(blocks: Iterable[Block], family: Family) -> tuple[Stretch, ...]:
    """All addresses that are in any block, in order; neighbours differ."""
    # At each address where something changes: what begins and ends there, +1 or -1, around and in holes.
    around: defaultdict[int, list[tuple[Block, int]]] = defaultdict(list)
    holes: defaultdict[int, list[tuple[Block, int]]] = defaultdict(list)
    for block in blocks:
        if block.network.version == family:
            _cut(around, block, block.network)
            for each in block.excepted:
                _cut(holes, block, each)
    inside: set[Block] = set()
    in_holes: Counter[Block] = Counter()
    found: list[Stretch] = []
    cuts = sorted(around.keys() | holes.keys())
    for start, end in pairwise(cuts):
        for block, step in around.get(start, ()):
            (inside.add if step > 0 else inside.discard)(block)
        for block, step in holes.get(start, ()):
            in_holes[block] += step
        here = frozenset(each for each in inside if not in_holes[each])
        if not here:
            continue
        first, last = _address(start, family), _address(end - 1, family)
        if found and found[-1].blocks == here and int(found[-1].last) + 1 == start:
            found[-1] = found[-1]._replace(last=last)
        else:
            found.append(Stretch(first, last, here))
    return tuple(found)


def _cut(cuts: defaultdict[int, list[tuple[Block, int]]], block: Block, network: IPNetwork) -> None:
    cuts[int(network.network_address)].append((block, 1))
    cuts[int(network.broadcast_address) + 1].append((block, -1))


def _address(number: int, family: Family) -> IPAddress:
    return ip_address(number.to_bytes(4 if family is Family.IPV4 else 16, "big"))
