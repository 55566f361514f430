"""Objects in Kubernetes' Protobuf encoding, for clients that take no other. See `decoding` for its form.

What Go would write as a zero is left out: readers take what is missing for the same.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from wellhead.api.meta import Obj
from wellhead.apiserver.protobuf.messages import MAGIC, SCHEMA, message_name, messages
from wellhead.protobuf import double, field, text, whole
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
        metadata = field(1, _message(obj.get("metadata") or {}, "meta/v1.ListMeta"))
        raw = metadata + b"".join(field(_ITEMS, _message(each, item)) for each in obj.get("items") or ())
    type_meta = field(1, api_version.encode()) + field(2, kind.encode())
    return MAGIC + field(1, type_meta) + field(2, raw) + field(3, b"") + field(4, b"")


def encode_event(seen_as: str, obj: Obj) -> bytes:
    """A watch's event: the object in it is whole, with its own envelope; the event has none."""
    return field(1, seen_as.encode()) + field(2, field(1, encode_protobuf(obj)))


def _message(obj: Obj, name: str) -> bytes:
    return b"".join(_fields(obj, name))


def _fields(obj: Obj, name: str) -> Iterator[bytes]:
    for number, known in messages()[name].items():
        if not known.json:
            if inline := _message(obj, known.type):
                yield field(number, inline)
            continue
        value = obj.get(known.json)
        if value is None:
            continue
        if known.type.startswith("{}"):
            for key, each in sorted(value.items()):
                yield field(number, field(1, key.encode()) + _value(2, each, known.type[2:]))
        elif known.type.startswith("[]"):
            for each in value:
                yield _value(number, each, known.type[2:])
        else:
            yield _value(number, value, known.type)


def _value(number: int, value: Any, kind: str) -> bytes:
    """One field with its value."""
    match kind:
        case "bool" | "int":
            return whole(number, int(value))
        case "float":
            return double(number, value)
    return field(number, _bytes(value, kind))


def _bytes(value: Any, kind: str) -> bytes:
    match kind:
        case "string":
            return str(value).encode()
        case "bytes":
            return base64.b64decode(value)
        case "items":
            return b"".join(field(1, each.encode()) for each in value)
        case "quantity":
            return field(1, str(value).encode())
        case "intorstring":
            return _value(2, value, "int") if isinstance(value, int) else _value(1, 1, "int") + text(3, value)
        case "time" | "microtime":
            return _time(value)
        case "raw":
            return field(1, encode_json(value))
        case "schemas":
            if isinstance(value, dict):
                return field(1, _message(value, SCHEMA))
            return b"".join(field(2, _message(each, SCHEMA)) for each in value)
        case "schemaorbool":
            if isinstance(value, bool):
                return _value(1, value, "bool")
            return _value(1, True, "bool") + field(2, _message(value, SCHEMA))
        case "schemaorstrings":
            if isinstance(value, dict):
                return field(1, _message(value, SCHEMA))
            return b"".join(text(2, each) for each in value)
    return _message(value, kind)


def _time(written: str) -> bytes:
    passed = datetime.fromisoformat(written) - _EPOCH
    seconds = passed.days * 86400 + passed.seconds
    return whole(1, seconds) + whole(2, passed.microseconds * 1000)
