"""From sightings to hops: in which order one connection's packets came through which places, and what became
of their addresses there. Pure.

The kernel's trace has headers and rules but no times and no identity of a packet; frames have times and
headers but no rules. A visit of a place begins with a frame that comes in (or one that is sent there), and
its rules are those whose first chain saw the same headers on the same interface.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from wellhead.linux.numbers import Table
from wellhead.trace.packet import End, Packet, of_frame, of_transport, split_ip
from wellhead.trace.sightings import PacketSeen, RuleSeen, Sighting

DROP, ACCEPT = 0, 1
Ends = tuple[End, End]
Matches = Callable[[Packet], bool]


class Frame(NamedTuple):
    """A packet at an interface."""

    time: int
    interface: str
    outgoing: bool
    packet: Packet
    tunnelled: bool
    """Whether it was seen inside a tunnel's packet."""
    raw: bytes


class Met(NamedTuple):
    """A rule, or the end of a base chain, that the packet met."""

    seen: RuleSeen
    ends: Ends
    """The packet's addresses in that chain."""


@dataclass(frozen=True)
class Hop:
    """One packet's passage through one place."""

    place: str
    frames: tuple[Frame, ...]
    met: tuple[Met, ...] = ()

    @property
    def time(self) -> int:
        return self.frames[0].time if self.frames else 0

    @property
    def arrived(self) -> Ends:
        """The addresses with which the packet came, or was sent here."""
        return self.met[0].ends if self.met and not self._came_in else self.frames[0].packet.ends

    @property
    def left(self) -> Ends:
        """The addresses with which it left, or was delivered here."""
        if self.frames and self.frames[-1].outgoing:
            return self.frames[-1].packet.ends
        return self.met[-1].ends if self.met else self.frames[-1].packet.ends

    @property
    def _came_in(self) -> bool:
        return bool(self.frames) and not self.frames[0].outgoing

    @property
    def interface_in(self) -> str:
        return self.frames[0].interface if self._came_in else ""

    @property
    def interface_out(self) -> str:
        return self.frames[-1].interface if self.frames and self.frames[-1].outgoing else ""

    @property
    def dropped_by(self) -> RuleSeen | None:
        """The rule or policy that ended the packet here."""
        last = self.met[-1].seen if self.met else None
        return last if last is not None and last.verdict == DROP else None

    @property
    def rewrites(self) -> list[Rewrite]:
        """Each change of an address, with the rule that did it; None where no rule was seen to."""
        found: list[Rewrite] = []
        for before, after in zip(self.met, self.met[1:], strict=False):
            if before.ends != after.ends:
                found.append(Rewrite(before.ends, after.ends, _decider(self.met, before)))
        known = found[-1].after if found else self.arrived
        if known != self.left:
            found.append(Rewrite(known, self.left, _decider(self.met, self.met[-1]) if self.met else None))
        return found


class Rewrite(NamedTuple):
    before: Ends
    after: Ends
    rule: RuleSeen | None


def _decider(met: Sequence[Met], last: Met) -> RuleSeen | None:
    """The rule that accepted the packet in the base chain which `last` ended, having translated it.

    A chain that translates ends with the rule's verdict; one that ends with its policy translated nothing.
    """
    seen = last.seen
    return seen if seen.handle and seen.verdict == ACCEPT else None


@dataclass
class _Visit:
    frames: list[Frame] = field(default_factory=list)


def hops(sightings: Iterable[Sighting], matches: Matches, tunnel_ports: frozenset[int]) -> list[Hop]:
    """The passages of the packet that `matches` recognises (each of its repetitions left out), in order of
    time.
    """
    packets: dict[str, list[Frame]] = {}
    rules: dict[str, list[RuleSeen]] = {}
    for each in sightings:
        if isinstance(each, PacketSeen):
            frame = _frame(each, matches, tunnel_ports)
            if frame is not None:
                packets.setdefault(each.place, []).append(frame)
        elif isinstance(each, RuleSeen):
            rules.setdefault(each.place, []).append(each)
    found: list[Hop] = []
    for place in packets.keys() | rules.keys():
        visits = list(_visits(packets.get(place, [])))
        groups = _once(_groups(rules.get(place, []), matches))
        found += _joined(place, visits, groups)
    return sorted(found, key=_order)


