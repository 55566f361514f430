"""The OpenAPI v2 document in Protobuf, the only form in which kubectl accepts it.

kubectl reads it to validate what the server can't validate as one object, a `v1 List` above all. The message
is `openapi.v2.Document` of gnostic's OpenAPIv2.proto. Only what kubectl reads is in it: the definitions, with
types, references and extensions. All of its fields are strings, booleans and messages, so that two lines of
wire format do (https://protobuf.dev/programming-guides/encoding).
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from wellhead.api.meta import Obj

MEDIA_TYPE = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf"
ASKED_FOR_AS = "application/com.github.proto-openapi.spec.v2@v1.0+protobuf"
"""How clients ask for it: a media type that can't be one, so that answers name the other."""

_LENGTH_DELIMITED = 2


def encode_v2(document: Obj) -> bytes:
    """The bytes of an OpenAPI v2 document's definitions."""
    info = _text(1, document["info"]["title"]) + _text(2, document["info"]["version"])
    definitions = (_named(name, _schema(schema)) for name, schema in document["definitions"].items())
    return _text(1, document["swagger"]) + _field(2, info) + _field(9, _repeated(1, definitions))


def _schema(schema: Obj) -> bytes:
    """A `Schema`. A keyword that is not known here is a defect: it would silently not be validated."""
    parts = []
    for keyword, value in schema.items():
        match keyword:
            case "$ref":
                parts.append(_text(1, value))
            case "format":
                parts.append(_text(2, value))
            case "description":
                parts.append(_text(4, value))
            case "required":
                parts.append(_repeated(19, (name.encode() for name in value)))
            case "additionalProperties":
                parts.append(_field(21, _field(1, _schema(value))))
            case "type":
                parts.append(_field(22, _text(1, value)))
            case "items":
                parts.append(_field(23, _field(1, _schema(value))))
            case "properties":
                properties = (_named(name, _schema(each)) for name, each in value.items())
                parts.append(_field(25, _repeated(1, properties)))
            case _ if keyword.startswith("x-"):
                as_yaml = msgspec.json.encode(value).decode()  # JSON is YAML
                parts.append(_field(31, _named(keyword, _text(2, as_yaml))))
            case _:
                raise ValueError(f"OpenAPI v2 schema keyword {keyword!r} has no Protobuf form here")
    return b"".join(parts)


def _named(name: str, value: bytes) -> bytes:
    """A `NamedSchema` or `NamedAny`."""
    return _text(1, name) + _field(2, value)


def _text(number: int, value: str) -> bytes:
    return _field(number, value.encode())


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
