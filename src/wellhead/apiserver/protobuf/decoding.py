"""A body in Kubernetes' Protobuf encoding as the object that the JSON encoding would have given.

The body is a `runtime.Unknown` behind four magic bytes (apimachinery's serializer/protobuf): which kind it
is, and the kind's message. Go's encoder writes fields that aren't pointers even when they are zero, where its
JSON encoder leaves them out; so are they here, and pointers are kept.
"""

from __future__ import annotations

import base64
import math
import struct
from datetime import UTC, datetime, timedelta
from typing import Any

from wellhead.api.documents import read_json
from wellhead.api.documents.document import too_deep, too_many_values
from wellhead.api.errors import BadRequest, shortened
from wellhead.api.limits import DEFAULTS, Limits
from wellhead.api.meta import Obj
from wellhead.apiserver.protobuf.messages import MAGIC, SCHEMA, message_name, messages
from wellhead.protobuf import BYTES, FIXED32, FIXED64, VARINT
from wellhead.text import quoted

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class _Malformed(ValueError):
    """The bytes aren't what they should be."""


def decode_protobuf(body: bytes, limits: Limits = DEFAULTS) -> Obj:
    """Raises BadRequest: not such a body, or of a kind that isn't served; RequestEntityTooLarge."""
    if not body.startswith(MAGIC):
        raise BadRequest(
            "provided data does not appear to be a protobuf message, expected prefix [107 56 115 0]"
        )
    reader = _Reader(limits)
    try:
        envelope = dict(reader.fields(body[len(MAGIC) :]))
        type_meta = dict(reader.fields(_bytes(envelope.get(1, b""))))
        api_version, kind = (_text(_bytes(type_meta.get(number, b""))) for number in (1, 2))
        name = message_name(api_version, kind)
        if not name:
            known = f"{quoted(shortened(kind))} is registered for version {quoted(shortened(api_version))}"
            raise BadRequest(f"no kind {known}")
        obj = reader.message(_bytes(envelope.get(2, b"")), name)
    except (_Malformed, struct.error, OverflowError) as error:
        raise BadRequest(f"unable to decode the protobuf body: {error}") from None
    return {"apiVersion": api_version, "kind": kind} | obj


