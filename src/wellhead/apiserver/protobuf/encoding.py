"""Objects in Kubernetes' Protobuf encoding, for clients that take no other. See `decoding` for its form.

What Go would write as a zero is left out: readers take what is missing for the same.
"""

from __future__ import annotations

import base64
import struct
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from wellhead.api.meta import Obj
from wellhead.apiserver.protobuf.messages import BYTES, FIXED64, MAGIC, SCHEMA, VARINT, message_name, messages
from wellhead.storage.encoding import encode_json

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_ITEMS = 2  # a list's, of whatever kind


def has_message(api_version: str, kind: str) -> bool:
    """Whether objects of a kind, or lists of them, can be written."""
    return bool(message_name(api_version, kind) or message_name(api_version, kind.removesuffix("List")))


def encode_protobuf(obj: Obj) -> bytes:
    """An object or a list, whose kind `has_message`."""
    api_version, kind = obj.get("apiVersion", ""), obj["kind"]
    name = message_name(api_version, kind)
    if name:
        raw = _message(obj, name)
    else:
        item = message_name(api_version, kind.removesuffix("List"))
        metadata = _entry(1, _message(obj.get("metadata") or {}, "meta/v1.ListMeta"))
        raw = metadata + b"".join(_entry(_ITEMS, _message(each, item)) for each in obj.get("items") or ())
    type_meta = _entry(1, api_version.encode()) + _entry(2, kind.encode())
    return MAGIC + _entry(1, type_meta) + _entry(2, raw) + _entry(3, b"") + _entry(4, b"")


def encode_event(seen_as: str, obj: Obj) -> bytes:
    """A watch's event: the object in it is whole, with its own envelope; the event has none."""
    return _entry(1, seen_as.encode()) + _entry(2, _entry(1, encode_protobuf(obj)))


def _message(obj: Obj, name: str) -> bytes:
    return b"".join(_fields(obj, name))


def _fields(obj: Obj, name: str) -> Iterator[bytes]:
    for number, field in messages()[name].items():
        if not field.json:
            if inline := _message(obj, field.type):
                yield _entry(number, inline)
            continue
        value = obj.get(field.json)
        if value is None:
            continue
        if field.type.startswith("{}"):
            for key, each in sorted(value.items()):
                yield _entry(number, _entry(1, key.encode()) + _value(2, each, field.type[2:]))
        elif field.type.startswith("[]"):
            for each in value:
                yield _value(number, each, field.type[2:])
        else:
            yield _value(number, value, field.type)


def _value(number: int, value: Any, kind: str) -> bytes:
    """One field with its value."""
    match kind:
        case "bool" | "int":
            return _varint(number << 3 | VARINT) + _varint(int(value))
        case "float":
            return _varint(number << 3 | FIXED64) + struct.pack("<d", value)
    return _entry(number, _bytes(value, kind))


def _bytes(value: Any, kind: str) -> bytes:
    match kind:
        case "string":
            return str(value).encode()
        case "bytes":
            return base64.b64decode(value)
        case "items":
            return b"".join(_entry(1, each.encode()) for each in value)
        case "quantity":
            return _entry(1, str(value).encode())
        case "intorstring":
            return (
                _value(2, value, "int") if isinstance(value, int) else _value(1, 1, "int") + _text(3, value)
            )
        case "time" | "microtime":
            return _time(value)
        case "raw":
            return _entry(1, encode_json(value))
        case "schemas":
            if isinstance(value, dict):
                return _entry(1, _message(value, SCHEMA))
            return b"".join(_entry(2, _message(each, SCHEMA)) for each in value)
        case "schemaorbool":
            if isinstance(value, bool):
                return _value(1, value, "bool")
            return _value(1, True, "bool") + _entry(2, _message(value, SCHEMA))
        case "schemaorstrings":
            if isinstance(value, dict):
                return _entry(1, _message(value, SCHEMA))
            return b"".join(_text(2, each) for each in value)
    return _message(value, kind)


def _text(number: int, text: str) -> bytes:
    return _entry(number, text.encode())


def _entry(number: int, data: bytes) -> bytes:
    return _varint(number << 3 | BYTES) + _varint(len(data)) + data


def _time(text: str) -> bytes:
    passed = datetime.fromisoformat(text) - _EPOCH
    seconds = passed.days * 86400 + passed.seconds
    return _value(1, seconds, "int") + _value(2, passed.microseconds * 1000, "int")


_SMALL = [bytes([number]) for number in range(0x80)]


def _varint(number: int) -> bytes:
    """Negative ones as two's complement of 64 bits."""
    if 0 <= number < 0x80:
        return _SMALL[number]
    number &= (1 << 64) - 1
    found = bytearray()
    while number > 0x7F:
        found.append(number & 0x7F | 0x80)
        number >>= 7
    found.append(number)
    return bytes(found)
