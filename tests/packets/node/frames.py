"""Ethernet frames as a pod with a raw socket can make them, byte by byte."""

from __future__ import annotations

import struct
from ipaddress import ip_address

NODE_MAC = "ee:ee:ee:ee:ee:ee"
UDP, ICMP, TCP, IPIP, IPV6_IN, GRE, ICMPV6 = 17, 1, 6, 4, 41, 47, 58


def ethernet(payload: bytes, kind: int, source: str, to: str = NODE_MAC) -> bytes:
    return _mac(to) + _mac(source) + struct.pack("!H", kind) + payload


def ip(source: str, to: str, protocol: int, payload: bytes, *, offset: int = 0, more: bool = False) -> bytes:
    """A packet of the addresses' family. In IPv6 a fragment has a header of its own."""
    if ":" not in to:
        fragment = offset >> 3 | more << 13
        header = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(payload), 7, fragment, 64, protocol, 0)
        header += ip_address(source).packed + ip_address(to).packed
        return header[:10] + struct.pack("!H", checksum(header)) + header[12:] + payload
    if offset or more:
        payload = struct.pack("!BBHI", protocol, 0, offset | more, 7) + payload
        protocol = 44
    hops = 255 if protocol == ICMPV6 else 64
    header = struct.pack("!IHBB", 6 << 28, len(payload), protocol, hops)
    return header + ip_address(source).packed + ip_address(to).packed + payload


def udp(source: str, to: str, data: bytes, port: int = 9) -> bytes:
    content = struct.pack("!HHHH", 4000, port, 8 + len(data), 0) + data
    return content[:6] + struct.pack("!H", _over(source, to, UDP, content) or 0xFFFF) + content[8:]


def syn(source: str, to: str, data: bytes) -> bytes:
    content = struct.pack("!HHIIBBHHH", 4000, 80, 1, 0, 0x50, 2, 1000, 0, 0) + data
    return content[:16] + struct.pack("!H", _over(source, to, TCP, content)) + content[18:]


def echo(source: str, to: str, data: bytes) -> bytes:
    """An echo request of the family."""
    return icmp(source, to, 8 if ":" not in to else 128, struct.pack("!HH", 1, 1) + data)


def icmp(source: str, to: str, kind: int, rest: bytes) -> bytes:
    content = struct.pack("!BBH", kind, 0, 0) + rest
    total = _over(source, to, ICMPV6, content) if ":" in to else checksum(content)
    return content[:2] + struct.pack("!H", total) + content[4:]


def solicitation(source: str, target: str, mac: str) -> bytes:
    """A neighbour solicitation, whole; without a link-layer address from `::`."""
    group = ip_address(b"\xff\x02" + bytes(9) + b"\x01\xff" + ip_address(target).packed[-3:])
    option = b"" if source == "::" else b"\x01\x01" + _mac(mac)
    content = icmp(source, str(group), 135, bytes(4) + ip_address(target).packed + option)
    return ethernet(
        ip(source, str(group), ICMPV6, content), 0x86DD, mac, "33:33:" + group.packed[-4:].hex(":")
    )


def arp_request(sender: str, target: str, mac: str) -> bytes:
    content = struct.pack("!HHBBH", 1, 0x0800, 6, 4, 1) + _mac(mac) + ip_address(sender).packed
    return ethernet(content + bytes(6) + ip_address(target).packed, 0x0806, mac, "ff:ff:ff:ff:ff:ff")


def checksum(data: bytes) -> int:
    data += b"\0" * (len(data) % 2)
    total: int = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def _over(source: str, to: str, protocol: int, content: bytes) -> int:
    """The checksum with the pseudo header of the family (RFC 768, RFC 8200)."""
    ends = ip_address(source).packed + ip_address(to).packed
    form = "!HH" if len(ends) == 8 else "!IHxB"
    numbers = (protocol, len(content)) if len(ends) == 8 else (len(content), 0, protocol)
    return checksum(ends + struct.pack(form, *numbers) + content)


def _mac(text: str) -> bytes:
    return bytes.fromhex(text.replace(":", ""))
