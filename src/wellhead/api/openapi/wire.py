"""What documents in Protobuf are written with: a message by a table, field by field.

A table says of each keyword its field's number, and how the keyword's value becomes the field's. A keyword
that no table has is a defect, not left out: all forms of a document say the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import msgspec

from wellhead.api.meta import Obj
from wellhead.protobuf import field, text, whole

Write = Callable[[int, Any], bytes]
"""Writes a value as the field of a number."""

Fields = Mapping[str, tuple[int, Write]]
"""A message's table."""


def message(value: Obj, fields: Fields, extensions: int = 0) -> bytes:
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


def boolean(number: int, value: bool) -> bytes:
    return whole(number, value) if value else b""


def choice(number: int, value: bool) -> bytes:
    """A boolean that is one of several forms of a value: false is said, too."""
    return whole(number, value)


def anything(value: Any) -> bytes:
    """An `Any`: a value as YAML."""
    return text(2, msgspec.json.encode(value).decode())


def repeated(number: int, values: Iterable[bytes]) -> bytes:
    return b"".join(field(number, value) for value in values)


TEXTS = each(str.encode)
