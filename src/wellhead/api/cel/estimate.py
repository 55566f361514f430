"""What an expression may cost at most, before it ever runs: from how large its variables may be.

Upstream: cel-go's checker/cost.go, and apiserver's cel/library/cost.go for Kubernetes' own functions. Sizes
are followed through an expression by where in the variables a value stands. A value that was made (by a
call, by `?:`) stands nowhere, and what is selected from it is looked for from the top of the variables: so
does upstream, and which rules are accepted depends on it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from wellhead.api.cel.ast import (
    Call,
    Checked,
    Comprehension,
    CreateList,
    CreateMap,
    Expression,
    Identifier,
    Literal,
    Select,
    TypeNode,
)
from wellhead.api.cel.estimate_calls import Part, call_cost
from wellhead.api.cel.places import Entries, Place, element, field_of, key
from wellhead.api.cel.sizes import EMPTY, MOST, ONE, Size, product
from wellhead.api.cel.types import Type

_LIST, _MAP, _STRUCT = 10, 30, 40
_DYN = TypeNode("dyn")
_SCALARS = ("bool", "double", "duration", "int", "timestamp", "uint")
_MACRO = ("@result", "__result__")


def estimated_cost(checked: Checked, variables: Mapping[str, Type]) -> int:
    """The most that an evaluation costs; MOST if nothing bounds it."""
    root = next(iter(variables.values()))
    return (
        _Estimate(checked, root).part(checked.root, {name: Place(of) for name, of in variables.items()}).cost
    )


@dataclass(frozen=True)
class _Local:
    """What a name inside a macro stands for."""

    place: Place | None
    size: Size | None
    entries: Entries | None = None


_Known = Mapping[str, Place | _Local]


class _Estimate:
    def __init__(self, checked: Checked, root: Type) -> None:
        self._types = checked.types
        self._root = Place(root)

    def part(self, node: Expression, known: _Known) -> Part:
        match node:
            case Literal(_, value):
                length = len(value) if isinstance(value, str | bytes) else 1
                return Part(0, self._type(node), Size.exactly(length), literal=value)
            case Identifier(_, name):
                return self._identifier(node, known.get(name))
            case Select():
                return self._select(node, known)
            case Call():
                return self._call(node, known)
            case CreateList(_, elements):
                parts = [self.part(each, known) for each in elements]
                return Part(
                    _LIST + sum(each.cost for each in parts),
                    self._type(node),
                    Size.exactly(len(parts)),
                    entries=Entries("list", ONE, _any_of(parts)),
                )
            case CreateMap():
                return self._map(node, known)
            case Comprehension():
                return self._bound(node, known) if _is_binding(node) else self._fold(node, known)

    def _type(self, node: Expression) -> TypeNode:
        return self._types.get(node.id, _DYN)

    def _sized(self, part: Part, otherwise: Size | None = None) -> Part:
        """With the size that its place says, or its type, if it has none of its own."""
        if part.size is not None:
            return part
        size = part.place.size if part.place is not None else None
        if size is None:
            size = ONE if _is_scalar(part.type) else otherwise
        return replace(part, size=size)

    def _identifier(self, node: Identifier, known: Place | _Local | None) -> Part:
        local = known if isinstance(known, _Local) else _Local(known, None)
        part = Part(1, self._type(node), place=local.place, entries=local.entries)
        return self._sized(part, local.size)

    def _select(self, node: Select, known: _Known) -> Part:
        operand = self.part(node.operand, known)
        if node.test_only:
            return Part(operand.cost, self._type(node), ONE)
        of = operand.type.name
        inside = of == "map" or "." in of or (operand.place is not None and operand.place.has_parts)
        place = self._root if operand.place is None else field_of(operand.place, node.field)
        return self._sized(Part(operand.cost + inside, self._type(node), place=place))

    def _map(self, node: CreateMap, known: _Known) -> Part:
        keys = [self.part(each.key, known) for each in node.entries]
        values = [self.part(each.value, known) for each in node.entries]
        cost = sum(each.cost for each in (*keys, *values))
        if node.message:
            return Part(cost + _STRUCT, self._type(node))
        entries = Entries("map", _any_of(keys), _any_of(values))
        return Part(cost + _MAP, self._type(node), Size.exactly(len(keys)), entries=entries)

    def _call(self, node: Call, known: _Known) -> Part:
        parts = [self.part(each, known) for each in node.arguments]
        made = self._made(node, parts)
        made = replace(made, cost=min(made.cost, MOST), type=self._type(node))
        if node.function == "_[_]":
            first = parts[0]
            kept = None if first.entries is None else first.entries.value
            place = self._root if first.place is None else element(first.place)
            made = replace(made, size=kept, place=place)
        return self._sized(made)

    def _made(self, node: Call, parts: list[Part]) -> Part:
        cost = sum(part.cost for part in parts)
        match node.function:
            case "dyn":
                return replace(parts[0], cost=cost + 1, place=None, literal=None)
            case "_&&_" | "_||_":
                return Part(cost)
            case "_?_:_":
                condition, then, otherwise = parts
                return Part(
                    condition.cost + max(then.cost, otherwise.cost),
                    size=then.known | otherwise.known,
                    entries=_either(then.entries, otherwise.entries),
                )
        called = call_cost(node, parts)
        entries = _either(parts[0].entries, parts[1].entries) if node.function == "_+_" else None
        return replace(called, cost=cost + called.cost, entries=entries)

    def _fold(self, node: Comprehension, known: _Known) -> Part:
        over, start = self.part(node.over, known), self.part(node.start, known)
        inside = dict(known) | self._variables(node, over)
        inside[node.accumulator] = _Local(start.place, start.size, start.entries)
        condition, step = self.part(node.condition, inside), self.part(node.step, inside)
        result = self.part(node.result, inside)
        cost = over.cost + start.cost + result.cost
        cost += product(over.known.most, min(condition.cost + step.cost, MOST))
        made = Part(min(cost, MOST), self._type(node))
        if isinstance(node.start, Literal):
            return replace(made, size=start.size)
        if isinstance(node.start, CreateList | CreateMap):
            return replace(made, size=over.known, entries=step.entries)
        return self._sized(made)

    def _variables(self, node: Comprehension, over: Part) -> dict[str, _Local]:
        """What a macro's own names stand for."""
        entries = over.entries
        is_list = (entries.of if entries is not None else over.type.name) == "list"
        at_keys = self._root if over.place is None else Place(None) if is_list else key(over.place)
        keys = _Local(at_keys, entries.key if entries else None)
        at_values = self._root if over.place is None else element(over.place)
        values = _Local(at_values, entries.value if entries else None)
        if len(node.variables) == 2:
            return dict(zip(node.variables, (keys, values), strict=True))
        return {node.variables[0]: values if is_list else keys}

    def _bound(self, node: Comprehension, known: _Known) -> Part:
        """A name for a value: what `optMap` becomes."""
        over, start = self.part(node.over, known), self.part(node.start, known)
        inside = dict(known)
        inside[node.accumulator] = _Local(start.place, start.size, start.entries)
        result = self.part(node.result, inside)
        cost = min(over.cost + start.cost + result.cost, MOST)
        return Part(cost, self._type(node), result.size, entries=result.entries)


def _is_binding(node: Comprehension) -> bool:
    return (
        isinstance(node.over, CreateList)
        and not node.over.elements
        and isinstance(node.condition, Literal)
        and node.condition.value is False
        and node.accumulator not in _MACRO
    )


def _is_scalar(type: TypeNode) -> bool:
    if type.name == "optional_type" and type.parameters:
        return _is_scalar(type.parameters[0])
    return type.name in _SCALARS


def _any_of(parts: list[Part]) -> Size:
    if not parts:
        return EMPTY
    found = parts[0].known
    for each in parts[1:]:
        found |= each.known
    return found


def _either(one: Entries | None, other: Entries | None) -> Entries | None:
    if one is None or other is None:
        return None
    return Entries(one.of, one.key | other.key, one.value | other.value)
