"""Objects of a kind in which one list or map is very long, wherever the kind has one."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from itertools import pairwise
from typing import Any, NamedTuple

from tests.unit.api.test_any_body import VALID
from wellhead.api.definitions import INT_OR_STRING, QUANTITY, Definitions, Field, definitions
from wellhead.api.meta import Obj
from wellhead.api.resource import Resource

_DEEPEST = 7
_TIME = "2026-01-01T00:00:00Z"


class LongField(NamedTuple):
    """A list or map of a kind, to be filled with entries that are all alike, or all different."""

    resource: Resource
    path: tuple[str | int, ...]
    field: Field
    different: bool

    def __str__(self) -> str:
        return f"{'.'.join(map(str, self.path))} {'different' if self.different else 'alike'}"

    def filled(self, length: int) -> Obj:
        """An object in which it has so many entries."""
        obj: Obj = {"metadata": {"name": "a"}, **copy.deepcopy(VALID.get(self.resource.kind, {}))}
        entries = _entries(definitions(self.resource.gvk), self.field, length, self.different)
        _put(obj, self.path, entries)
        return obj


def long_fields(resource: Resource) -> list[LongField]:
    """All that the kind has."""
    known = definitions(resource.gvk)
    return [
        LongField(resource, path, field, different)
        for path, field in _fields(known, known.root, ())
        for different in (False, True)
    ]


def _fields(
    known: Definitions, type: str, path: tuple[str | int, ...]
) -> Iterator[tuple[tuple[str | int, ...], Field]]:
    """All lists and maps below a type; what is in a list is looked for in its first item."""
    if len(path) > _DEEPEST:
        return
    for name, field in known.fields(type).items():
        here = (*path, name)
        if field.shape in ("list", "map"):
            yield here, field
        if field.shape in ("list", "object"):
            yield from _fields(known, field.type, (*here, 0) if field.shape == "list" else here)


def _entries(known: Definitions, field: Field, length: int, different: bool) -> Any:
    entries = [
        _value(known, field.type or "string", number if different else 0, 2) for number in range(length)
    ]
    if field.shape == "list":
        return entries
    return {f"k{number}": entry for number, entry in enumerate(entries)}


def _value(known: Definitions, type: str, number: int, depth: int) -> Any:
    """Something of the type that says the number; of an object, all that isn't long itself."""
    match type:
        case "string":
            return f"x{number}"
        case "integer" | "int32" | "int64":
            return 1 + number
        case "boolean":
            return True
        case "number":
            return 0.5
    if type in (INT_OR_STRING, QUANTITY):
        return number
    if type.endswith("Time"):
        return _TIME
    fields = known.fields(type) if depth else {}
    return {
        name: _value(known, field.type, number, depth - 1)
        for name, field in fields.items()
        if field.shape in ("scalar", "object")
    }


def _put(obj: Any, path: tuple[str | int, ...], value: Any) -> None:
    for part, following in pairwise(path):
        empty: Any = [] if isinstance(following, int) else {}
        if isinstance(part, int):
            if not obj:
                obj.append(empty)
            obj = obj[part]
        else:
            obj = obj.setdefault(part, empty)
    obj[path[-1]] = value
