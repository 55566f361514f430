"""What an expression may cost at most, before it ever runs: from how large its variables may be.

Upstream: cel-go's checker/cost.go, and apiserver's cel/library/cost.go for Kubernetes' own functions. Sizes
are followed through the expression together with the types that they belong to.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from wellhead.api.cel.ast import (
    Call,
    Comprehension,
    CreateList,
    CreateMap,
    Expression,
    Identifier,
    Literal,
    Select,
)
from wellhead.api.cel.types import DYN, ListOf, MapOf, ObjectOf, Scalar, Type
from wellhead.api.cel.values import size

_TRAVERSAL, _REGEX = 0.1, 0.25
_AUTHORIZATION = 350_000
_LIST, _MAP, _STRUCT = 10, 30, 40
_FORMAT_REGEX = 128


@dataclass(frozen=True)
class _Part:
    """A part of an expression: the most it costs, and the most that its value's size is."""

    cost: float
    most: float = 1
    type: Type = DYN


def estimated_cost(expression: Expression, variables: Mapping[str, Type]) -> float:
    """The most that an evaluation costs; infinite if nothing bounds it."""
    return _estimate(expression, {name: _value_of(of, 1) for name, of in variables.items()}).cost


def _value_of(type: Type, cost: float) -> _Part:
    return _Part(cost, _most(type), type)


def _most(type: Type) -> float:
    match type:
        case ListOf() | MapOf():
            return type.most
        case Scalar("string" | "bytes" | "dyn"):
            return type.most
    return 1


def _times(count: float, each: float) -> float:
    return 0 if not count or not each else count * each


def _through(most: float, factor: float = _TRAVERSAL) -> float:
    return math.ceil(most * factor) if math.isfinite(most) else most


def _estimate(node: Expression, known: Mapping[str, _Part]) -> _Part:
    match node:
        case Literal(_, value):
            return _Part(0, size(value))
        case Identifier(_, name):
            return known.get(name, _Part(1))
        case Select():
            return _select(node, known)
        case Call():
            return _call(node, known)
        case CreateList(_, elements):
            parts = [_estimate(each, known) for each in elements]
            most = max((part.most for part in parts), default=0)
            element = parts[0].type if parts else DYN
            if isinstance(element, Scalar):
                element = Scalar(element.name, most)
            return _Part(_LIST + sum(part.cost for part in parts), len(parts), ListOf(element, len(parts)))
        case CreateMap(_, entries, message):
            cost = sum(
                _estimate(entry.key, known).cost + _estimate(entry.value, known).cost for entry in entries
            )
            return _Part(cost + (_STRUCT if message else _MAP), len(entries), MapOf(DYN, len(entries)))
        case Comprehension():
            return _comprehension(node, known)


def _select(node: Select, known: Mapping[str, _Part]) -> _Part:
    operand = _estimate(node.operand, known)
    if node.test_only:
        return _Part(operand.cost)
    match operand.type:
        case ObjectOf(fields) if node.field in fields:
            return _value_of(fields[node.field], operand.cost + 1)
        case MapOf(value):
            return _value_of(value, operand.cost + 1)
    return _value_of(DYN, operand.cost + 1)


def _comprehension(node: Comprehension, known: Mapping[str, _Part]) -> _Part:
    over = _estimate(node.over, known)
    start = _estimate(node.start, known)
    inside = dict(known)
    inside.update(zip(node.variables, _elements(over.type, len(node.variables)), strict=True))
    inside[node.accumulator] = _Part(1, start.most, start.type)
    condition, step = _estimate(node.condition, inside), _estimate(node.step, inside)
    grown = over.most if isinstance(start.type, ListOf | MapOf) else start.most
    made = start.type
    if isinstance(made, ListOf):
        made = ListOf(_step_element(node.step, inside), grown)
    result = _estimate(node.result, {**inside, node.accumulator: _Part(1, grown, made)})
    cost = over.cost + start.cost + _times(over.most, condition.cost + step.cost) + result.cost
    return _Part(cost, grown, made)


def _step_element(step: Expression, known: Mapping[str, _Part]) -> Type:
    """What a macro that makes a list adds in each step."""
    if isinstance(step, Call) and step.function == "_?_:_":
        step = step.arguments[1]
    if isinstance(step, Call) and step.function == "_+_":
        added = _estimate(step.arguments[1], known).type
        if isinstance(added, ListOf):
            return added.element
    return DYN


def _elements(type: Type, count: int) -> list[_Part]:
    match type:
        case ListOf(element):
            found = [_Part(1), _value_of(element, 1)]
        case MapOf(value):
            key = _value_of(Scalar("string", type.most_key), 1)
            found = [key, _value_of(value, 1)]
            return found if count == 2 else found[:1]
        case _:
            found = [_value_of(DYN, 1), _value_of(DYN, 1)]
    return found if count == 2 else found[1:]


def _call(node: Call, known: Mapping[str, _Part]) -> _Part:
    parts = [_estimate(each, known) for each in node.arguments]
    before = sum(part.cost for part in parts)
    match node.function:
        case "_&&_" | "_||_" | "@not_strictly_false":
            return _Part(before)
        case "_?_:_":
            condition, then, otherwise = parts
            larger = then if then.most >= otherwise.most else otherwise
            return _Part(condition.cost + max(then.cost, otherwise.cost), larger.most, larger.type)
        case "_[_]" | "_?._" | "_[?_]":
            return _at(parts[0].type, node.arguments[1], before + 1)
        case "orValue" | "or":
            larger = max(parts, key=lambda part: part.most)
            return _Part(before + 1, larger.most, larger.type)
        case "value" | "optional.of" | "dyn" | "optional.ofNonZeroValue":
            return _Part(before + 1, parts[0].most, parts[0].type)
    charged = _FUNCTIONS.get(node.function)
    own = _Part(1) if charged is None or not parts else charged(parts)
    return _Part(before + own.cost, own.most, own.type)


