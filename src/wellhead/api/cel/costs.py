"""What a call costs when it is made: cel-go's count, and Kubernetes' for its own functions.

Upstream: cel-go's interpreter/runtimecost.go, apiserver's cel/library/cost.go.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from wellhead.api.cel.values import size, traversal

PER_CALL_LIMIT = 1_000_000
"""Of one evaluation of one expression."""
_AUTHORIZATION = 350_000
_REGEX_FACTOR = 0.25
_SELECTOR_BASE, _REQUIREMENT = 10, 50

_Values = tuple[Any, ...]


def call_cost(name: str, values: _Values) -> int:
    """Before the call is made, so that what costs too much isn't."""
    counted = _COSTS.get(name)
    return 1 if counted is None else counted(values)


def _deep(value: Any) -> int:
    """Going through a value and all that is in it."""
    if isinstance(value, str | bytes):
        return math.ceil(len(value) * 0.1)
    if isinstance(value, list):
        return sum(map(_deep, value))
    if isinstance(value, dict):
        return sum(_deep(key) + _deep(item) for key, item in value.items())
    return 1


def _first(values: _Values) -> int:
    return traversal(values[0]) if values else 1


def _twice(values: _Values) -> int:
    return traversal(values[0], 0.2) if values else 1


def _all(values: _Values) -> int:
    return _deep(values[0]) if values else 1


def _pairwise(values: _Values) -> int:
    return max(1, math.ceil(min(map(_weight, values)) * 0.1)) if len(values) == 2 else 1


def _weight(value: Any) -> int:
    return _deep(value) * 10 if isinstance(value, list | dict) else size(value)


def _regex(values: _Values) -> int:
    if len(values) < 2:
        return 1
    return math.ceil((1 + size(values[0])) * 0.1) * math.ceil(size(values[1]) * _REGEX_FACTOR)


def _contains(values: _Values) -> int:
    return traversal(values[0]) * traversal(values[1]) if len(values) == 2 else 1


def _added(values: _Values) -> int:
    if len(values) == 2 and isinstance(values[0], str | bytes):
        return math.ceil((size(values[0]) + size(values[1])) * 0.1)
    return max(1, sum(map(size, values)) // 10)


def _replaced(values: _Values) -> int:
    if len(values) < 3 or not all(isinstance(each, str) for each in values[:3]):
        return 1
    text, old, new = values[:3]
    times = text.count(old) if old else len(text) + 1
    return math.ceil((2 * len(text) + times * len(new)) * 0.1)


def _joined(values: _Values) -> int:
    if not values or not isinstance(values[0], list):
        return 1
    separator = size(values[1]) if len(values) > 1 else 0
    return math.ceil((sum(map(size, values[0])) + separator * len(values[0])) * 0.2)


def _selector(values: _Values) -> int:
    length = size(values[1]) if len(values) > 1 else 0
    return _SELECTOR_BASE + math.ceil(length * 0.1) + math.ceil(length * 0.5) * _REQUIREMENT


def _product(values: _Values) -> int:
    return max(1, math.prod(size(each) for each in values[:2]))


def _by_size(values: _Values) -> int:
    return max(1, size(values[0])) if values else 1


def _validated(values: _Values) -> int:
    return math.ceil(traversal(values[1]) * 128 * _REGEX_FACTOR) if len(values) > 1 else 1


def _range(values: _Values) -> int:
    return max(1, values[0]) if values and isinstance(values[0], int) else 1


_COSTS: dict[str, Callable[[_Values], int]] = {
    **dict.fromkeys(("startsWith", "endsWith"), lambda values: traversal(values[-1])),
    **dict.fromkeys(("bytes", "string", "quote", "strings.quote", "format"), _all),
    **dict.fromkeys(("url", "isURL", "lowerAscii", "upperAscii", "substring", "trim", "reverse"), _first),
    **dict.fromkeys(("cidr", "isIP", "isCIDR", "ip", "jsonpatch.escapeKey"), _first),
    **dict.fromkeys(("quantity", "isQuantity", "semver", "isSemver"), _first),
    **dict.fromkeys(("ip.isCanonical", "split"), _twice),
    **dict.fromkeys(("isSorted", "sum", "max", "min", "indexOf", "lastIndexOf", "distinct", "flatten"), _all),
    **dict.fromkeys(("_==_", "_!=_", "_<_", "_<=_", "_>_", "_>=_"), _pairwise),
    **dict.fromkeys(("matches", "find", "findAll"), _regex),
    **dict.fromkeys(("sets.contains", "sets.equivalent", "sets.intersects"), _product),
    **dict.fromkeys(("sort", "slice", "cel.@mapInsert", "timestamp", "duration", "int", "double"), _by_size),
    **dict.fromkeys(("fieldSelector", "labelSelector"), _selector),
    "check": lambda _values: _AUTHORIZATION,
    "replace": _replaced,
    "join": _joined,
    "contains": _contains,
    "validate": _validated,
    "_+_": _added,
    "lists.range": _range,
}
