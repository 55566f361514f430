"""Evaluating an expression: a tree becomes closures once, which are then called with variables.

What an evaluation costs is counted as cel-go counts it (interpreter/runtimecost.go), and it ends when that is
above its budget: an expression that never would is no harm.
"""

from __future__ import annotations

from collections.abc import Callable
from copy import copy
from typing import Any

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
from wellhead.api.cel.costs import call_cost
from wellhead.api.cel.efforts import call_effort
from wellhead.api.cel.frame import MISSING, Evaluate, Frame, Lazy, at, field_of, has
from wellhead.api.cel.functions.table import Functions
from wellhead.api.cel.operators import OPERATORS
from wellhead.api.cel.values import (
    MAX_INT,
    NONE,
    CostExceeded,
    EvaluationError,
    Optional,
    TypeName,
    no_such_overload,
    optional,
    type_name,
)

_LIST_COST, _MAP_COST, _STRUCT_COST = 10, 30, 40


class Compiler:
    """Turns trees into closures."""

    def __init__(self, functions: Functions) -> None:
        self._functions = functions

    def compile(self, node: Expression) -> Evaluate:
        evaluate = self._compiled(node)
        return _constant(evaluate) if _is_constant(node) else evaluate

    def _compiled(self, node: Expression) -> Evaluate:
        match node:
            case Literal(_, value):
                return lambda _frame: value
            case Identifier(_, name):
                return self._identifier(name)
            case Select():
                return self._select(node)
            case Call():
                return self._call(node)
            case CreateList():
                return self._list(node)
            case CreateMap():
                return self._map(node)
            case Comprehension():
                return self._comprehension(node)

    def _identifier(self, name: str) -> Evaluate:
        known_type = _TYPE_NAMES.get(name)

        def evaluate(frame: Frame) -> Any:
            frame.charge(1)
            try:
                value = frame.variables[name]
            except KeyError:
                if known_type is not None:
                    frame.cost -= 1
                    return known_type
                raise EvaluationError(f"no such attribute(s): {name}") from None
            return value.get(frame) if isinstance(value, Lazy) else value

        return evaluate

    def _select(self, node: Select) -> Evaluate:
        operand, field = self.compile(node.operand), node.field
        if node.test_only:
            return lambda frame: has(operand(frame), field)

        def evaluate(frame: Frame) -> Any:
            value = operand(frame)
            frame.charge(1)
            return field_of(frame, value, field)

        return evaluate

    def _call(self, node: Call) -> Evaluate:
        special = OPERATORS.get(node.function)
        if _grows(node):
            return self._growth(node)
        arguments = tuple(self.compile(each) for each in node.arguments)
        if special is not None:
            return special(*_cheaper(node, arguments))
        name, functions = node.function, self._functions
        if name in ("_?._", "_[?_]"):
            return self._optional_select(arguments)

        def evaluate(frame: Frame) -> Any:
            values = tuple([each(frame) for each in arguments])
            frame.charge(call_cost(name, values))
            if effort := call_effort(name, values):
                frame.work(effort)
            return functions.call(name, values)

        return evaluate

    def _growth(self, node: Call) -> Evaluate:
        """`accumulator + [x]`, which nobody else sees: it need not be copied each time."""
        accumulated, added = self.compile(node.arguments[0]), self.compile(node.arguments[1])

        def evaluate(frame: Frame) -> Any:
            values, more = accumulated(frame), added(frame)
            frame.charge(1)
            if not isinstance(values, list) or not isinstance(more, list):
                raise no_such_overload()
            values += more
            return values

        return evaluate

    def _optional_select(self, arguments: tuple[Evaluate, ...]) -> Evaluate:
        operand, key = arguments

        def evaluate(frame: Frame) -> Any:
            value = operand(frame)
            if isinstance(value, Optional):
                if not value.present:
                    return NONE
                value = value.value
            found = at(value, key(frame))
            if found is MISSING:
                return NONE
            frame.charge(1)
            return optional(found)

        return evaluate

    def _list(self, node: CreateList) -> Evaluate:
        elements = tuple(self.compile(each) for each in node.elements)

        def evaluate(frame: Frame) -> Any:
            frame.charge(_LIST_COST)
            if not node.optional:
                return [each(frame) for each in elements]
            made = []
            for index, each in enumerate(elements):
                value = each(frame)
                if index not in node.optional:
                    made.append(value)
                elif value.present:
                    made.append(value.value)
            return made

        return evaluate

    def _map(self, node: CreateMap) -> Evaluate:
        entries = tuple(
            (self.compile(each.key), self.compile(each.value), each.optional) for each in node.entries
        )
        cost = _STRUCT_COST if node.message else _MAP_COST

        def evaluate(frame: Frame) -> Any:
            frame.charge(cost)
            made: dict[Any, Any] = {}
            for key, value, is_optional in entries:
                name, item = key(frame), value(frame)
                if is_optional:
                    if not item.present:
                        continue
                    item = item.value
                if not isinstance(name, str | int):
                    raise EvaluationError(f"unsupported key type: {type_name(name)}")
                if name in made:
                    raise EvaluationError(f"Failed with repeated key: {name}")
                made[name] = item
            return made

        return evaluate

    def _comprehension(self, node: Comprehension) -> Evaluate:
        over, start, condition, step, result = map(
            self.compile, (node.over, node.start, node.condition, node.step, node.result)
        )
        accumulator, names = node.accumulator, node.variables

        def evaluate(frame: Frame) -> Any:
            elements = over(frame)
            if not isinstance(elements, list | dict):
                raise no_such_overload()
            variables = frame.variables
            before = {name: variables[name] for name in (*names, accumulator) if name in variables}
            variables[accumulator] = copy(start(frame))
            try:
                for values in _elements(elements, len(names)):
                    variables.update(zip(names, values, strict=True))
                    try:
                        goes_on = condition(frame)
                    except CostExceeded:
                        raise
                    except EvaluationError:
                        goes_on = True
                    if goes_on is False:
                        break
                    try:
                        variables[accumulator] = step(frame)
                    except CostExceeded:
                        raise
                    except EvaluationError as error:
                        variables[accumulator] = Lazy(_raiser(error))
                return result(frame)
            finally:
                for name in (*names, accumulator):
                    variables.pop(name, None)
                variables.update(before)

        return evaluate


