"""SPDY/3.1 frames, as far as `kubectl port-forward` needs them: bytes in, frames out, and back.

HTTP/2 came of it and nobody keeps a library for it, but client-go still forwards ports over it, inside of a
WebSocket. Flow control is not part of this: client-go neither sends window updates nor heeds them.
Source: "SPDY Protocol - Draft 3.1", sections 2.2 (framing) and 2.6 (control frames, header block).
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

_VERSION = 3
_SYN_STREAM, _SYN_REPLY, _RST_STREAM, _PING, _GOAWAY, _HEADERS = 1, 2, 3, 6, 7, 8
_STREAM = 0x7FFFFFFF  # a stream's number has 31 bits
_FIN = 1  # the flag that ends the sender's side of a stream
PROTOCOL_ERROR = 1  # a status of RST_STREAM
_FRAME_LIMIT = 1 << 20  # bytes; client-go's frames have 32 KiB
_HEADERS_LIMIT = 16 << 10  # bytes

_DICTIONARY_NAMES = (
    "options head post put delete trace accept accept-charset accept-encoding accept-language accept-ranges "
    "age allow authorization cache-control connection content-base content-encoding content-language "
    "content-length content-location content-md5 content-range content-type date etag expect expires from "
    "host if-match if-modified-since if-none-match if-range if-unmodified-since last-modified location "
    "max-forwards pragma proxy-authenticate proxy-authorization range referer retry-after server te trailer "
    "transfer-encoding upgrade user-agent vary via warning www-authenticate method get status"
)
_DICTIONARY_REST = (
    "100101201202205206300302303304305306307402405406407408409410411412413414415416417502504505"
    "203 Non-Authoritative Information204 No Content301 Moved Permanently400 Bad Request401 Unauthorized"
    "403 Forbidden404 Not Found500 Internal Server Error501 Not Implemented503 Service Unavailable"
    "Jan Feb Mar Apr May Jun Jul Aug Sept Oct Nov Dec 00:00:00 Mon, Tue, Wed, Thu, Fri, Sat, Sun, GMT"
    "chunked,text/html,image/png,image/jpg,image/gif,application/xml,application/xhtml+xml,text/plain,"
    "text/javascript,publicprivatemax-age=gzip,deflate,sdchcharset=utf-8charset=iso-8859-1,utf-,*,enq=0."
)


def _string(text: str) -> bytes:
    return struct.pack(">I", len(text)) + text.encode()


_DICTIONARY = b"".join(
    _string(name)
    for name in (
        *_DICTIONARY_NAMES.split(),
        *("200 OK", "version", "HTTP/1.1", "url", "public", "set-cookie", "keep-alive", "origin"),
    )
)
DICTIONARY = _DICTIONARY + _DICTIONARY_REST.encode()
"""What both sides' compression of headers begins with."""


Headers = Mapping[str, str]


class ProtocolError(Exception):
    """The peer sends something that isn't SPDY; nothing after it makes sense."""


@dataclass(frozen=True)
class Open:
    """The peer opens a stream. Header names are in lower case."""

    stream: int
    headers: Headers


@dataclass(frozen=True)
class Data:
    """Bytes on a stream; `last` if the peer sends no more."""

    stream: int
    data: bytes
    last: bool


@dataclass(frozen=True)
class Reset:
    """The peer wants no more of a stream."""

    stream: int


@dataclass(frozen=True)
class Ping:
    """To be answered with the same number, if the number is the peer's (a client's are odd)."""

    id: int


@dataclass(frozen=True)
class GoAway:
    """The peer opens no more streams."""


Frame = Open | Data | Reset | Ping | GoAway


class Decoder:
    """The frames in what a peer sends. Those that nobody needs here are left out."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._inflate = zlib.decompressobj(zdict=DICTIONARY)

    def feed(self, data: bytes) -> Iterator[Frame]:
        """The frames that `data` completes. Raises ProtocolError."""
        self._buffer += data
        while len(self._buffer) >= 8:
            first, second = struct.unpack_from(">II", self._buffer)
            flags, length = second >> 24, second & 0xFFFFFF
            if length > _FRAME_LIMIT:
                raise ProtocolError(f"a frame of {length} bytes")
            if len(self._buffer) < 8 + length:
                return
            payload = bytes(self._buffer[8 : 8 + length])
            del self._buffer[: 8 + length]
            if not first >> 31:
                yield Data(first, payload, bool(flags & _FIN))
                continue
            if first >> 16 & 0x7FFF != _VERSION:
                raise ProtocolError(f"version {first >> 16 & 0x7FFF}")
            try:
                frame = self._control(first & 0xFFFF, payload)
            except (struct.error, zlib.error, UnicodeDecodeError) as error:
                raise ProtocolError(f"control frame {first & 0xFFFF}: {error}") from error
            if frame is not None:
                yield frame
                if isinstance(frame, Open) and flags & _FIN:
                    yield Data(frame.stream, b"", last=True)

    def _control(self, kind: int, payload: bytes) -> Frame | None:
        if kind == _SYN_STREAM:  # stream, associated stream, priority, slot, headers
            (stream,) = struct.unpack_from(">I", payload)
            return Open(stream & _STREAM, self._headers(payload[10:]))
        if kind == _RST_STREAM:  # stream, status
            return Reset(struct.unpack(">II", payload)[0] & _STREAM)
        if kind == _PING:
            return Ping(struct.unpack(">I", payload)[0])
        if kind == _GOAWAY:
            return GoAway()
        if kind == _HEADERS:  # their compression goes on where the others' was
            self._headers(payload[4:])
        return None

    def _headers(self, block: bytes) -> dict[str, str]:
        plain = self._inflate.decompress(block, _HEADERS_LIMIT)
        if self._inflate.unconsumed_tail:
            raise ProtocolError("too many headers")
        (count,) = struct.unpack_from(">I", plain)
        position, texts = 4, []
        for _ in range(2 * count):
            (length,) = struct.unpack_from(">I", plain, position)
            texts.append(plain[position + 4 : position + 4 + length].decode())
            position += 4 + length
        return dict(zip(texts[::2], texts[1::2], strict=True))


class Encoder:
    """Frames to send."""

    def __init__(self) -> None:
        self._deflate = zlib.compressobj(zdict=DICTIONARY)

    def reply(self, stream: int) -> bytes:
        """Accept a stream that the peer has opened. To be sent in the order of the calls."""
        no_headers = self._deflate.compress(struct.pack(">I", 0)) + self._deflate.flush(zlib.Z_SYNC_FLUSH)
        return _control(_SYN_REPLY, struct.pack(">I", stream) + no_headers)


def data(stream: int, data: bytes, *, last: bool = False) -> bytes:
    """Bytes on a stream; `last` ends our side of it."""
    return struct.pack(">II", stream, (_FIN if last else 0) << 24 | len(data)) + data


def reset(stream: int) -> bytes:
    """Refuse a stream."""
    return _control(_RST_STREAM, struct.pack(">II", stream, PROTOCOL_ERROR))


def ping(id: int) -> bytes:
    """Answer a ping."""
    return _control(_PING, struct.pack(">I", id))


def _control(kind: int, payload: bytes) -> bytes:
    return struct.pack(">II", 1 << 31 | _VERSION << 16 | kind, len(payload)) + payload
