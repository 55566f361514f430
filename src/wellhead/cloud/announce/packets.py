"""ARP (RFC 826) and neighbour discovery (RFC 4861) for addresses that no kernel holds: the frames. Pure."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address

from wellhead.ip import IPAddress

ETH_P_ARP, ETH_P_IPV6 = 0x0806, 0x86DD
_BROADCAST = b"\xff" * 6
_ALL_NODES, _ALL_NODES_MAC = IPv6Address("ff02::1"), bytes.fromhex("333300000001")
_SOLICITED_NODE = IPv6Address("ff02::1:ff00:0").packed[:13]
_UNSPECIFIED = IPv6Address("::")

_ARP = struct.Struct("!6s6sHHHBBH6s4s6s4s")
_REQUEST, _REPLY = 1, 2
_IPV6 = struct.Struct("!6s6sHIHBB16s16s")
_ICMPV6 = 58
_SOLICITATION, _ADVERTISEMENT = 135, 136
_SOLICITED, _OVERRIDE = 0x40000000, 0x20000000
_TARGET_LINK_ADDRESS = 2


@dataclass(frozen=True)
class Question:
    """Who has `wanted`? Asked by `asker` from the hardware address `mac`."""

    wanted: IPAddress
    asker: IPAddress
    mac: bytes


def question(frame: bytes) -> Question | None:
    """What an ARP request or neighbour solicitation asks; None for any other frame."""
    kind = int.from_bytes(frame[12:14], "big")
    if kind == ETH_P_ARP and len(frame) >= _ARP.size:
        _, _, _, _, protocol, _, size, operation, mac, asker, _, wanted = _ARP.unpack_from(frame)
        if (protocol, size, operation) == (0x0800, 4, _REQUEST):
            return Question(IPv4Address(wanted), IPv4Address(asker), mac)
    elif kind == ETH_P_IPV6 and len(frame) >= _IPV6.size + 24:
        _, mac, _, _, _, header, hops, asker, _ = _IPV6.unpack_from(frame)
        # A hop limit of 255 proves that no router has passed it on.
        if (header, hops, frame[_IPV6.size], frame[_IPV6.size + 1]) == (_ICMPV6, 255, _SOLICITATION, 0):
            wanted = frame[_IPV6.size + 8 : _IPV6.size + 24]
            return Question(IPv6Address(wanted), IPv6Address(asker), mac)
    return None


def answer(asked: Question, mac: bytes) -> bytes:
    """The frame that tells whoever asked that it is at `mac`."""
    if isinstance(asked.wanted, IPv4Address):
        return _arp(_REPLY, asked.mac, mac, asked.wanted, asked.mac, asked.asker)
    if asked.asker == _UNSPECIFIED:  # somebody wants to give itself this address
        return _advertisement(asked.wanted, mac, _ALL_NODES, _ALL_NODES_MAC, _OVERRIDE)
    assert isinstance(asked.asker, IPv6Address)
    return _advertisement(asked.wanted, mac, asked.asker, asked.mac, _SOLICITED | _OVERRIDE)


def unasked(vip: IPAddress, mac: bytes) -> list[bytes]:
    """The frames that tell everybody that `vip` is at `mac` now.

    Of ARP there are two: some take notice of gratuitous requests only, some of replies only (RFC 5227, 3).
    """
    if isinstance(vip, IPv4Address):
        return [
            _arp(_REQUEST, _BROADCAST, mac, vip, bytes(6), vip),
            _arp(_REPLY, _BROADCAST, mac, vip, _BROADCAST, vip),
        ]
    return [_advertisement(vip, mac, _ALL_NODES, _ALL_NODES_MAC, _OVERRIDE)]


def solicited_node(vip: IPv6Address) -> IPv6Address:
    """The group that a question for this address is sent to."""
    return IPv6Address(_SOLICITED_NODE + vip.packed[13:])


def _arp(
    operation: int, to: bytes, mac: bytes, sender: IPAddress, target_mac: bytes, target: IPAddress
) -> bytes:
    fields = (to, mac, ETH_P_ARP, 1, 0x0800, 6, 4, operation, mac, sender.packed, target_mac, target.packed)
    return _ARP.pack(*fields)


def _advertisement(vip: IPv6Address, mac: bytes, to: IPv6Address, to_mac: bytes, flags: int) -> bytes:
    body = struct.pack("!BBHI", _ADVERTISEMENT, 0, 0, flags) + vip.packed
    body += bytes((_TARGET_LINK_ADDRESS, 1)) + mac
    pseudo = vip.packed + to.packed + struct.pack("!II", len(body), _ICMPV6)
    body = body[:2] + struct.pack("!H", _checksum(pseudo + body)) + body[4:]
    head = (to_mac, mac, ETH_P_IPV6, 0x60000000, len(body), _ICMPV6, 255, vip.packed, to.packed)
    return _IPV6.pack(*head) + body


def _checksum(data: bytes) -> int:
    """The internet checksum (RFC 1071)."""
    total: int = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF
