"""Custom objects in the eyes of CEL: the types of a schema, and a value as one of them.

Upstream: apiserver's cel/common (schemas.go, values.go) and cel/escaping.go.
"""

from __future__ import annotations

import base64
import binascii
import re
from datetime import datetime
from typing import Any

from wellhead.api.cel.functions.standard import duration, timestamp
from wellhead.api.cel.types import BOOL, INT, ListOf, MapOf, ObjectOf, Scalar, Type
from wellhead.api.cel.values import Span
from wellhead.api.custom.schemas import is_embedded, is_int_or_string, items, properties, values
from wellhead.api.meta import Obj

_WORDS = (
    "true false null in as break const continue else for function if import let loop package namespace return"
)
RESERVED = frozenset(f"{_WORDS} var void while".split(" "))
_PARTS = {"__": "__underscores__", ".": "__dot__", "-": "__dash__", "/": "__slash__"}
_SPECIAL = re.compile(r"__|[-./]")
_ALLOWED = re.compile(r"[A-Za-z_./-][A-Za-z0-9_./-]*", re.ASCII)
_REQUEST = 3 * 1024 * 1024  # bytes of the largest
_LONGEST = _REQUEST - 2  # of a text in it
_STRING_FORMATS = {"byte": "bytes", "date": "timestamp", "date-time": "timestamp", "duration": "duration"}
_FORMAT_SIZES = {"date": 12, "date-time": 32, "duration": 32}


def escaped(name: str) -> str | None:
    """The name by which expressions call a field; None if they can't."""
    if name in RESERVED:
        return f"__{name}__"
    if not _ALLOWED.fullmatch(name):
        return None
    return _SPECIAL.sub(lambda match: _PARTS[match[0]], name)


def type_of(schema: Obj, *, resource: bool = False) -> Type | None:
    """The type of values of a schema; None if nothing is said of them: expressions don't see those."""
    if is_int_or_string(schema):
        return Scalar("dyn", _longest(schema))
    match schema.get("type"):
        case "array":
            of = items(schema)
            element = None if of is None else type_of(of, resource=is_embedded(of))
            return None if of is None or element is None else ListOf(element, _most_items(schema, of))
        case "object":
            return _object_type(schema, resource or is_embedded(schema))
        case "string":
            name = _STRING_FORMATS.get(schema.get("format") or "", "string")
            return Scalar(name, _longest(schema))
        case "boolean":
            return BOOL
        case "integer":
            return INT
        case "number":
            # Not double: the checker would refuse a comparison with a whole number, which upstream's takes.
            return Scalar("dyn", 0)
    return None


def _object_type(schema: Obj, resource: bool) -> Type | None:
    of = values(schema)
    if of is not None:
        value = type_of(of, resource=is_embedded(of))
        if value is None:
            return None
        most = _given(schema, "maxProperties", (_REQUEST - 2) // (smallest_size(of) + 6))
        return MapOf(value, most, 0)  # upstream counts keys for nothing
    fields: dict[str, Type] = {}
    for name, each in properties(schema).items():
        called, of_each = escaped(name), type_of(each)
        if called is not None and of_each is not None:
            fields[called] = of_each
    if resource:
        text = Scalar("string", _LONGEST)
        fields |= {"apiVersion": text, "kind": text}
        fields["metadata"] = ObjectOf({"name": text, "generateName": text})
    return ObjectOf(fields)


def _given(schema: Obj, field: str, otherwise: float) -> float:
    found = schema.get(field)
    return float(max(found, 0)) if found is not None else otherwise


def _most_items(schema: Obj, of: Obj) -> float:
    return _given(schema, "maxItems", (_REQUEST - 2) // (smallest_size(of) + 1))


def _longest(schema: Obj) -> float:
    """Of a string, in bytes."""
    form = schema.get("format") or ""
    if form in _FORMAT_SIZES:
        return _FORMAT_SIZES[form]
    if (most := schema.get("maxLength")) is not None:
        return float(max(most, 0) * (1 if form == "byte" else 4))
    if enum := schema.get("enum"):
        return max((len(each.encode()) for each in enum if isinstance(each, str)), default=0)
    return _LONGEST


def is_typed(schema: Obj) -> bool:
    return bool(schema.get("type")) or is_int_or_string(schema)


def smallest_size(schema: Obj) -> int:
    """Bytes of JSON that a value takes at least."""
    if is_int_or_string(schema):
        return 1
    match schema.get("type"):
        case "string":
            return {"date-time": 21, "date": 12, "duration": 3}.get(schema.get("format") or "", 2)
        case "boolean":
            return 4
        case "object":
            size = 2
            for name in schema.get("required") or ():
                each = properties(schema).get(name)
                if each is not None and "default" not in each and is_typed(each):
                    size += len(name) + 4 + smallest_size(each)
            return size
        case "array":
            return 2
    return 1


def to_cel(value: Any, schema: Obj | None, *, resource: bool = False) -> Any:
    """A value as expressions see it: fields under the names that they can say, times as times."""
    if schema is None or value is None or is_int_or_string(schema):
        return value
    if isinstance(value, dict):
        of = values(schema)
        if of is not None:
            return {name: to_cel(item, of, resource=is_embedded(of)) for name, item in value.items()}
        seen: Obj = {}
        for name, each in properties(schema).items():
            if name in value and (called := escaped(name)) is not None:
                seen[called] = to_cel(value[name], each)
        if resource or is_embedded(schema):
            seen |= {name: value[name] for name in ("apiVersion", "kind") if name in value}
            metadata = value.get("metadata")
            if isinstance(metadata, dict):
                seen["metadata"] = {k: metadata[k] for k in ("name", "generateName") if k in metadata}
        return seen
    if isinstance(value, list):
        of = items(schema)
        return [to_cel(item, of, resource=of is not None and is_embedded(of)) for item in value]
    if isinstance(value, str):
        return _text(value, schema.get("format") or "")
    if schema.get("type") == "number" and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if schema.get("type") == "integer" and isinstance(value, float):
        return int(value)
    return value


def _text(value: str, form: str) -> str | bytes | datetime | Span:
    try:
        match form:
            case "byte":
                return base64.b64decode(value, validate=True)
            case "date":
                return timestamp(f"{value}T00:00:00Z")
            case "date-time":
                return timestamp(value)
            case "duration":
                return duration(value)
    except (ValueError, binascii.Error):
        return value
    return value
