"""Lists that are sets or maps: no element twice (apiextensions' schema/listtype)."""

from __future__ import annotations

from typing import Any

import msgspec

from wellhead.api.custom.schemas import child, is_set, items, key, map_keys, properties, values
from wellhead.api.errors import Cause
from wellhead.api.meta import Obj


def duplicates(value: Any, schema: Obj) -> list[Cause]:
    """The causes that speak against elements that are there already."""
    causes: list[Cause] = []
    _look(value, schema, "", causes)
    return causes


def _look(value: Any, schema: Obj, path: str, causes: list[Cause]) -> None:
    if isinstance(value, list):
        if is_set(schema):
            causes += [Cause.duplicate(f"{path}[{index}]", value[index]) for index in _repeated(value)]
        elif keys := map_keys(schema):
            identities = [_identity(item, keys) for item in value]
            for index in _repeated(identities):
                causes.append(Cause.duplicate(f"{path}[{index}]", identities[index]))
        of = items(schema)
        if of is not None:
            for index, item in enumerate(value):
                _look(item, of, f"{path}[{index}]", causes)
    elif isinstance(value, dict):
        known, of = properties(schema), values(schema)
        for name, item in value.items():
            if name in known:
                _look(item, known[name], child(path, name), causes)
            elif of is not None:
                _look(item, of, key(path, name), causes)


def _identity(item: Any, keys: tuple[str, ...]) -> Obj:
    return {name: item[name] for name in keys if name in item} if isinstance(item, dict) else {}


def _repeated(elements: list[Any]) -> list[int]:
    """Where an element stands for the second time; a third isn't told."""
    seen: dict[bytes, int] = {}
    found = []
    for index, element in enumerate(elements):
        same = msgspec.json.encode(element, order="sorted")
        times = seen.get(same, 0)
        seen[same] = times + 1
        if times == 1:
            found.append(index)
    return found
