"""What a call costs when it is made: cel-go's count, and Kubernetes' for its own functions.

Upstream: cel-go's interpreter/runtimecost.go, apiserver's cel/library/cost.go.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from wellhead.api.cel.values import Opaque, size, traversal

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
        return len(value if isinstance(value, bytes) else value.encode()) // 10
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
    if len(values) != 2:
        return 1
    if isinstance(values[0], Opaque):
        return 1
    return math.ceil(min(map(size, values)) * 0.1)


def _regex(values: _Values) -> int:
    if len(values) < 2:
        return 1
    return math.ceil((1 + size(values[0])) * 0.1) * math.ceil(size(values[1]) * _REGEX_FACTOR)


def _contains(values: _Values) -> int:
    return traversal(values[0]) * traversal(values[1]) if len(values) == 2 else 1


def _added(values: _Values) -> int:
    if len(values) == 2 and isinstance(values[0], str | bytes):
        return math.ceil((size(values[0]) + size(values[1])) * 0.1)
    return 1


def _joined(values: _Values) -> int:
    if not values or not isinstance(values[0], list):
        return 1
    separator = size(values[1]) if len(values) > 1 else 0
    return math.ceil((sum(map(size, values[0])) + separator * len(values[0])) * 0.2)


def _selector(values: _Values) -> int:
    length = size(values[1]) if len(values) > 1 else 0
    return _SELECTOR_BASE + math.ceil(length * 0.1) + math.ceil(length * 0.5) * _REQUIREMENT


def _product(values: _Values) -> int:
    return 1 + math.prod(size(each) for each in values[:2])


def _both_ways(values: _Values) -> int:
    return 1 + 2 * math.prod(size(each) for each in values[:2])


_MADE_LIST = 11


def _compared(at: int) -> Callable[[_Values], int]:
    """Each element is compared with each other."""

    def counted(values: _Values) -> int:
        keys = values[at] if at < len(values) else None
        if not isinstance(keys, list):
            return 1
        factor = 2.1 if keys and isinstance(keys[0], str | bytes) else 2.0
        return int(len(keys) * len(keys) * factor) + _MADE_LIST

    return counted


def _reversed(values: _Values) -> int:
    if values and isinstance(values[0], list):
        return len(values[0]) + _MADE_LIST
    return 1


def _flattened(values: _Values) -> int:
    depth = values[1] if len(values) > 1 and isinstance(values[1], int) else 1
    return size(values[0]) * max(depth, 0) + _MADE_LIST if values else 1


def _sliced(values: _Values) -> int:
    if len(values) < 3 or not all(isinstance(each, int) for each in values[1:]):
        return 1
    return int(max(values[2] - values[1], 0)) + _MADE_LIST


def _validated(values: _Values) -> int:
    if len(values) < 2:
        return 1
    pattern = getattr(values[0], "pattern_size", 1)
    return math.ceil((1 + size(values[1])) * 0.1) * math.ceil(pattern * _REGEX_FACTOR)


def _range(values: _Values) -> int:
    return max(0, values[0]) + _MADE_LIST if values and isinstance(values[0], int) else 1


def _to_bytes(values: _Values) -> int:
    return traversal(values[0]) if values and isinstance(values[0], str | bytes) else 1


def _to_text(values: _Values) -> int:
    return traversal(values[0]) if values and isinstance(values[0], bytes) else 1


def _address(values: _Values) -> int:
    """`ip()`: of a CIDR it is there already."""
    return _first(values) if values and isinstance(values[0], str) else 1


_COSTS: dict[str, Callable[[_Values], int]] = {
    **dict.fromkeys(("startsWith", "endsWith", "quote", "strings.quote", "format"), _first),
    **dict.fromkeys(("url", "lowerAscii", "upperAscii", "substring", "trim"), _first),
    **dict.fromkeys(("cidr", "isIP", "isCIDR", "jsonpatch.escapeKey"), _first),
    **dict.fromkeys(("quantity", "isQuantity", "semver", "isSemver"), _first),
    **dict.fromkeys(("ip.isCanonical", "split", "replace"), _twice),
    **dict.fromkeys(("isSorted", "sum", "max", "min", "indexOf", "lastIndexOf"), _all),
    **dict.fromkeys(("_==_", "_!=_", "_<_", "_<=_", "_>_", "_>=_"), _pairwise),
    **dict.fromkeys(("matches", "find", "findAll"), _regex),
    **dict.fromkeys(("sets.contains", "sets.intersects"), _product),
    **dict.fromkeys(("sort", "distinct"), _compared(0)),
    **dict.fromkeys(("fieldSelector", "labelSelector"), _selector),
    "@sortByAssociatedKeys": _compared(1),
    "sets.equivalent": _both_ways,
    "dyn": lambda _values: 0,
    "check": lambda _values: _AUTHORIZATION,
    "bytes": _to_bytes,
    "string": _to_text,
    "ip": _address,
    "join": _joined,
    "contains": _contains,
    "validate": _validated,
    "reverse": _reversed,
    "flatten": _flattened,
    "slice": _sliced,
    "_+_": _added,
    "lists.range": _range,
}
