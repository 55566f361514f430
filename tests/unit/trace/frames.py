"""Frames as they are on a wire, for tests."""

from __future__ import annotations

import struct
from ipaddress import ip_address

FIN, SYN, RST, PSH, ACK = 1, 2, 4, 8, 16


def ethernet(data: bytes) -> bytes:
    kind = 0x0800 if data[0] >> 4 == 4 else 0x86DD
    return bytes(12) + struct.pack("!H", kind) + data


def ip(source: str, destination: str, protocol: int, data: bytes, ttl: int = 64) -> bytes:
    ends = ip_address(source).packed, ip_address(destination).packed
    if len(ends[0]) == 4:
        head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(data), 0, 0, ttl, protocol, 0)
        return head + ends[0] + ends[1] + data
    return struct.pack("!IHBB", 6 << 28, len(data), protocol, ttl) + ends[0] + ends[1] + data


def tcp(
    ports: tuple[int, int], sequence: int, acknowledged: int = 0, flags: int = SYN, payload: bytes = b""
) -> bytes:
    return struct.pack("!HHIIBBHHH", *ports, sequence, acknowledged, 5 << 4, flags, 0, 0, 0) + payload


def udp(ports: tuple[int, int], payload: bytes) -> bytes:
    return struct.pack("!HHHH", *ports, 8 + len(payload), 0) + payload


def icmp_error(quoted: bytes, *, version: int = 4) -> bytes:
    kind, code = (3, 3) if version == 4 else (1, 4)
    return struct.pack("!BBHI", kind, code, 0, 0) + quoted


def vxlan(frame: bytes) -> bytes:
    return struct.pack("!II", 0x08000000, 7687 << 8) + frame
