"""Expressions as trees: what the checker hands over in Protobuf (cel/expr/checked.proto), as values.

Only what evaluation and the estimate of its cost look at is read. The wire format is four kinds of fields.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from wellhead.api.cel.values import UInt


@dataclass(frozen=True)
class Literal:
    id: int
    value: Any


@dataclass(frozen=True)
class Identifier:
    id: int
    name: str


@dataclass(frozen=True)
class Select:
    id: int
    operand: Expression
    field: str
    test_only: bool
    """`has(operand.field)`."""


@dataclass(frozen=True)
class Call:
    id: int
    function: str
    arguments: tuple[Expression, ...]
    """A method's receiver comes first."""
    overloads: tuple[str, ...] = ()
    member: bool = False


@dataclass(frozen=True)
class CreateList:
    id: int
    elements: tuple[Expression, ...]
    optional: frozenset[int]


@dataclass(frozen=True)
class Entry:
    key: Expression
    value: Expression
    optional: bool


@dataclass(frozen=True)
class CreateMap:
    """A map, or a struct with the name of a message: a struct's keys are its fields' names."""

    id: int
    entries: tuple[Entry, ...]
    message: str = ""


@dataclass(frozen=True)
class Comprehension:
    """What macros such as `all` and `map` become: a fold."""

    id: int
    variables: tuple[str, ...]
    over: Expression
    accumulator: str
    start: Expression
    condition: Expression
    step: Expression
    result: Expression


Expression: TypeAlias = Literal | Identifier | Select | Call | CreateList | CreateMap | Comprehension


@dataclass(frozen=True)
class TypeNode:
    """A type that the checker found: `int`, `list` with its element, a message's name …"""

    name: str
    parameters: tuple[TypeNode, ...] = ()


@dataclass(frozen=True)
class Checked:
    """An expression and the types of its parts, by their ids."""

    root: Expression
    types: dict[int, TypeNode] = field(default_factory=dict)


_Fields = list[tuple[int, Any]]
DOTTED: set[str] = set()
"""The functions whose names have dots; `functions` fills it."""
_PRIMITIVES = {1: "bool", 2: "int", 3: "uint", 4: "double", 5: "string", 6: "bytes"}
_WELL_KNOWN = {1: "dyn", 2: "timestamp", 3: "duration"}
DYN = TypeNode("dyn")


def decode(data: bytes) -> Checked:
    """The checker's serialization: an Any with a CheckedExpr, or a ParsedExpr, in it."""
    outer = dict(_fields(data))
    parsed = b"ParsedExpr" in outer[1]
    fields = list(_fields(outer[2]))
    if parsed:
        return Checked(_Reader(None).expression(next(value for number, value in fields if number == 2)))
    references, types = {}, {}
    root = b""
    for number, value in fields:
        if number == 2:
            entry = dict(_fields(value))
            references[_signed(entry.get(1, 0))] = list(_fields(entry.get(2, b"")))
        elif number == 3:
            entry = dict(_fields(value))
            types[_signed(entry.get(1, 0))] = _type(entry.get(2, b""))
        elif number == 4:
            root = value
    return Checked(_Reader(references).expression(root), types)


