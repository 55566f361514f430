"""Packets as they are read off the wire or out of the kernel's trace: addresses, ports, and what tells them
apart.

Pure. Sources: RFC 791, RFC 8200, RFC 9293, RFC 768, RFC 792, RFC 4443, RFC 7348.
"""

from __future__ import annotations

import enum
from ipaddress import IPv4Address, IPv6Address
from struct import Struct
from typing import NamedTuple

from wellhead.ip import Family, IPAddress, bracketed

TCP, UDP, ICMP, ICMPV6 = 6, 17, 1, 58
_ETHERNET = 14
_VLAN = 0x8100
_VXLAN_HEADER = 8
_PORTS = Struct("!HH")
_SEQUENCE = Struct("!II")
_SHORT = Struct("!H")
_EXTENSIONS = (0, 43, 60)  # hop-by-hop, routing, destination options: next header, length in eights less one
_FRAGMENT = 44
_QUOTING = {ICMP: (3, 4, 5, 11, 12), ICMPV6: (1, 2, 3, 4)}
"""The types of ICMP that quote the packet which they are about."""


class Flag(enum.IntFlag):
    FIN = 1
    SYN = 2
    RST = 4
    PSH = 8
    ACK = 16


class End(NamedTuple):
    ip: IPAddress
    port: int

    def __str__(self) -> str:
        return f"{bracketed(self.ip)}:{self.port}" if self.port else str(self.ip)


class Packet(NamedTuple):
    """The headers of one packet."""

    protocol: int
    source: End
    destination: End
    ttl: int
    length: int
    flags: Flag = Flag(0)
    sequence: int = 0
    acknowledged: int = 0
    icmp: tuple[int, int] | None = None
    """(type, code)"""
    quoted: Packet | None = None
    """What an ICMP error is about."""
    inner: Packet | None = None
    """What a tunnel carries."""
    payload: bytes = b""

    @property
    def ends(self) -> tuple[End, End]:
        return self.source, self.destination

    @property
    def family(self) -> Family:
        return Family(self.source.ip.version)


def of_frame(frame: bytes, tunnel_ports: frozenset[int] = frozenset()) -> Packet | None:
    """The packet in an Ethernet frame; None if it is of another kind, or cut short."""
    if len(frame) < _ETHERNET:
        return None
    (kind,) = _SHORT.unpack_from(frame, 12)
    start = _ETHERNET
    if kind == _VLAN and len(frame) >= start + 4:
        (kind,) = _SHORT.unpack_from(frame, start + 2)
        start += 4
    if kind not in (Family.IPV4.ethertype, Family.IPV6.ethertype):
        return None
    return of_ip(frame[start:], tunnel_ports)


def of_ip(data: bytes, tunnel_ports: frozenset[int] = frozenset()) -> Packet | None:
    """The packet that begins with an IP header; None if it can't be read."""
    split = split_ip(data)
    if split is None:
        return None
    source, destination, protocol, ttl, header = split
    return of_transport(source, destination, protocol, ttl, len(data), data[header:], tunnel_ports)


def split_ip(data: bytes) -> tuple[IPAddress, IPAddress, int, int, int] | None:
    """(source, destination, transport protocol, TTL, length of the headers)."""
    if len(data) >= 20 and data[0] >> 4 == 4:
        header = (data[0] & 15) * 4
        if (_SHORT.unpack_from(data, 6)[0] & 0x1FFF) != 0:
            return None  # not the first fragment: it has no ports
        return IPv4Address(data[12:16]), IPv4Address(data[16:20]), data[9], data[8], header
    if len(data) >= 40 and data[0] >> 4 == 6:
        source, destination = IPv6Address(data[8:24]), IPv6Address(data[24:40])
        protocol, at = data[6], 40
        while protocol in _EXTENSIONS or protocol == _FRAGMENT:
            if len(data) < at + 8:
                return None
            protocol, at = data[at], at + (8 if protocol == _FRAGMENT else (data[at + 1] + 1) * 8)
        return source, destination, protocol, data[7], at
    return None


def of_transport(
    source: IPAddress,
    destination: IPAddress,
    protocol: int,
    ttl: int,
    length: int,
    data: bytes,
    tunnel_ports: frozenset[int] = frozenset(),
) -> Packet | None:
    """The packet whose transport header `data` begins with."""
    if protocol in (TCP, UDP):
        if len(data) < 8:
            return None
        ports = _PORTS.unpack_from(data)
        ends = End(source, ports[0]), End(destination, ports[1])
        if protocol == UDP:
            payload, inner = data[8:], None
            if ports[1] in tunnel_ports:
                inner = of_frame(payload[_VXLAN_HEADER:])
            return Packet(protocol, *ends, ttl, length, payload=payload, inner=inner)
        sequence, acknowledged = _SEQUENCE.unpack_from(data, 4) if len(data) >= 12 else (_sequence(data), 0)
        flags = Flag(data[13] & 31) if len(data) > 13 else Flag(0)
        offset = (data[12] >> 4) * 4 if len(data) > 12 else len(data)
        return Packet(protocol, *ends, ttl, length, flags, sequence, acknowledged, payload=data[offset:])
    ends = End(source, 0), End(destination, 0)
    if protocol in _QUOTING and len(data) >= 8:
        quoted = of_ip(data[8:]) if data[0] in _QUOTING[protocol] else None
        return Packet(protocol, *ends, ttl, length, icmp=(data[0], data[1]), quoted=quoted)
    return Packet(protocol, *ends, ttl, length)


def _sequence(data: bytes) -> int:
    """An ICMP error needs to quote no more than eight bytes: the ports and the sequence number."""
    return int.from_bytes(data[4:8], "big")