def _grows(node: Call) -> bool:
    if node.function != "_+_" or not isinstance(node.arguments[0], Identifier):
        return False
    # No name of a user's has an @.
    return node.arguments[0].name == "@result" and isinstance(node.arguments[1], CreateList)


def _is_constant(node: Expression) -> bool:
    """Whether cel-go knows the value before it evaluates: then it costs nothing."""
    match node:
        case CreateList(_, elements, optional):
            return not optional and all(isinstance(each, Literal) or _is_constant(each) for each in elements)
        case CreateMap(_, entries, ""):
            parts = [part for each in entries for part in (each.key, each.value)]
            return not any(each.optional for each in entries) and all(
                isinstance(part, Literal) or _is_constant(part) for part in parts
            )
        case Call(_, name, (argument,)):
            return name in _CONVERSIONS and isinstance(argument, Literal)
    return False


_CONVERSIONS = frozenset(("bytes", "double", "duration", "int", "string", "timestamp", "uint"))


def _constant(evaluate: Evaluate) -> Evaluate:
    try:
        value = evaluate(Frame({}, MAX_INT))
    except EvaluationError:
        return evaluate
    return lambda _frame: value


def _cheaper(node: Call, arguments: tuple[Evaluate, ...]) -> tuple[Evaluate, ...]:
    """A name or a path in a branch of `?:`, and a name as an index: cel-go doesn't count the first step."""
    match node.function:
        case "_?_:_":
            free = tuple(at > 0 and _is_path(each) for at, each in enumerate(node.arguments))
        case "_[_]":
            free = (False, isinstance(node.arguments[1], Identifier))
        case _:
            return arguments
    return tuple(_one_less(each) if is_free else each for each, is_free in zip(arguments, free, strict=True))


def _is_path(node: Expression) -> bool:
    match node:
        case Identifier():
            return True
        case Select(_, operand, _, False):
            return _is_path(operand)
    return False


def _one_less(evaluate: Evaluate) -> Evaluate:
    def cheaper(frame: Frame) -> Any:
        value = evaluate(frame)
        frame.cost -= 1
        return value

    return cheaper


def _raiser(error: EvaluationError) -> Callable[[Frame], Any]:
    def fail(_frame: Frame) -> Any:
        raise error

    return fail


def _elements(value: list[Any] | dict[Any, Any], variables: int) -> Any:
    if variables == 2:
        return enumerate(value) if isinstance(value, list) else list(value.items())
    return ((each,) for each in list(value))


_TYPE_NAMES = {
    name: TypeName(name)
    for name in (
        *("bool", "int", "uint", "double", "string", "bytes", "list", "map", "null_type", "type"),
        *("optional_type", "google.protobuf.Timestamp", "google.protobuf.Duration"),
    )
}
