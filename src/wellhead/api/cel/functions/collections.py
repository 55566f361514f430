"""Lists, sets, optional values, maps: Kubernetes' list library, cel-go's lists, sets and optional types."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from functools import cmp_to_key
from itertools import pairwise
from typing import Any

from wellhead.api.cel.functions.table import Function, function
from wellhead.api.cel.values import (
    NONE,
    EvaluationError,
    Optional,
    Span,
    UInt,
    equal,
    identity,
    integer,
    less,
    no_such_overload,
    optional,
    span,
    unsigned,
)

_LONGEST_RANGE = 1_000_000


def _is_sorted(values: list[Any]) -> bool:
    return all(not less(after, before) for before, after in pairwise(values))


def _sum(values: list[Any]) -> Any:
    if not values:
        return 0
    kinds = {type(value) for value in values}
    if kinds == {int}:
        return integer(sum(values))
    if kinds == {UInt}:
        return unsigned(sum(values))
    if kinds == {float}:
        return float(sum(values))
    if kinds == {Span}:
        return span(sum(value.nanos for value in values))
    raise no_such_overload()


def _most(name: str, better: Callable[[Any, Any], bool]) -> Callable[[list[Any]], Any]:
    def choose(values: list[Any]) -> Any:
        if not values:
            raise EvaluationError(f"{name} called on empty list")
        best = values[0]
        for value in values[1:]:
            if better(value, best):
                best = value
        return best

    return choose


def _index_of(values: list[Any], wanted: Any) -> int:
    return next((index for index, value in enumerate(values) if equal(value, wanted)), -1)


def _last_index_of(values: list[Any], wanted: Any) -> int:
    return next((index for index in reversed(range(len(values))) if equal(values[index], wanted)), -1)


def _slice(values: list[Any], start: int, end: int) -> list[Any]:
    if start < 0 or end < 0:
        raise EvaluationError(f"cannot slice({start}, {end}), negative indexes not supported")
    if start > end:
        raise EvaluationError(
            f"cannot slice({start}, {end}), start index must be less than or equal to end index"
        )
    if end > len(values):
        raise EvaluationError(f"cannot slice({start}, {end}), list is length {len(values)}")
    return values[start:end]


def _flatten(values: list[Any], depth: int = 1) -> list[Any]:
    if depth < 0:
        raise EvaluationError("level must be non-negative")
    flat: list[Any] = []
    for value in values:
        if isinstance(value, list) and depth > 0:
            flat += _flatten(value, depth - 1)
        else:
            flat.append(value)
    return flat


def distinct(values: list[Any]) -> list[Any]:
    """The first of all that are equal."""
    kept: dict[Hashable, Any] = {}
    for value in values:
        kept.setdefault(identity(value), value)
    return [*kept.values()]


def _sort(values: list[Any]) -> list[Any]:
    return sorted(values, key=cmp_to_key(_compare))


def _sorted_by(values: list[Any], keys: list[Any]) -> list[Any]:
    order = cmp_to_key(_compare)
    pairs = sorted(zip(keys, values, strict=True), key=lambda pair: order(pair[0]))
    return [value for _, value in pairs]


def _compare(a: Any, b: Any) -> int:
    return -1 if less(a, b) else int(less(b, a))


def _range(count: int) -> list[int]:
    if count > _LONGEST_RANGE:
        raise EvaluationError(f"lists.range({count}) is too long")
    return list(range(count))


def _contains(values: list[Any], wanted: list[Any]) -> bool:
    return all(any(equal(each, value) for value in values) for each in wanted)


def _intersects(left: list[Any], right: list[Any]) -> bool:
    return any(equal(a, b) for a in left for b in right)


def _value(held: Optional) -> Any:
    if not held.present:
        raise EvaluationError("optional.none() dereference")
    return held.value


def _of_non_zero(value: Any) -> Optional:
    return NONE if value in (None, False, 0, "", b"", [], {}) else optional(value)


def _first(values: list[Any]) -> Optional:
    return optional(values[0]) if values else NONE


def _last(values: list[Any]) -> Optional:
    return optional(values[-1]) if values else NONE


def _insert(target: dict[Any, Any], key: Any, value: Any = None) -> dict[Any, Any]:
    added = key if isinstance(key, dict) else {key: value}
    for each in added:
        if each in target:
            raise EvaluationError(f"insert failed: key {each} already exists")
    return target | added


def _unwrapped(values: list[Any]) -> list[Any]:
    return [each.value for each in values if isinstance(each, Optional) and each.present]


COLLECTIONS: tuple[Function, ...] = (
    function("list<A> -> isSorted(): bool", _is_sorted),
    function("list<A> -> sum(): A", _sum),
    function("list<A> -> max(): A", _most("max", lambda value, best: less(best, value))),
    function("list<A> -> min(): A", _most("min", less)),
    function("list<A> -> indexOf(A): int", _index_of),
    function("list<A> -> lastIndexOf(A): int", _last_index_of),
    function("sets.contains(list<A>, list<A>): bool", _contains),
    function("sets.equivalent(list<A>, list<A>): bool", lambda a, b: _contains(a, b) and _contains(b, a)),
    function("sets.intersects(list<A>, list<A>): bool", _intersects),
)

BEHIND_MACROS: tuple[Function, ...] = (
    function("optional.of(A): optional_type<A>", optional),
    function("optional.ofNonZeroValue(A): optional_type<A>", _of_non_zero),
    function("optional.none(): optional_type<A>", lambda: NONE),
    function("list<A> -> first(): optional_type<A>", _first),
    function("list<A> -> last(): optional_type<A>", _last),
    function("optional_type<A> -> hasValue(): bool", lambda held: held.present),
    function("optional_type<A> -> value(): A", _value),
    function("optional.unwrap(list<A>): list<A>", _unwrapped),
    function("list<A> -> unwrapOpt(): list<A>", _unwrapped),
    function("cel.@mapInsert(map<A, B>, A, B): map<A, B>", _insert),
    function("cel.@mapInsert(map<A, B>, map<A, B>): map<A, B>", _insert),
    function("list<A> -> slice(int, int): list<A>", _slice),
    function("list<dyn> -> flatten(): list<dyn>", _flatten),
    function("list<dyn> -> flatten(int): list<dyn>", _flatten),
    function("list<A> -> distinct(): list<A>", distinct),
    function("list<A> -> reverse(): list<A>", lambda values: values[::-1]),
    function("list<A> -> sort(): list<A>", _sort),
    function("lists.range(int): list<int>", _range),
    function("list<A> -> @sortByAssociatedKeys(list<B>): list<A>", _sorted_by),
)
"""What the checker's own extensions declare."""