def _order(hop: Hop) -> tuple[int, bool, int]:
    """By what routers have taken of its time to live first: clocks of different machines differ."""
    if not hop.frames:
        return 0, True, hop.time
    first = hop.frames[0]
    return -first.packet.ttl, not first.outgoing, first.time


def _frame(seen: PacketSeen, matches: Matches, tunnel_ports: frozenset[int]) -> Frame | None:
    packet = of_frame(seen.frame, tunnel_ports)
    if packet is None:
        return None
    inner = packet.inner is not None and matches(packet.inner)
    if packet.inner is not None and inner:
        packet = packet.inner
    elif not matches(packet):
        return None
    return Frame(seen.time, seen.interface, seen.outgoing, packet, inner, seen.frame)


def _visits(frames: list[Frame]) -> Iterator[_Visit]:
    """A new visit begins with what comes in after something went out. What is sent again is left out."""
    seen: set[tuple[str, bool, Ends, bool]] = set()
    visit = _Visit()
    for frame in sorted(frames, key=lambda each: each.time):
        identity = (frame.interface, frame.outgoing, frame.packet.ends, frame.tunnelled)
        if identity in seen:
            continue
        seen.add(identity)
        if visit.frames and visit.frames[-1].outgoing and not frame.outgoing:
            yield visit
            visit = _Visit()
        visit.frames.append(frame)
    if visit.frames:
        yield visit


def _groups(rules: Sequence[RuleSeen], matches: Matches) -> Iterator[list[Met]]:
    """The rules that one packet met, from our first chain to the last message before the next packet."""
    group: list[Met] = []
    ends: Ends | None = None
    for seen in sorted(rules, key=lambda each: each.order):
        if seen.network:
            packet = _headers(seen)
            if seen.table == Table.TRACE and seen.chain in ("prerouting", "output"):
                if group:
                    yield group
                group = []
                ends = packet.ends if packet is not None and matches(packet) else None
            elif packet is not None and ends is not None:
                ends = packet.ends
        if ends is not None:
            group.append(Met(seen, ends))
    if group:
        yield group


def _headers(seen: RuleSeen) -> Packet | None:
    split = split_ip(seen.network)
    if split is None:
        return None
    source, destination, protocol, ttl, _ = split
    return of_transport(source, destination, protocol, ttl, 0, seen.transport)


def _once(groups: Iterable[list[Met]]) -> list[list[Met]]:
    """Without those of packets that were sent again."""
    kept: dict[tuple[str, str, Ends], list[Met]] = {}
    for group in groups:
        first = group[0]
        kept.setdefault((first.seen.chain, first.seen.interface_in, first.ends), group)
    return list(kept.values())


def _joined(place: str, visits: list[_Visit], groups: list[list[Met]]) -> Iterator[Hop]:
    left = list(groups)
    for visit in visits:
        group = next((each for each in left if _belongs(each, visit)), None)
        if group is not None:
            left.remove(group)
        yield Hop(place, tuple(visit.frames), tuple(group or ()))
    for group in left:  # its frames were not to be seen: sent to an address of its own, or refused at once
        yield Hop(place, (), tuple(group))


def _belongs(group: list[Met], visit: _Visit) -> bool:
    first = group[0]
    came = [frame for frame in visit.frames if not frame.outgoing]
    if first.seen.chain == "output":
        return not came and visit.frames[-1].packet.ends == group[-1].ends
    interfaces = {frame.interface for frame in came}
    return any(frame.packet.ends == first.ends for frame in came) and (
        first.seen.interface_in in interfaces or any(frame.tunnelled for frame in came)
    )
