"""What documents in Protobuf are written with: a message by a table, field by field.

A table says of each keyword its field's number, and how the keyword's value becomes the field's. A keyword
that no table has is a defect, not left out: all forms of a document say the same. Our documents use of the
format strings, numbers, booleans and messages (https://protobuf.dev/programming-guides/encoding).
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import msgspec

from wellhead.api.meta import Obj

_VARINT, _DOUBLE, _LENGTH_DELIMITED = 0, 1, 2

Write = Callable[[int, Any], bytes]
"""Writes a value as the field of a number."""


def message(value: Obj, fields: Mapping[str, tuple[int, Write]], extensions: int = 0) -> bytes:
    """`extensions` is the number under which the message keeps what begins with `x-`."""
    parts = []
    for keyword, each in value.items():
        if keyword in fields:
            number, write = fields[keyword]
            parts.append(write(number, each))
        elif extensions and keyword.startswith("x-"):
            as_yaml = msgspec.json.encode(each).decode()  # JSON is YAML
            parts.append(field(extensions, named(keyword, text(2, as_yaml))))
        else:
            raise ValueError(f"OpenAPI keyword {keyword!r} has no Protobuf form here")
    return b"".join(parts)


def embedded(encode: Callable[[Any], bytes]) -> Write:
    return lambda number, value: field(number, encode(value))


def each(encode: Callable[[Any], bytes]) -> Write:
    return lambda number, values: repeated(number, map(encode, values))


def mapping(entries: int, encode: Callable[[Any], bytes]) -> Write:
    """A map, as a message that holds a list of names and values under the number `entries`."""
    return lambda number, values: field(
        number, repeated(entries, (named(name, encode(value)) for name, value in values.items()))
    )


def named(name: str, value: bytes) -> bytes:
    """A `NamedSchema`, `NamedAny`, `NamedPathItem` …: the names and values of all maps."""
    return text(1, name) + field(2, value)


def text(number: int, value: str) -> bytes:
    return field(number, value.encode())


def boolean(number: int, value: bool) -> bytes:
    return varint(number << 3 | _VARINT) + varint(1) if value else b""


def choice(number: int, value: bool) -> bytes:
    """A boolean that is one of several forms of a value: false is said, too."""
    return varint(number << 3 | _VARINT) + varint(int(value))


def whole(number: int, value: int) -> bytes:
    return varint(number << 3 | _VARINT) + varint(value)


def double(number: int, value: float) -> bytes:
    return varint(number << 3 | _DOUBLE) + struct.pack("<d", value)


def anything(value: Any) -> bytes:
    """An `Any`: a value as YAML."""
    return text(2, msgspec.json.encode(value).decode())


def repeated(number: int, values: Iterable[bytes]) -> bytes:
    return b"".join(field(number, value) for value in values)


def field(number: int, value: bytes) -> bytes:
    """A string or an embedded message."""
    return varint(number << 3 | _LENGTH_DELIMITED) + varint(len(value)) + value


def varint(value: int) -> bytes:
    encoded = bytearray()
    while value > 0x7F:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)


TEXTS = each(str.encode)
