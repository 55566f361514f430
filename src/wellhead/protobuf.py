"""Writing Protobuf's wire format: fields with their numbers, of which messages are made. Pure.

Source: https://protobuf.dev/programming-guides/encoding.
"""

from __future__ import annotations

import struct

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
"""How a field's value is written; the others are no longer in use."""


def whole(number: int, value: int) -> bytes:
    """An integer of any kind, or a boolean."""
    return varint(number << 3 | VARINT) + varint(value)


def double(number: int, value: float) -> bytes:
    return varint(number << 3 | FIXED64) + struct.pack("<d", value)


def text(number: int, value: str) -> bytes:
    return field(number, value.encode())


def field(number: int, value: bytes) -> bytes:
    """Bytes, or a message in the message."""
    return varint(number << 3 | BYTES) + varint(len(value)) + value


_SMALL = [bytes([value]) for value in range(0x80)]


def varint(value: int) -> bytes:
    """Negative ones as two's complement of 64 bits."""
    if 0 <= value < 0x80:
        return _SMALL[value]
    value &= (1 << 64) - 1
    found = bytearray()
    while value > 0x7F:
        found.append(value & 0x7F | 0x80)
        value >>= 7
    found.append(value)
    return bytes(found)
