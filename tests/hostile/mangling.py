"""A good value, spoilt in one place: each of its parts in turn becomes something else."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

ANYTHING: tuple[object, ...] = (
    None,
    True,
    0,
    1.5,
    -1,
    1 << 62,
    "",
    "x",
    "\x00\x1b[31m",
    "²",
    [],
    [None],
    [1],
    ["x"],
    [[]],
    [{}],
    {},
    {"a": 1},
    {"a": {"a": {}}},
    {"metadata": {"name": 1}},
    {"kind": [], "apiVersion": {}},
)


def mangled(value: Any) -> Iterator[Any]:
    """The value, and each of its parts, replaced by each of ANYTHING."""
    yield from ANYTHING
    for path in _paths(value, ()):
        for other in ANYTHING:
            copy = msgspec.json.decode(msgspec.json.encode(value))
            at = copy
            for part in path[:-1]:
                at = at[part]
            at[path[-1]] = other
            yield copy


def _paths(value: Any, path: tuple[str | int, ...]) -> Iterator[tuple[str | int, ...]]:
    if not isinstance(value, dict | list):
        return
    for part, each in value.items() if isinstance(value, dict) else enumerate(value):
        yield (*path, part)
        yield from _paths(each, (*path, part))
