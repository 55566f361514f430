"""Elements of interval sets of addresses: where an interval begins, and where it has ended."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from wellhead.ip import IPAddress, IPNetwork, collapse
from wellhead.linux.nftables.objects import Element, ElementKey


def interval(
    name: str, first: IPAddress, last: IPAddress, data: bytes | None = None, comment: str = ""
) -> Iterator[Element]:
    """The elements of one interval of a set or map."""
    yield Element(ElementKey(name, first.packed), data, comment)
    if int(last) + 1 < 1 << last.max_prefixlen:
        yield Element(ElementKey(name, (last + 1).packed, interval_end=True))


def intervals(name: str, networks: Iterable[IPNetwork]) -> Iterator[Element]:
    """The elements of a set of networks."""
    for first, last in _ranges(networks):
        yield from interval(name, first, last)


def _ranges(networks: Iterable[IPNetwork]) -> list[tuple[IPAddress, IPAddress]]:
    """First and last addresses, neighbours joined: the end of one interval can't be the start of another."""
    found: list[tuple[IPAddress, IPAddress]] = []
    for each in collapse(networks):
        first, last = each.network_address, each.broadcast_address
        if found and int(found[-1][1]) + 1 == int(first):
            found[-1] = (found[-1][0], last)
        else:
            found.append((first, last))
    return found