class _Reader:
    def __init__(self, references: dict[int, _Fields] | None) -> None:
        """Without references, what hasn't been checked: which names with dots are functions is looked up."""
        self._references: dict[int, _Fields] = references or {}
        self._checked = references is not None

    def expression(self, data: bytes) -> Expression:
        fields = dict(_fields(data))
        number = _signed(fields.get(2, 0))
        if 3 in fields:
            return Literal(number, _constant(fields[3]))
        if 4 in fields:
            name = _text(dict(_fields(fields[4])).get(1, b""))
            return Identifier(number, name)
        if 5 in fields:
            return self._select(number, dict(_fields(fields[5])))
        if 6 in fields:
            return self._call(number, list(_fields(fields[6])))
        if 7 in fields:
            return self._list(number, list(_fields(fields[7])))
        if 8 in fields:
            return self._struct(number, list(_fields(fields[8])))
        if 9 in fields:
            return self._comprehension(number, dict(_fields(fields[9])))
        return Literal(number, None)

    def _select(self, node: int, fields: dict[int, Any]) -> Expression:
        name = next((_text(value) for number, value in self._references.get(node, ()) if number == 1), "")
        if name:  # a variable whose name has dots
            return Identifier(node, name)
        operand = self.expression(fields.get(1, b""))
        return Select(node, operand, _text(fields.get(2, b"")), bool(fields.get(3)))

    def _call(self, node: int, fields: _Fields) -> Expression:
        target = next((value for number, value in fields if number == 1), None)
        name = next(_text(value) for number, value in fields if number == 2)
        arguments = [self.expression(value) for number, value in fields if number == 3]
        overloads = tuple(_text(value) for number, value in self._references.get(node, ()) if number == 3)
        member = target is not None
        if target is not None:
            receiver = self.expression(target)
            # A function whose name has dots (format.dns1123Label) reads like a method.
            dotted = f"{path_of(receiver)}.{name}"
            if self._checked:
                is_dotted = any(each.startswith((f"{dotted}_", dotted)) for each in overloads)
            else:
                is_dotted = dotted in DOTTED
            if is_dotted:
                name, member = dotted, False
            else:
                arguments.insert(0, receiver)
        return Call(node, name, tuple(arguments), overloads, member)

    def _list(self, node: int, fields: _Fields) -> Expression:
        optional: set[int] = set()
        for number, value in fields:
            if number == 2:
                optional |= set(_packed(value)) if isinstance(value, bytes) else {value}
        elements = tuple(self.expression(value) for number, value in fields if number == 1)
        return CreateList(node, elements, frozenset(optional))

    def _struct(self, node: int, fields: _Fields) -> Expression:
        message = next((_text(value) for number, value in fields if number == 1), "")
        entries = []
        for number, value in fields:
            if number == 2:
                entry = dict(_fields(value))
                key = Literal(0, _text(entry[2])) if 2 in entry else self.expression(entry.get(3, b""))
                entries.append(Entry(key, self.expression(entry.get(4, b"")), bool(entry.get(5))))
        return CreateMap(node, tuple(entries), message)

    def _comprehension(self, node: int, fields: dict[int, Any]) -> Expression:
        names = [_text(fields[number]) for number in (1, 8) if fields.get(number)]
        over, start, condition, step, result = (
            self.expression(fields.get(number, b"")) for number in (2, 4, 5, 6, 7)
        )
        return Comprehension(
            node, tuple(names), over, _text(fields.get(3, b"")), start, condition, step, result
        )


def path_of(node: Expression) -> str:
    """`a.b.c` as text; '' if it is something else."""
    match node:
        case Identifier(_, name):
            return name
        case Select(_, operand, name, False):
            before = path_of(operand)
            return f"{before}.{name}" if before else ""
    return ""


def _constant(data: bytes) -> Any:
    for number, value in _fields(data):
        match number:
            case 1:
                return None
            case 2:
                return bool(value)
            case 3:
                return _signed(value)
            case 4:
                return UInt(value)
            case 5:
                return struct.unpack("<d", value)[0]
            case 6:
                return _text(value)
            case 7:
                return bytes(value)
    return None


def _type(data: bytes) -> TypeNode:
    for number, value in _fields(data):
        match number:
            case 2:
                return TypeNode("null")
            case 3 | 4:
                return TypeNode(_PRIMITIVES.get(value, "dyn"))
            case 5:
                return TypeNode(_WELL_KNOWN.get(value, "dyn"))
            case 6:
                return TypeNode("list", (_type(dict(_fields(value)).get(1, b"")),))
            case 7:
                pair = dict(_fields(value))
                return TypeNode("map", (_type(pair.get(1, b"")), _type(pair.get(2, b""))))
            case 9:
                return TypeNode(_text(value))
            case 11:
                return TypeNode("type")
            case 14:
                fields = list(_fields(value))
                name = next((_text(each) for number, each in fields if number == 1), "dyn")
                return TypeNode(name, tuple(_type(each) for number, each in fields if number == 2))
    return DYN


def _text(data: bytes) -> str:
    return data.decode()


def _signed(value: int) -> int:
    return value - (1 << 64) if value >= 1 << 63 else value


def _fields(data: bytes) -> Iterator[tuple[int, Any]]:
    at = 0
    while at < len(data):
        key, at = _varint(data, at)
        number, wire = key >> 3, key & 7
        value: Any
        if wire == 0:
            value, at = _varint(data, at)
        elif wire == 1:
            value, at = data[at : at + 8], at + 8
        elif wire == 2:
            length, at = _varint(data, at)
            value, at = data[at : at + length], at + length
        else:
            value, at = data[at : at + 4], at + 4
        yield number, value


def _packed(data: bytes) -> Iterator[int]:
    at = 0
    while at < len(data):
        value, at = _varint(data, at)
        yield value


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7


def mentions(node: Expression, name: str) -> bool:
    """Whether a variable of that name is used."""
    match node:
        case Identifier(_, each):
            return each == name
        case Select(_, operand):
            return mentions(operand, name)
        case Call(_, _, arguments):
            return any(mentions(each, name) for each in arguments)
        case CreateList(_, elements):
            return any(mentions(each, name) for each in elements)
        case CreateMap(_, entries):
            return any(mentions(each.key, name) or mentions(each.value, name) for each in entries)
        case Comprehension():
            parts = (node.over, node.start, node.condition, node.step, node.result)
            return any(mentions(each, name) for each in parts)
    return False
