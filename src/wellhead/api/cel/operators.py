"""Operators whose operands aren't all evaluated, or that look into values: as closures over closures."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from wellhead.api.cel.frame import MISSING, Evaluate, Frame, at
from wellhead.api.cel.values import (
    NONE,
    CostExceeded,
    EvaluationError,
    Optional,
    equal,
    no_such_key,
    no_such_overload,
    optional,
)


def _and(left: Evaluate, right: Evaluate) -> Evaluate:
    return _logical(left, right, False)


def _or(left: Evaluate, right: Evaluate) -> Evaluate:
    return _logical(left, right, True)


def _logical(left: Evaluate, right: Evaluate, decides: bool) -> Evaluate:
    """`decides` on either side is the answer, whatever the other side is, an error included."""

    def evaluate(frame: Frame) -> Any:
        failed: EvaluationError | None = None
        try:
            first = left(frame)
        except CostExceeded:
            raise
        except EvaluationError as error:
            failed = error
        else:
            if first is decides:
                return decides
            if not isinstance(first, bool):
                failed = no_such_overload()
        second = right(frame)
        if second is decides:
            return decides
        if failed is not None:
            raise failed
        if not isinstance(second, bool):
            raise no_such_overload()
        return second

    return evaluate


def _not(operand: Evaluate) -> Evaluate:
    def evaluate(frame: Frame) -> Any:
        value = operand(frame)
        frame.charge(1)
        if not isinstance(value, bool):
            raise no_such_overload()
        return not value

    return evaluate


def _not_strictly_false(operand: Evaluate) -> Evaluate:
    def evaluate(frame: Frame) -> Any:
        try:
            holds = operand(frame) is not False
        except CostExceeded:
            raise
        except EvaluationError:
            holds = True
        frame.charge(1)
        return holds

    return evaluate


def _conditional(condition: Evaluate, then: Evaluate, otherwise: Evaluate) -> Evaluate:
    def evaluate(frame: Frame) -> Any:
        value = condition(frame)
        if not isinstance(value, bool):
            raise no_such_overload()
        return then(frame) if value else otherwise(frame)

    return evaluate


def _index(operand: Evaluate, key: Evaluate) -> Evaluate:
    def evaluate(frame: Frame) -> Any:
        value, place = operand(frame), key(frame)
        frame.charge(1)
        if isinstance(value, Optional):
            if not value.present:
                return NONE
            found = at(value.value, place)
            return NONE if found is MISSING else optional(found)
        found = at(value, place)
        if found is MISSING:
            raise (
                EvaluationError(f"index out of bounds: {place}")
                if isinstance(value, list)
                else no_such_key(place)
            )
        return found

    return evaluate


def _in(element: Evaluate, container: Evaluate) -> Evaluate:
    def evaluate(frame: Frame) -> Any:
        value = element(frame)
        before = frame.cost
        among = container(frame)
        if frame.cost > before:  # a list that stands in the expression is a set, and costs nothing
            frame.charge(len(among) if isinstance(among, list) else 1)
        if isinstance(among, dict):
            return isinstance(value, str | int | float) and at(among, value) is not MISSING
        if not isinstance(among, list):
            raise no_such_overload()
        return any(equal(value, each) for each in among)

    return evaluate


def _or_value(operand: Evaluate, other: Evaluate) -> Evaluate:
    def evaluate(frame: Frame) -> Any:
        value = operand(frame)
        if not isinstance(value, Optional):
            raise no_such_overload()
        return value.value if value.present else other(frame)

    return evaluate


def _or_optional(operand: Evaluate, other: Evaluate) -> Evaluate:
    def evaluate(frame: Frame) -> Any:
        value = operand(frame)
        if not isinstance(value, Optional):
            raise no_such_overload()
        return value if value.present else other(frame)

    return evaluate


OPERATORS: dict[str, Callable[..., Evaluate]] = {
    "_&&_": _and,
    "_||_": _or,
    "!_": _not,
    "@not_strictly_false": _not_strictly_false,
    "__not_strictly_false__": _not_strictly_false,
    "_?_:_": _conditional,
    "_[_]": _index,
    "@in": _in,
    "_in_": _in,
    "orValue": _or_value,
    "or": _or_optional,
}
