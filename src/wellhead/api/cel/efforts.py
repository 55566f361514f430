"""What a call has us go through beyond what upstream counts: its cost is upstream's, and so is its meaning.

Some calls cost one whatever they are about. Within upstream's limits, an expression that writes a long list
out for each of the list's elements would compute for minutes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

_COPIED_AT_ONCE = 20
_EACH_FOUND = 10

_Values = tuple[Any, ...]


def call_effort(name: str, values: _Values) -> int:
    """How many values the call looks at, about; 0 where its cost says it."""
    counted = _EFFORTS.get(name)
    return 0 if counted is None else counted(values)


def _count(value: Any) -> int:
    found = 0
    rest = [value]
    while rest:
        each = rest.pop()
        if isinstance(each, list):
            rest += each
        elif isinstance(each, dict):
            rest += each.values()
        found += 1
    return found


def _compared(values: _Values) -> int:
    return _count(values[0]) if isinstance(values[0], list | dict) and len(values) == 2 else 0


def _written(values: _Values) -> int:
    return sum(map(_count, values))


def _first(values: _Values) -> int:
    return len(values[0]) if values and isinstance(values[0], list) else 0


def _last(values: _Values) -> int:
    return len(values[-1]) if values and isinstance(values[-1], list) else 0


def _found(values: _Values) -> int:
    return len(values[0]) * _EACH_FOUND if values and isinstance(values[0], str) else 0


def _copied(values: _Values) -> int:
    return sum(len(each) for each in values if isinstance(each, list | dict)) // _COPIED_AT_ONCE


_EFFORTS: dict[str, Callable[[_Values], int]] = {
    **dict.fromkeys(("_==_", "_!=_"), _compared),
    **dict.fromkeys(("format", "flatten"), _written),
    **dict.fromkeys(("isSorted", "sum", "max", "min", "indexOf", "lastIndexOf", "join", "unwrapOpt"), _first),
    "optional.unwrap": _last,
    "findAll": _found,
    **dict.fromkeys(("_+_", "cel.@mapInsert"), _copied),
}
