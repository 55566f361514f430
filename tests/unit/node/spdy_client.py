"""The other side of `wellhead.node.server.spdy`: what a client sends."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Mapping

from wellhead.node.server import spdy


class Client:
    """Opens streams; its headers are compressed one after the other."""

    def __init__(self) -> None:
        self._deflate = zlib.compressobj(zdict=spdy.DICTIONARY)

    def open(self, stream: int, headers: Mapping[str, str]) -> bytes:
        strings = [text.encode() for header in headers.items() for text in header]
        plain = struct.pack(">I", len(headers))
        plain += b"".join(struct.pack(">I", len(text)) + text for text in strings)
        block = self._deflate.compress(plain) + self._deflate.flush(zlib.Z_SYNC_FLUSH)
        return control(1, struct.pack(">IIH", stream, 0, 0) + block)


def control(kind: int, payload: bytes) -> bytes:
    return struct.pack(">HHI", 0x8003, kind, len(payload)) + payload
