"""What a schema makes of a value: unknown fields go, defaults come.

Upstream: apiextensions' schema/pruning, schema/defaulting. Both change the value in place.
"""

from __future__ import annotations

from typing import Any

import msgspec

from wellhead.api.custom.schemas import (
    META_FIELDS,
    child,
    is_embedded,
    items,
    preserves,
    properties,
    values,
)
from wellhead.api.meta import Obj


def prune(value: Any, schema: Obj, *, resource: bool = False) -> list[str]:
    """Drop what the schema doesn't know; the answer is the paths of it. `resource`: it is a whole object."""
    unknown: list[str] = []
    _prune(value, schema, resource, "", unknown)
    return unknown


def _prune(value: Any, schema: Obj | None, resource: bool, path: str, unknown: list[str]) -> None:
    if isinstance(value, list):
        of = items(schema or {})
        if schema is not None and of is None and preserves(schema):
            return
        for index, item in enumerate(value):
            _prune(item, of, of is not None and is_embedded(of), f"{path}[{index}]", unknown)
        return
    if not isinstance(value, dict):
        return
    schema = schema or {}
    known, of = properties(schema), values(schema)
    free = preserves(schema) or (not known and schema.get("additionalProperties") is True)
    for name in list(value):
        if resource and name in META_FIELDS:
            continue
        below = known.get(name, of)
        if below is not None:
            _prune(value[name], below, is_embedded(below), child(path, name), unknown)
        elif not free:
            del value[name]
            unknown.append(child(path, name))


def apply_defaults(value: Any, schema: Obj) -> None:
    """Fill in defaults, wherever what they are a part of is there; nulls that may not be go."""
    if isinstance(value, dict):
        for name, each in properties(schema).items():
            if "default" in each and (
                name not in value or (value[name] is None and not each.get("nullable"))
            ):
                value[name] = copied(each["default"])
            elif name in value and value[name] is None and not each.get("nullable"):
                del value[name]
                continue
            if name in value:
                apply_defaults(value[name], each)
        of = values(schema)
        if of is not None:
            for name in list(value):
                if name in properties(schema):
                    continue
                if value[name] is None and not of.get("nullable"):
                    if "default" not in of:
                        del value[name]
                        continue
                    value[name] = copied(of["default"])
                apply_defaults(value[name], of)
    elif isinstance(value, list) and (of := items(schema)) is not None:
        for index, item in enumerate(value):
            if item is None and "default" in of and not of.get("nullable"):
                value[index] = copied(of["default"])
            apply_defaults(value[index], of)


def has_defaults(schema: Obj) -> bool:
    """Whether reading an old object may find something to fill in."""
    if any("default" in each or has_defaults(each) for each in properties(schema).values()):
        return True
    return any(has_defaults(each) for each in (items(schema), values(schema)) if each is not None)


def copied(value: Any) -> Any:
    return msgspec.json.decode(msgspec.json.encode(value)) if isinstance(value, dict | list) else value


def at(value: Any, path: str) -> Any:
    """The value at a simple path (`.spec.replicas`); None if there is nothing."""
    for name in path.removeprefix(".").split("."):
        if not isinstance(value, dict) or name not in value:
            return None
        value = value[name]
    return value


def put(value: Obj, path: str, what: Any) -> None:
    """Set the value at a simple path."""
    *above, last = path.removeprefix(".").split(".")
    for name in above:
        value = value.setdefault(name, {})
    value[last] = what
