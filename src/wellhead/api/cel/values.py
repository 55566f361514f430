"""CEL's values as Python's, and what is true of all of them: equality, order, size, names of types.

int, float, bool, str, bytes, None, list and dict stand for themselves; a timestamp is an aware datetime. What
Python has no type for is here.
"""

from __future__ import annotations

import math
from collections.abc import Hashable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

MIN_INT, MAX_INT = -(1 << 63), (1 << 63) - 1
MAX_UINT = (1 << 64) - 1


class EvaluationError(Exception):
    """An expression that has no value; in cel-go's words."""


class CostExceeded(EvaluationError):
    """An expression that would take more than it may: no `||` makes up for that."""

    def __init__(self) -> None:
        super().__init__("operation cancelled: actual cost limit exceeded")


class UInt(int):
    """An unsigned integer of 64 bits."""


@dataclass(frozen=True, order=True)
class Span:
    """google.protobuf.Duration, which is CEL's duration."""

    nanos: int


@dataclass(frozen=True)
class Optional:
    """optional_type: a value, or none."""

    value: Any = None
    present: bool = False


NONE = Optional()


def optional(value: Any) -> Optional:
    return Optional(value, True)


@dataclass(frozen=True)
class TypeName:
    """A type as a value: `type(1) == int`."""

    name: str


class Opaque:
    """A value of a type of Kubernetes' own: `type_name` is what `type()` gives."""

    type_name = ""


_NAMES: dict[type, str] = {
    bool: "bool",
    int: "int",
    UInt: "uint",
    float: "double",
    str: "string",
    bytes: "bytes",
    list: "list",
    dict: "map",
    type(None): "null_type",
    datetime: "google.protobuf.Timestamp",
    Span: "google.protobuf.Duration",
    Optional: "optional_type",
    TypeName: "type",
}


def type_name(value: Any) -> str:
    """The name of the value's type."""
    return _NAMES.get(type(value)) or str(getattr(value, "type_name", type(value).__name__))


def is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def equal(left: Any, right: Any) -> bool:
    """CEL's `==`: numbers by amount whatever their types, and no value equals one of another type."""
    if type(left) is type(right):
        if isinstance(left, list):
            return len(left) == len(right) and all(map(equal, left, right))
        if isinstance(left, dict):
            return len(left) == len(right) and all(
                key in right and equal(value, right[key]) for key, value in left.items()
            )
        if isinstance(left, Optional):
            return left.present == right.present and equal(left.value, right.value)
        return bool(left == right)
    if is_number(left) and is_number(right):
        return bool(left == right)
    return False


def identity(value: Any) -> Hashable:
    """What is the same of values that are `equal`, and of no others; NaN is like nothing."""
    if isinstance(value, list):
        return list, tuple(map(identity, value))
    if isinstance(value, dict):
        return dict, frozenset((key, identity(item)) for key, item in value.items())
    if isinstance(value, Optional):
        return Optional, value.present, identity(value.value)
    if is_number(value):
        return float, value if value == value else object()
    return type(value), value


_ORDERED = (str, bytes, bool, datetime, Span)


def less(left: Any, right: Any) -> bool:
    """CEL's `<`. Raises EvaluationError for values that have no order."""
    if is_number(left) and is_number(right):
        return bool(left < right)
    if type(left) is type(right) and isinstance(left, _ORDERED):
        return bool(left < right)
    raise no_such_overload()


def integer(value: int) -> int:
    """An int if it is one of 64 bits. Raises EvaluationError."""
    if MIN_INT <= value <= MAX_INT:
        return value
    raise EvaluationError("integer overflow")


def unsigned(value: int) -> UInt:
    """Raises EvaluationError."""
    if 0 <= value <= MAX_UINT:
        return UInt(value)
    raise EvaluationError("unsigned integer overflow")


def span(nanos: int) -> Span:
    """Raises EvaluationError."""
    if MIN_INT <= nanos <= MAX_INT:
        return Span(nanos)
    raise EvaluationError("duration overflow")


def no_such_overload() -> EvaluationError:
    return EvaluationError("no such overload")


def no_such_key(key: Any) -> EvaluationError:
    return EvaluationError(f"no such key: {key}")


def size(value: Any) -> int:
    """How much work a value may be, in cel-go's count: the length of what has one, else 1."""
    if isinstance(value, str | bytes | list | dict):
        return len(value)
    if isinstance(value, Optional) and value.present:
        return size(value.value)
    return 1


def traversal(text: Any, factor: float = 0.1) -> int:
    """What it costs to go through a string."""
    return math.ceil(size(text) * factor)


def shown(value: Any) -> str:
    """A value as `string()` and format's %s write it."""
    match value:
        case bool():
            return "true" if value else "false"
        case float():
            return double_text(value)
        case bytes():
            return value.decode(errors="replace")
        case datetime():
            return timestamp_text(value)
        case Span():
            return span_text(value)
        case None:
            return "null"
        case TypeName():
            return value.name
        case list():
            return "[" + ", ".join(map(shown, value)) + "]"
        case dict():
            pairs = sorted((shown(key), shown(item)) for key, item in value.items())
            return "{" + ", ".join(f"{key}: {item}" for key, item in pairs) + "}"
    return str(value)


def double_text(value: float) -> str:
    """As Go's strconv.FormatFloat(v, 'g', -1, 64) writes it, which `string(double)` uses."""
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    if value.is_integer() and abs(value) < 1e21:
        return str(int(value))
    return repr(value)


def timestamp_text(moment: datetime) -> str:
    text = moment.strftime("%Y-%m-%dT%H:%M:%S")
    if moment.microsecond:
        text += f".{moment.microsecond:06d}".rstrip("0")
    return f"{moment.year:04d}" + text[text.index("-") :] + "Z"


def span_text(value: Span) -> str:
    """`90s`, `1.5s`: seconds alone, as CEL prints durations."""
    whole, rest = divmod(abs(value.nanos), 1_000_000_000)
    sign = "-" if value.nanos < 0 else ""
    return f"{sign}{whole}" + (f".{rest:09d}".rstrip("0") if rest else "") + "s"
