"""The OpenAPI v2 document in Protobuf, the only form in which kubectl accepts it.

kubectl reads it to validate what the server can't validate as one object, a `v1 List` above all; up to 1.26
also to see from the parameters of PATCH whether the server knows `dryRun`. The message is
`openapi.v2.Document` of gnostic's OpenAPIv2.proto. All that our document uses of it are strings, booleans and
messages; `wire` writes them.
"""

from __future__ import annotations

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

MEDIA_TYPE = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf"
ASKED_FOR_AS = "application/com.github.proto-openapi.spec.v2@v1.0+protobuf"
"""How clients ask for it: a media type that can't be one, so that answers name the other."""


def encode_v2(document: Obj) -> bytes:
    """The bytes of an OpenAPI v2 document. Raises ValueError for what it has no form for."""
    return message(document, _DOCUMENT)


def _schema(schema: Obj) -> bytes:
    return message(schema, _SCHEMA, extensions=31)


def _operation(operation: Obj) -> bytes:
    return message(operation, _OPERATION, extensions=13)


def _path_item(methods: Obj) -> bytes:
    return message(methods, _PATH_ITEM, extensions=10)


def _parameter(parameter: Obj) -> bytes:
    """A `ParametersItem`: a message for every place where a parameter may be."""
    where = parameter.get("in")
    if where == "body":
        return field(1, field(1, message(parameter, _BODY_PARAMETER, extensions=6)))
    if where == "query":
        return field(1, field(2, field(3, message(parameter, _QUERY_PARAMETER, extensions=23))))
    if where == "path":
        return field(1, field(2, field(4, message(parameter, _PATH_PARAMETER, extensions=22))))
    raise ValueError(f"OpenAPI v2 parameters in {where!r} have no Protobuf form here")


def _response(response: Obj) -> bytes:
    """A `ResponseValue`."""
    return field(1, message(response, _RESPONSE, extensions=5))


def _additional(value: bool | Obj) -> bytes:
    return choice(2, value) if isinstance(value, bool) else field(1, _schema(value))


_INFO: Fields = {"title": (1, text), "version": (2, text)}

_DOCUMENT: Fields = {
    "swagger": (1, text),
    "info": (2, embedded(lambda info: message(info, _INFO))),
    "paths": (8, mapping(2, _path_item)),
    "definitions": (9, mapping(1, _schema)),
}

_PATH_ITEM: Fields = {
    "get": (2, embedded(_operation)),
    "put": (3, embedded(_operation)),
    "post": (4, embedded(_operation)),
    "delete": (5, embedded(_operation)),
    "patch": (8, embedded(_operation)),
    "parameters": (9, each(_parameter)),
}

_OPERATION: Fields = {
    "tags": (1, TEXTS),
    "description": (3, text),
    "operationId": (5, text),
    "produces": (6, TEXTS),
    "consumes": (7, TEXTS),
    "parameters": (8, each(_parameter)),
    "responses": (9, mapping(1, _response)),
}

_BODY_PARAMETER: Fields = {
    "description": (1, text),
    "name": (2, text),
    "in": (3, text),
    "required": (4, boolean),
    "schema": (5, embedded(_schema)),
}

_QUERY_PARAMETER: Fields = {
    "required": (1, boolean),
    "in": (2, text),
    "description": (3, text),
    "name": (4, text),
    "type": (6, text),
    "uniqueItems": (20, boolean),
}

_PATH_PARAMETER: Fields = {
    "required": (1, boolean),
    "in": (2, text),
    "description": (3, text),
    "name": (4, text),
    "type": (5, text),
    "uniqueItems": (19, boolean),
}

_RESPONSE: Fields = {
    "description": (1, text),
    "schema": (2, embedded(lambda schema: field(1, _schema(schema)))),
}

_SCHEMA: Fields = {
    "$ref": (1, text),
    "format": (2, text),
    "title": (3, text),
    "description": (4, text),
    "default": (5, embedded(anything)),
    "multipleOf": (6, double),
    "maximum": (7, double),
    "exclusiveMaximum": (8, boolean),
    "minimum": (9, double),
    "exclusiveMinimum": (10, boolean),
    "maxLength": (11, whole),
    "minLength": (12, whole),
    "pattern": (13, text),
    "maxItems": (14, whole),
    "minItems": (15, whole),
    "maxProperties": (17, whole),
    "minProperties": (18, whole),
    "required": (19, TEXTS),
    "enum": (20, each(anything)),
    "additionalProperties": (21, embedded(_additional)),
    "example": (30, embedded(anything)),
    "type": (22, embedded(lambda kind: text(1, kind))),
    "items": (23, embedded(lambda schema: field(1, _schema(schema)))),
    "properties": (25, mapping(1, _schema)),
}
