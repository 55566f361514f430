"""What was seen of one token, sorted out: its request and the reply, behind a proxy as well. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from wellhead.trace.hops import Ends, Hop, hops
from wellhead.trace.packet import TCP, UDP, Flag, Packet, of_frame
from wellhead.trace.rules import Key
from wellhead.trace.sightings import PacketSeen, Sighting
from wellhead.trace.token import Token


@dataclass(frozen=True)
class Leg:
    number: int
    request: list[Hop]
    reply: list[Hop]


class Seen:
    """What was seen of one token, sorted out as far as headers alone tell."""

    def __init__(
        self, sightings: Sequence[Sighting], token: Token, tunnel_ports: frozenset[int] = frozenset()
    ) -> None:
        self._sightings = sightings
        self._token = token
        self._ports = tunnel_ports
        request = hops(sightings, self._asks, tunnel_ports)
        self._client = request[0].arrived if request else None
        self.legs = [Leg(1, request, hops(sightings, self._answers, tunnel_ports))]
        if (second := self._second()) is not None:
            self.legs.append(second)

    @property
    def rules(self) -> set[Key]:
        """The rules whose texts are needed."""
        return {
            (met.seen.family, met.seen.table, met.seen.chain, met.seen.handle)
            for leg in self.legs
            for hop in (*leg.request, *leg.reply)
            for met in hop.met
            if met.seen.handle
        }

    def rules_of(self, place: str) -> set[Key]:
        return {
            (met.seen.family, met.seen.table, met.seen.chain, met.seen.handle)
            for leg in self.legs
            for hop in (*leg.request, *leg.reply)
            if hop.place == place
            for met in hop.met
            if met.seen.handle
        }

    @property
    def places(self) -> set[str]:
        """Where it was seen."""
        return {hop.place for leg in self.legs for hop in (*leg.request, *leg.reply)}

    @property
    def is_over(self) -> bool:
        """Whether a rule has ended the request, so that nothing can come back any more."""
        return any(hop.dropped_by is not None for hop in self.legs[-1].request)

    def _asks(self, packet: Packet) -> bool:
        return self._token.sent(packet) and (packet.protocol == UDP or packet.flags & ~Flag.PSH == Flag.SYN)

    def _answers(self, packet: Packet) -> bool:
        """The first packet that comes back: SYN/ACK or reset, a datagram, an ICMP error about the request."""
        if packet.quoted is not None:
            return self._token.sent(packet.quoted) or self._is_datagram(packet.quoted)
        if packet.protocol == TCP:
            return self._token.answered(packet) and bool(packet.flags & (Flag.SYN | Flag.RST))
        return packet.protocol == UDP and self._is_reply(packet)

    def _is_datagram(self, packet: Packet) -> bool:
        return packet.protocol == UDP and packet.ends in self._datagrams

    def _is_reply(self, packet: Packet) -> bool:
        return (packet.destination, packet.source) in self._datagrams

    @property
    def _datagrams(self) -> set[Ends]:
        """The ends that the client's datagram had anywhere: replies have them the other way round."""
        found: set[Ends] = set()
        for each in self._sightings:
            if isinstance(each, PacketSeen):
                packet = of_frame(each.frame, self._ports)
                packet = packet.inner or packet if packet is not None else None
                if packet is not None and packet.protocol == UDP and self._token.sent(packet):
                    found.add(packet.ends)
        return found

    def _second(self) -> Leg | None:
        """Behind a terminating proxy: the connection whose payload carries the token."""
        if not self.legs[0].request:
            return None
        first = {hop.arrived for hop in self.legs[0].request} | {hop.left for hop in self.legs[0].request}
        carrying: set[Ends] = set()
        syns: dict[Ends, int] = {}
        for each in self._sightings:
            if isinstance(each, PacketSeen) and (packet := of_frame(each.frame, self._ports)) is not None:
                packet = packet.inner or packet
                if packet.protocol != TCP or self._token.sent(packet) or packet.ends in first:
                    continue
                if packet.flags & (Flag.SYN | Flag.ACK) == Flag.SYN:
                    syns[packet.ends] = packet.sequence
                elif self._token.text.encode() in packet.payload:
                    carrying.add(packet.ends)
        sequences = {syns[ends] for ends in carrying if ends in syns}
        if not sequences:
            return None

        def asks(packet: Packet) -> bool:
            return (
                packet.protocol == TCP
                and packet.flags & (Flag.SYN | Flag.ACK) == Flag.SYN
                and packet.sequence in sequences
            )

        def answers(packet: Packet) -> bool:
            flags = packet.flags & (Flag.SYN | Flag.ACK) == Flag.SYN | Flag.ACK
            return packet.protocol == TCP and flags and (packet.acknowledged - 1) % (1 << 32) in sequences

        request = hops(self._sightings, asks, self._ports)
        return Leg(2, request, hops(self._sightings, answers, self._ports)) if request else None
