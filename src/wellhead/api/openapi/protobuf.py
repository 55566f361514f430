"""The OpenAPI v2 document in Protobuf, the only form in which kubectl accepts it.

kubectl reads it to validate what the server can't validate as one object, a `v1 List` above all; up to 1.26
also to see from the parameters of PATCH whether the server knows `dryRun`. The message is
`openapi.v2.Document` of gnostic's OpenAPIv2.proto. All that our document uses of it are strings, booleans and
messages, so that a few lines of wire format do (https://protobuf.dev/programming-guides/encoding).

A message is written by a table: keyword → field number, and how the keyword's value becomes the field's. A
keyword that no table has is a defect, not left out: the two forms of the document say the same.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import msgspec

from wellhead.api.meta import Obj

MEDIA_TYPE = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf"
ASKED_FOR_AS = "application/com.github.proto-openapi.spec.v2@v1.0+protobuf"
"""How clients ask for it: a media type that can't be one, so that answers name the other."""

_VARINT, _DOUBLE, _LENGTH_DELIMITED = 0, 1, 2

Write = Callable[[int, Any], bytes]
"""Writes a value as the field of a number."""


def encode_v2(document: Obj) -> bytes:
    """The bytes of an OpenAPI v2 document. Raises ValueError for what it has no form for."""
    return _message(document, _DOCUMENT)


def _message(value: Obj, fields: Mapping[str, tuple[int, Write]], extensions: int = 0) -> bytes:
    """`extensions` is the number under which the message keeps what begins with `x-`."""
    parts = []
    for keyword, each in value.items():
        if keyword in fields:
            number, write = fields[keyword]
            parts.append(write(number, each))
        elif extensions and keyword.startswith("x-"):
            as_yaml = msgspec.json.encode(each).decode()  # JSON is YAML
            parts.append(_field(extensions, _named(keyword, _text(2, as_yaml))))
        else:
            raise ValueError(f"OpenAPI v2 keyword {keyword!r} has no Protobuf form here")
    return b"".join(parts)


def _schema(schema: Obj) -> bytes:
    return _message(schema, _SCHEMA, extensions=31)


def _operation(operation: Obj) -> bytes:
    return _message(operation, _OPERATION, extensions=13)


def _path_item(methods: Obj) -> bytes:
    return _message(methods, _PATH_ITEM, extensions=10)


def _parameter(parameter: Obj) -> bytes:
    """A `ParametersItem`: a message for every place where a parameter may be."""
    where = parameter.get("in")
    if where == "body":
        return _field(1, _field(1, _message(parameter, _BODY_PARAMETER, extensions=6)))
    if where == "query":
        return _field(1, _field(2, _field(3, _message(parameter, _QUERY_PARAMETER, extensions=23))))
    if where == "path":
        return _field(1, _field(2, _field(4, _message(parameter, _PATH_PARAMETER, extensions=22))))
    raise ValueError(f"OpenAPI v2 parameters in {where!r} have no Protobuf form here")


def _response(response: Obj) -> bytes:
    """A `ResponseValue`."""
    return _field(1, _message(response, _RESPONSE, extensions=5))


def _embedded(encode: Callable[[Any], bytes]) -> Write:
    return lambda number, value: _field(number, encode(value))


def _each(encode: Callable[[Any], bytes]) -> Write:
    return lambda number, values: _repeated(number, map(encode, values))


def _map(entries: int, encode: Callable[[Any], bytes]) -> Write:
    """A map, as a message that holds a list of names and values under the number `entries`."""
    return lambda number, values: _field(
        number, _repeated(entries, (_named(name, encode(value)) for name, value in values.items()))
    )


def _named(name: str, value: bytes) -> bytes:
    """A `NamedSchema`, `NamedAny`, `NamedPathItem` …: the names and values of all maps."""
    return _text(1, name) + _field(2, value)


def _text(number: int, value: str) -> bytes:
    return _field(number, value.encode())


def _boolean(number: int, value: bool) -> bytes:
    return _varint(number << 3 | _VARINT) + _varint(1) if value else b""


