"""Which networks lie behind other machines, and which bridges keep replies to themselves: what routes and
links say. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from ipaddress import summarize_address_range
from typing import NamedTuple

from wellhead.ip import Family, IPNetwork
from wellhead.services.node import Ways

_TUNNELS = frozenset(
    {"vxlan", "geneve", "wireguard", "ipip", "sit", "ip6tnl", "gre", "gretap", "ip6gre", "tun", "xfrm"}
)
"""Kinds of links that lead to other machines without a gateway."""


class Destination(NamedTuple):
    """What a route of the main table is for. Of several for one network the lowest metric counts."""

    network: IPNetwork
    metric: int


class Link(NamedTuple):
    """A network interface."""

    name: str
    kind: str
    """As `ip -details link` says it; empty for hardware."""


class Hop(NamedTuple):
    """Where a route leads."""

    by_gateway: bool
    device: int
    """An interface's index; 0: none, or several."""


class Way(NamedTuple):
    """Where packets to a network leave by."""

    network: IPNetwork
    interface: str
    by_others: bool
    """Whether by way of another machine."""


def ways_out(routes: Mapping[Destination, Hop], links: Mapping[int, Link]) -> Iterator[Way]:
    """The routes that lead to one interface."""
    for each, hop in routes.items():
        link = links.get(hop.device)
        if link is not None:
            yield Way(each.network, link.name, _leads_to_others(hop, links))


def ways(routes: Mapping[Destination, Hop], links: Mapping[int, Link], *, bridged_unseen: bool) -> Ways:
    """What routes and links say. `bridged_unseen`: what crosses a bridge passes no NAT (no br_netfilter)."""
    best: dict[IPNetwork, tuple[int, Hop]] = {}
    for each, hop in routes.items():
        known = best.get(each.network)
        if known is None or each.metric < known[0]:
            best[each.network] = (each.metric, hop)
    by_others = {network: _leads_to_others(hop, links) for network, (_, hop) in best.items()}
    found = [network for family in Family for network in behind_others(by_others, family)]
    bridges = sorted(each.name for each in links.values() if each.kind == "bridge") if bridged_unseen else ()
    return Ways(tuple(found), tuple(bridges))


def _leads_to_others(hop: Hop, links: Mapping[int, Link]) -> bool:
    link = links.get(hop.device)
    return hop.by_gateway or (link is not None and link.kind in _TUNNELS)


def behind_others(routes: Mapping[IPNetwork, bool], family: Family) -> Iterator[IPNetwork]:
    """Where the longest of some routes leads to another machine; each by whether it does."""
    make = type(family.everywhere.network_address)
    for first, last in _ranges(routes, family):
        yield from summarize_address_range(make(first), make(last))


def _ranges(routes: Mapping[IPNetwork, bool], family: Family) -> Iterator[tuple[int, int]]:
    """Firsts and lasts of these."""
    ordered = sorted(
        (int(each.network_address), -int(each.broadcast_address), by_others)
        for each, by_others in routes.items()
        if each.version == family and each.prefixlen
    )
    start: int | None = None
    last = -1
    for begin, end, by_others in _pieces(ordered):
        if by_others and start is None:
            start = begin
        if by_others:
            last = end
        elif start is not None:
            yield start, last
            start = None
    if start is not None:
        yield start, last


def _pieces(ordered: Iterable[tuple[int, int, bool]]) -> Iterator[tuple[int, int, bool]]:
    """The number line cut where the innermost network changes; what is in none leads to no other machine."""
    open_: list[tuple[int, bool]] = []  # ends, outermost first
    at = 0
    for begin, minus_end, by_others in ordered:
        while open_ and open_[-1][0] < begin:
            end, inner = open_.pop()
            if at <= end:
                yield at, end, inner
                at = end + 1
        if at < begin:
            yield at, begin - 1, open_[-1][1] if open_ else False
            at = begin
        open_.append((-minus_end, by_others))
    while open_:
        end, inner = open_.pop()
        if at <= end:
            yield at, end, inner
            at = end + 1