class _Reader:
    """Reads messages, and counts what it has read."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._values = 0
        self._depth = 0

    def message(self, data: bytes, name: str) -> Obj:
        """A message of that name."""
        self._depth += 1
        if self._depth > self._limits.nesting:
            raise too_deep("protobuf", self._limits)
        known = messages()[name]
        obj: Obj = {}
        for number, value in self.fields(data):
            field = known.get(number)
            if field is None:
                continue
            if not field.json:
                obj |= self.message(_bytes(value), field.type)
            elif field.type.startswith("{}"):
                self._add_entry(obj.setdefault(field.json, {}), _bytes(value), field.type[2:])
            elif field.type.startswith("[]"):
                obj.setdefault(field.json, []).append(self._value(value, field.type[2:]))
            else:
                decoded = self._value(value, field.type)
                if field.pointer or (decoded is not None and decoded not in ("", 0, False, {}, [])):
                    obj[field.json] = decoded
        self._depth -= 1
        return obj

    def fields(self, data: bytes) -> list[tuple[int, int | bytes]]:
        """The numbers and values of a message, in the order in which they were written."""
        found: list[tuple[int, int | bytes]] = []
        at = 0
        while at < len(data):
            self._values += 1
            if self._values > 2 * self._limits.body_values:  # entries of maps and pointers count twice
                raise too_many_values(self._limits)
            tag, at = _varint(data, at)
            wire = tag & 7
            if wire == VARINT:
                number, at = _varint(data, at)
                found.append((tag >> 3, number))
                continue
            if wire == BYTES:
                length, at = _varint(data, at)
            elif wire in (FIXED64, FIXED32):
                length = 8 if wire == FIXED64 else 4
            else:
                raise _Malformed(f"wire type {wire}")
            if at + length > len(data):
                raise _Malformed("unexpected EOF")
            found.append((tag >> 3, data[at : at + length]))
            at += length
        return found

    def _add_entry(self, entries: Obj, data: bytes, kind: str) -> None:
        entry = dict(self.fields(data))
        entries[_text(_bytes(entry.get(1, b"")))] = self._value(entry.get(2, _zero(kind)), kind)

    def _value(self, value: int | bytes, kind: str) -> Any:
        match kind:
            case "string":
                return _text(_bytes(value))
            case "bool":
                return bool(_integer(value))
            case "int":
                return _integer(value)
            case "float":
                number = struct.unpack("<d", _bytes(value))[0]
                if not math.isfinite(number):
                    raise _Malformed(f"{number} is no number in JSON")
                return number
            case "bytes":
                return base64.b64encode(_bytes(value)).decode()
            case "items":
                return [_text(_bytes(item)) for number, item in self.fields(_bytes(value)) if number == 1]
            case "quantity":
                return _text(_bytes(dict(self.fields(_bytes(value))).get(1, b"")))
            case "intorstring":
                parts = dict(self.fields(_bytes(value)))
                return _text(_bytes(parts.get(3, b""))) if parts.get(1) else _integer(parts.get(2, 0))
            case "time" | "microtime":
                return _time(dict(self.fields(_bytes(value))), "auto" if kind == "time" else "microseconds")
            case "schemas" | "schemaorbool" | "schemaorstrings":
                return self._schema_or_other(_bytes(value), kind)
            case "raw":
                raw = dict(self.fields(_bytes(value))).get(1)
                return read_json(_bytes(raw), self._limits).value if raw else None
        return self.message(_bytes(value), kind)

    def _schema_or_other(self, data: bytes, kind: str) -> Any:
        """apiextensions' unions: a JSON schema, or a list of them, or whether anything goes, or names."""
        fields = self.fields(data)
        schema, other = (1, 2) if kind != "schemaorbool" else (2, 1)
        found = [self.message(_bytes(value), SCHEMA) for number, value in fields if number == schema]
        if found:
            return found[-1]
        values = [value for number, value in fields if number == other]
        if kind == "schemaorbool":
            return bool(values and _integer(values[-1]))
        if kind == "schemas":
            return [self.message(_bytes(value), SCHEMA) for value in values]
        return [_text(_bytes(value)) for value in values]


def _zero(kind: str) -> int | bytes:
    return 0 if kind in ("bool", "int") else b""


def _time(parts: dict[int, int | bytes], precision: str) -> str | None:
    """RFC 3339; a message without fields is Go's zero time, which JSON leaves out."""
    if not parts:
        return None
    seconds, nanoseconds = _integer(parts.get(1, 0)), _integer(parts.get(2, 0))
    moment = _EPOCH + timedelta(seconds=seconds, microseconds=nanoseconds // 1000)
    if precision == "auto":
        moment = moment.replace(microsecond=0)
    return moment.isoformat(timespec=precision).replace("+00:00", "Z")


def _varint(data: bytes, at: int) -> tuple[int, int]:
    number = shift = 0
    while True:
        if at >= len(data) or shift > 63:
            raise _Malformed("unexpected EOF" if at >= len(data) else "a number is too long")
        byte = data[at]
        at += 1
        number |= (byte & 0x7F) << shift
        if byte < 0x80:
            return number, at
        shift += 7


def _integer(value: int | bytes) -> int:
    """Two's complement, as int32 and int64 are written."""
    if isinstance(value, bytes):
        raise _Malformed("a number was expected")
    return value - (1 << 64) if value >= 1 << 63 else value


def _bytes(value: int | bytes) -> bytes:
    if isinstance(value, int):
        raise _Malformed("bytes were expected")
    return value


def _text(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise _Malformed("a string is not UTF-8") from None