def _whole(number: int, value: int) -> bytes:
    return _varint(number << 3 | _VARINT) + _varint(value)


def _double(number: int, value: float) -> bytes:
    return _varint(number << 3 | _DOUBLE) + struct.pack("<d", value)


def _any(value: Any) -> bytes:
    """An `Any`: a value as YAML."""
    return _text(2, msgspec.json.encode(value).decode())


def _additional(value: bool | Obj) -> bytes:
    return _boolean(2, value) if isinstance(value, bool) else _field(1, _schema(value))


def _repeated(number: int, values: Iterable[bytes]) -> bytes:
    return b"".join(_field(number, value) for value in values)


def _field(number: int, value: bytes) -> bytes:
    """A string or an embedded message."""
    return _varint(number << 3 | _LENGTH_DELIMITED) + _varint(len(value)) + value


def _varint(value: int) -> bytes:
    encoded = bytearray()
    while value > 0x7F:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)


_TEXTS = _each(str.encode)

_INFO: Mapping[str, tuple[int, Write]] = {"title": (1, _text), "version": (2, _text)}

_DOCUMENT: Mapping[str, tuple[int, Write]] = {
    "swagger": (1, _text),
    "info": (2, _embedded(lambda info: _message(info, _INFO))),
    "paths": (8, _map(2, _path_item)),
    "definitions": (9, _map(1, _schema)),
}

_PATH_ITEM: Mapping[str, tuple[int, Write]] = {
    "get": (2, _embedded(_operation)),
    "put": (3, _embedded(_operation)),
    "post": (4, _embedded(_operation)),
    "delete": (5, _embedded(_operation)),
    "patch": (8, _embedded(_operation)),
    "parameters": (9, _each(_parameter)),
}

_OPERATION: Mapping[str, tuple[int, Write]] = {
    "tags": (1, _TEXTS),
    "description": (3, _text),
    "operationId": (5, _text),
    "produces": (6, _TEXTS),
    "consumes": (7, _TEXTS),
    "parameters": (8, _each(_parameter)),
    "responses": (9, _map(1, _response)),
}

_BODY_PARAMETER: Mapping[str, tuple[int, Write]] = {
    "description": (1, _text),
    "name": (2, _text),
    "in": (3, _text),
    "required": (4, _boolean),
    "schema": (5, _embedded(_schema)),
}

_QUERY_PARAMETER: Mapping[str, tuple[int, Write]] = {
    "required": (1, _boolean),
    "in": (2, _text),
    "description": (3, _text),
    "name": (4, _text),
    "type": (6, _text),
    "uniqueItems": (20, _boolean),
}

_PATH_PARAMETER: Mapping[str, tuple[int, Write]] = {
    "required": (1, _boolean),
    "in": (2, _text),
    "description": (3, _text),
    "name": (4, _text),
    "type": (5, _text),
    "uniqueItems": (19, _boolean),
}

_RESPONSE: Mapping[str, tuple[int, Write]] = {
    "description": (1, _text),
    "schema": (2, _embedded(lambda schema: _field(1, _schema(schema)))),
}

_SCHEMA: Mapping[str, tuple[int, Write]] = {
    "$ref": (1, _text),
    "format": (2, _text),
    "title": (3, _text),
    "description": (4, _text),
    "default": (5, _embedded(_any)),
    "multipleOf": (6, _double),
    "maximum": (7, _double),
    "exclusiveMaximum": (8, _boolean),
    "minimum": (9, _double),
    "exclusiveMinimum": (10, _boolean),
    "maxLength": (11, _whole),
    "minLength": (12, _whole),
    "pattern": (13, _text),
    "maxItems": (14, _whole),
    "minItems": (15, _whole),
    "maxProperties": (17, _whole),
    "minProperties": (18, _whole),
    "required": (19, _TEXTS),
    "enum": (20, _each(_any)),
    "additionalProperties": (21, _embedded(_additional)),
    "example": (30, _embedded(_any)),
    "type": (22, _embedded(lambda kind: _text(1, kind))),
    "items": (23, _embedded(lambda schema: _field(1, _schema(schema)))),
    "properties": (25, _map(1, _schema)),
}