def _at(type: Type, key: Expression, cost: float) -> _Part:
    match type:
        case ListOf(element):
            return _value_of(element, cost)
        case MapOf(value):
            return _value_of(value, cost)
        case ObjectOf(fields) if isinstance(key, Literal) and key.value in fields:
            return _value_of(fields[key.value], cost)
    return _value_of(DYN, cost)


_Parts = list[_Part]


def _text(cost: float, most: float) -> _Part:
    return _Part(cost, most, Scalar("string", most))


def _same_text(factor: float) -> Callable[[_Parts], _Part]:
    return lambda parts: _text(_through(parts[0].most, factor), parts[0].most)


def _traversed(at: int) -> Callable[[_Parts], _Part]:
    return lambda parts: _Part(_through(parts[at].most if at < len(parts) else 1))


def _each_element(parts: _Parts) -> _Part:
    listed = parts[0]
    if not isinstance(listed.type, ListOf):
        return _Part(_through(listed.most))
    element = listed.type.element
    each = 1 + (_through(_most(element)) if element in _texts(element) else 0)
    return _Part(_times(listed.most, each), _most(element), element)


def _texts(type: Type) -> tuple[Type, ...]:
    return (type,) if isinstance(type, Scalar) and type.name in ("string", "bytes") else ()


def _compared(parts: _Parts) -> _Part:
    return _Part(max(1, _through(min((part.most for part in parts), default=1))))


def _matched(parts: _Parts) -> _Part:
    pattern = _through(parts[1].most, _REGEX) if len(parts) > 1 else 1
    return _Part(_times(_through(parts[0].most + 1), pattern), parts[0].most)


def _added(parts: _Parts) -> _Part:
    most = sum(part.most for part in parts)
    first = parts[0].type
    if isinstance(first, ListOf):
        return _Part(1, most, ListOf(first.element, most))
    return _text(_through(most), most)


def _product(factor: float) -> Callable[[_Parts], _Part]:
    def charged(parts: _Parts) -> _Part:
        if len(parts) < 2:
            return _Part(1)
        return _Part(_times(_through(parts[0].most, factor), _through(parts[1].most, factor)))

    return charged


def _replaced(parts: _Parts) -> _Part:
    if len(parts) < 3:
        return _text(1, math.inf)
    most = _times(parts[0].most + 1, max(1, parts[2].most)) + parts[0].most
    return _text(_through(parts[0].most, 2 * _TRAVERSAL), most)


def _split(parts: _Parts) -> _Part:
    text = parts[0].most
    return _Part(_through(text, 2 * _TRAVERSAL), text, ListOf(Scalar("string", text), text))


def _joined(parts: _Parts) -> _Part:
    listed = parts[0]
    each = _most(listed.type.element) if isinstance(listed.type, ListOf) else math.inf
    most = _times(listed.most, each + (parts[1].most if len(parts) > 1 else 0))
    return _text(_through(most), most)


def _selector(parts: _Parts) -> _Part:
    length = parts[1].most if len(parts) > 1 else 1
    return _Part(10 + _through(length) + _through(length, 0.5) * 50)


def _whole_list(parts: _Parts) -> _Part:
    return _Part(max(1, parts[0].most), parts[0].most, parts[0].type)


_UNBOUNDED = _Part(math.inf, math.inf)

_FUNCTIONS: dict[str, Callable[[_Parts], _Part]] = {
    **dict.fromkeys(("isSorted", "sum", "max", "min", "indexOf", "lastIndexOf"), _each_element),
    **dict.fromkeys(("url", "lowerAscii", "upperAscii", "substring", "trim", "reverse"), _same_text(0.1)),
    **dict.fromkeys(("jsonpatch.escapeKey", "string", "bytes", "charAt"), _same_text(0.1)),
    **dict.fromkeys(("cidr", "isIP", "isCIDR", "ip", "quantity", "isQuantity", "semver"), _traversed(0)),
    **dict.fromkeys(("isSemver", "isURL", "timestamp", "duration"), _traversed(0)),
    **dict.fromkeys(("startsWith", "endsWith"), _traversed(1)),
    **dict.fromkeys(("_==_", "_!=_", "_<_", "_<=_", "_>_", "_>=_"), _compared),
    **dict.fromkeys(("matches", "find", "findAll"), _matched),
    **dict.fromkeys(("sets.contains", "sets.equivalent", "sets.intersects"), _product(1)),
    **dict.fromkeys(("fieldSelector", "labelSelector"), _selector),
    **dict.fromkeys(("distinct", "sort", "slice", "flatten"), _whole_list),
    "check": lambda _parts: _Part(_AUTHORIZATION),
    "contains": _product(_TRAVERSAL),
    "replace": _replaced,
    "split": _split,
    "join": _joined,
    "format": lambda _parts: _text(1, math.inf),
    "ip.isCanonical": _same_text(0.2),
    "_+_": _added,
    "@in": lambda parts: _Part(parts[1].most),
    "validate": lambda parts: _Part(_through(parts[1].most) * _FORMAT_REGEX * _REGEX),
    "lists.range": lambda _parts: _UNBOUNDED,
}
