"""OpenAPI v3 documents in Protobuf, which kubectl asks for when it wants to know what a server understands.

The message is `openapi.v3.Document` of gnostic's OpenAPIv3.proto; see `wire`.
"""

from __future__ import annotations

from typing import Any

from wellhead.api.meta import Obj
from wellhead.api.openapi.wire import (
    TEXTS,
    Fields,
    anything,
    boolean,
    choice,
    each,
    embedded,
    mapping,
    message,
)
from wellhead.protobuf import double, field, text, whole

MEDIA_TYPE = "application/com.github.proto-openapi.spec.v3.v1.0+protobuf"
ASKED_FOR_AS = "application/com.github.proto-openapi.spec.v3@v1.0+protobuf"
"""How clients ask for it: a media type that can't be one, so that answers name the other."""


def encode_v3(document: Obj) -> bytes:
    """The bytes of an OpenAPI v3 document. Raises ValueError for what it has no form for."""
    return message(document, _DOCUMENT)


def _schema(schema: Obj) -> bytes:
    return message(schema, _SCHEMA, extensions=36)


def _schema_or_reference(schema: Obj) -> bytes:
    if "$ref" in schema:
        return field(2, message({key: schema[key] for key in _REFERENCE if key in schema}, _REFERENCE))
    return field(1, _schema(schema))


def _operation(operation: Obj) -> bytes:
    return message(operation, _OPERATION, extensions=13)


def _path_item(methods: Obj) -> bytes:
    return message(methods, _PATH_ITEM, extensions=14)


def _parameter(parameter: Obj) -> bytes:
    return field(1, message(parameter, _PARAMETER, extensions=14))


def _request_body(body: Obj) -> bytes:
    return field(1, message(body, _REQUEST_BODY, extensions=4))


def _response(response: Obj) -> bytes:
    return field(1, message(response, _RESPONSE, extensions=5))


def _media_type(media: Obj) -> bytes:
    return message(media, _MEDIA_TYPE, extensions=5)


def _additional(value: bool | Obj) -> bytes:
    return choice(2, value) if isinstance(value, bool) else field(1, _schema_or_reference(value))


def _default(value: Any) -> bytes:
    """A `DefaultType`: it can't hold lists and maps, and is empty for them."""
    match value:
        case bool():
            return choice(2, value)
        case int() | float():
            return double(1, value)
        case str():
            return text(3, value)
    return b""


_REFERENCE: Fields = {
    "$ref": (1, text),
    "summary": (2, text),
    "description": (3, text),
}

_INFO: Fields = {"title": (1, text), "description": (2, text), "version": (6, text)}

_COMPONENTS: Fields = {"schemas": (1, mapping(1, _schema_or_reference))}

_DOCUMENT: Fields = {
    "openapi": (1, text),
    "info": (2, embedded(lambda info: message(info, _INFO))),
    "paths": (4, mapping(1, _path_item)),
    "components": (5, embedded(lambda components: message(components, _COMPONENTS))),
}

_PATH_ITEM: Fields = {
    "get": (4, embedded(_operation)),
    "put": (5, embedded(_operation)),
    "post": (6, embedded(_operation)),
    "delete": (7, embedded(_operation)),
    "options": (8, embedded(_operation)),
    "head": (9, embedded(_operation)),
    "patch": (10, embedded(_operation)),
    "parameters": (13, each(_parameter)),
}

_OPERATION: Fields = {
    "tags": (1, TEXTS),
    "summary": (2, text),
    "description": (3, text),
    "operationId": (5, text),
    "parameters": (6, each(_parameter)),
    "requestBody": (7, embedded(_request_body)),
    "responses": (8, mapping(2, _response)),
}

_PARAMETER: Fields = {
    "name": (1, text),
    "in": (2, text),
    "description": (3, text),
    "required": (4, boolean),
    "schema": (10, embedded(_schema_or_reference)),
}

_MEDIA_TYPE: Fields = {"schema": (1, embedded(_schema_or_reference))}

_REQUEST_BODY: Fields = {
    "description": (1, text),
    "content": (2, mapping(1, _media_type)),
    "required": (3, boolean),
}

_RESPONSE: Fields = {
    "description": (1, text),
    "content": (3, mapping(1, _media_type)),
}

_EXTERNAL: Fields = {"description": (1, text), "url": (2, text)}

_SCHEMA: Fields = {
    "nullable": (1, boolean),
    "externalDocs": (6, embedded(lambda docs: message(docs, _EXTERNAL))),
    "example": (7, embedded(anything)),
    "title": (9, text),
    "multipleOf": (10, double),
    "maximum": (11, double),
    "exclusiveMaximum": (12, boolean),
    "minimum": (13, double),
    "exclusiveMinimum": (14, boolean),
    "maxLength": (15, whole),
    "minLength": (16, whole),
    "pattern": (17, text),
    "maxItems": (18, whole),
    "minItems": (19, whole),
    "uniqueItems": (20, boolean),
    "maxProperties": (21, whole),
    "minProperties": (22, whole),
    "required": (23, TEXTS),
    "enum": (24, each(anything)),
    "type": (25, text),
    "allOf": (26, each(_schema_or_reference)),
    "oneOf": (27, each(_schema_or_reference)),
    "anyOf": (28, each(_schema_or_reference)),
    "not": (29, embedded(_schema)),
    "items": (30, embedded(lambda schema: field(1, _schema_or_reference(schema)))),
    "properties": (31, mapping(1, _schema_or_reference)),
    "additionalProperties": (32, embedded(_additional)),
    "default": (33, embedded(_default)),
    "description": (34, text),
    "format": (35, text),
}
