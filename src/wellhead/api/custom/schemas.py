"""Going through structural schemas: the questions that all who read one ask."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from wellhead.api.meta import Obj

META_FIELDS = ("apiVersion", "kind", "metadata")
ROOT = "<nil>"
"""What a path is called that leads nowhere: the object itself."""


def preserves(schema: Obj) -> bool:
    return bool(schema.get("x-kubernetes-preserve-unknown-fields"))


def is_embedded(schema: Obj) -> bool:
    return bool(schema.get("x-kubernetes-embedded-resource"))


def is_int_or_string(schema: Obj) -> bool:
    return bool(schema.get("x-kubernetes-int-or-string"))


def properties(schema: Obj) -> Mapping[str, Obj]:
    return schema.get("properties") or {}


def items(schema: Obj) -> Obj | None:
    """The schema of a list's items."""
    found = schema.get("items")
    return found if isinstance(found, dict) else None


def values(schema: Obj) -> Obj | None:
    """The schema of a map's values."""
    found = schema.get("additionalProperties")
    return found if isinstance(found, dict) else None


def map_keys(schema: Obj) -> tuple[str, ...]:
    """By which fields items of a list are known; none unless it is a list of type map."""
    if schema.get("x-kubernetes-list-type") != "map":
        return ()
    return tuple(schema.get("x-kubernetes-list-map-keys") or ())


def is_set(schema: Obj) -> bool:
    return schema.get("x-kubernetes-list-type") == "set"


def child(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def key(path: str, name: str) -> str:
    """The path of a map's value."""
    return f"{path}[{name}]"


def shown_path(path: str) -> str:
    return path or ROOT


def correlated(schema: Obj, old: Any, new: list[Any]) -> Iterator[Any]:
    """Of each item of a list, what it was in an older one; None unless its keys tell."""
    keys = map_keys(schema)
    if not keys or not isinstance(old, list):
        yield from itertools.repeat(None, len(new))
        return

    def identity(item: Any) -> bytes | None:
        if not isinstance(item, dict):
            return None
        return msgspec.json.encode([item.get(name) for name in keys], order="sorted")

    # Which of them has the keys first, counts.
    were = {identity(each): each for each in reversed(old)}
    were.pop(None, None)
    for item in new:
        yield were.get(identity(item))


def parts(schema: Obj) -> Iterator[tuple[str, Obj]]:
    """The schemas directly in this one that say where fields are, with their paths from here."""
    for name, each in properties(schema).items():
        yield f"properties[{name}]", each
    if (of := items(schema)) is not None:
        yield "items", of
    if (of := values(schema)) is not None:
        yield "additionalProperties", of


def has(schema: Obj, field: str) -> bool:
    """Whether the schema or one within it has this keyword."""
    return field in schema or any(has(each, field) for _, each in parts(schema))
