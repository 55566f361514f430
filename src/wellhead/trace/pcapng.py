"""The packets of a trace as a pcapng file, which Wireshark opens: one interface per place and device, and a
comment on each packet that says what happened to it there. Pure.

Source: draft-ietf-opsawg-pcapng: section header, interface description and enhanced packet blocks.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from struct import Struct

from wellhead.trace.hops import Hop

_SECTION, _INTERFACE, _PACKET = 0x0A0D0D0A, 1, 6
_MAGIC = 0x1A2B3C4D
_ETHERNET = 1
_OPTION = Struct("<HH")
_BLOCK = Struct("<II")
_END, _COMMENT, _IF_NAME, _IF_RESOLUTION, _PACKET_FLAGS, _APPLICATION = 0, 1, 2, 9, 2, 4
_NANOSECONDS = bytes([9])
_IN, _OUT = 1, 2


def write(hops: Iterable[tuple[Hop, str]], names: Mapping[str, str]) -> bytes:
    """The file. `hops` come with a comment each; `names` has what people call the places."""
    blocks: list[bytes] = []
    interfaces: dict[tuple[str, str], int] = {}
    frames = sorted(
        (
            (frame.time, hop.place, frame.interface, frame.outgoing, frame.raw, comment)
            for hop, comment in hops
            for frame in hop.frames
        ),
        key=lambda each: each[0],
    )
    for _, place, interface, *_ in frames:
        if (place, interface) not in interfaces:
            interfaces[place, interface] = len(interfaces)
            name = f"{names.get(place, place)} {interface}"
            options = _option(_IF_NAME, name.encode()) + _option(_IF_RESOLUTION, _NANOSECONDS)
            blocks.append(_block(_INTERFACE, Struct("<HHI").pack(_ETHERNET, 0, 0) + options + _option(_END)))
    for time, place, interface, outgoing, raw, comment in frames:
        head = Struct("<IIIII").pack(
            interfaces[place, interface], time >> 32, time & 0xFFFFFFFF, len(raw), len(raw)
        )
        flags = (_OUT if outgoing else _IN).to_bytes(4, "little")
        options = _option(_COMMENT, comment.encode()) + _option(_PACKET_FLAGS, flags) + _option(_END)
        blocks.append(_block(_PACKET, head + _padded(raw) + options))
    section = (
        Struct("<IHHq").pack(_MAGIC, 1, 0, -1) + _option(_APPLICATION, b"wellhead trace") + _option(_END)
    )
    return b"".join([_block(_SECTION, section), *blocks])


def _block(kind: int, body: bytes) -> bytes:
    length = len(body) + 12
    return _BLOCK.pack(kind, length) + body + length.to_bytes(4, "little")


def _option(kind: int, value: bytes = b"") -> bytes:
    return _OPTION.pack(kind, len(value)) + _padded(value)


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 4)
