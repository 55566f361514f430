"""CEL's standard functions (the language's definition, "List of Standard Definitions")."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from typing import Any
from zoneinfo import ZoneInfo

from wellhead.api.cel.functions.regex import compiled
from wellhead.api.cel.functions.table import Function, function
from wellhead.api.cel.values import (
    EvaluationError,
    Span,
    TypeName,
    UInt,
    double_text,
    equal,
    integer,
    less,
    no_such_overload,
    span,
    span_text,
    timestamp_text,
    type_name,
    unsigned,
)
from wellhead.api.duration import Duration

_SECOND = 1_000_000_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_TIME = re.compile(r"(\d{4}-\d{2}-\d{2}[Tt]\d{2}:\d{2}:\d{2})(\.\d{1,9})?([Zz]|[-+]\d{2}:\d{2})", re.ASCII)
_OFFSET = re.compile(r"([-+]?)(\d{2}):(\d{2})", re.ASCII)


def timestamp(text: str) -> datetime:
    """RFC 3339, to the microsecond. Raises ValueError."""
    match = _TIME.fullmatch(text)
    if match is None:
        raise ValueError(f'parsing time "{text}" as "2006-01-02T15:04:05Z07:00": cannot parse')
    zone = match[3].upper().replace("Z", "+00:00")
    moment = datetime.fromisoformat(f"{match[1].upper()}{(match[2] or '')[:7]}{zone}")
    return moment.astimezone(UTC)


def duration(text: str) -> Span:
    """Go's notation. Raises ValueError."""
    return Span(round(Duration.parse(text).seconds * _SECOND))


def _checked(operation: Callable[[int, int], int]) -> Callable[[int, int], int]:
    return lambda a, b: integer(operation(a, b))


def _unsigned(operation: Callable[[int, int], int]) -> Callable[[int, int], UInt]:
    return lambda a, b: unsigned(operation(int(a), int(b)))


def _divide(a: int, b: int) -> int:
    if b == 0:
        raise EvaluationError("division by zero")
    quotient = abs(a) // abs(b)
    return quotient if (a < 0) == (b < 0) else -quotient


def _modulus(a: int, b: int) -> int:
    if b == 0:
        raise EvaluationError("modulus by zero")
    return int(math.fmod(a, b)) if max(abs(a), abs(b)) < 1 << 50 else a - b * _divide(a, b)


def _divide_doubles(a: float, b: float) -> float:
    if b:
        return a / b
    return math.nan if a == 0 or math.isnan(a) else math.copysign(math.inf, a) * math.copysign(1, b)


def _shift(moment: datetime, by: Span, sign: int = 1) -> datetime:
    try:
        return moment + sign * timedelta(microseconds=by.nanos / 1000)
    except OverflowError:
        raise EvaluationError("timestamp overflow") from None


def _between(later: datetime, earlier: datetime) -> Span:
    difference = later - earlier
    return span((difference // timedelta(microseconds=1)) * 1000)


def _int(value: float) -> int:
    if math.isnan(value) or math.isinf(value) or abs(value) >= 1 << 63:
        raise EvaluationError("integer overflow")
    return int(value)


def _parse_int(text: str) -> int:
    if not re.fullmatch(r"[-+]?\d+", text, re.ASCII) or len(text) > 20:
        raise EvaluationError(f'strconv.ParseInt: parsing "{text[:64]}": invalid syntax')
    return integer(int(text))


def _parse_double(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise EvaluationError(f'strconv.ParseFloat: parsing "{text[:64]}": invalid syntax') from None


def _parse_bool(text: str) -> bool:
    if text in ("1", "t", "T", "true", "TRUE", "True"):
        return True
    if text in ("0", "f", "F", "false", "FALSE", "False"):
        return False
    raise EvaluationError(f'strconv.ParseBool: parsing "{text[:64]}": invalid syntax')


def _decode(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise EvaluationError("invalid UTF-8 in bytes, cannot convert to string") from None


def _from_seconds(seconds: int) -> datetime:
    try:
        return _EPOCH + timedelta(seconds=seconds)
    except OverflowError:
        raise EvaluationError("timestamp overflow") from None


def _zone(name: str) -> tzinfo:
    match = _OFFSET.fullmatch(name)
    if match is not None:
        offset = timedelta(hours=int(match[2]), minutes=int(match[3]))
        return timezone(-offset if match[1] == "-" else offset)
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        raise EvaluationError(f"unknown time zone {name}") from None


def _weekday(moment: datetime) -> int:
    return (moment.weekday() + 1) % 7


_PARTS: dict[str, Callable[[datetime], int]] = {
    "getFullYear": lambda moment: moment.year,
    "getMonth": lambda moment: moment.month - 1,
    "getDate": lambda moment: moment.day,
    "getDayOfMonth": lambda moment: moment.day - 1,
    "getDayOfWeek": _weekday,
    "getDayOfYear": lambda moment: moment.timetuple().tm_yday - 1,
    "getHours": lambda moment: moment.hour,
    "getMinutes": lambda moment: moment.minute,
    "getSeconds": lambda moment: moment.second,
    "getMilliseconds": lambda moment: moment.microsecond // 1000,
}


def _parts() -> list[Function]:
    made = []
    for name, part in _PARTS.items():
        made.append(function(f"timestamp -> {name}(): int", part))
        made.append(
            function(
                f"timestamp -> {name}(string): int",
                lambda moment, zone, part=part: part(moment.astimezone(_zone(zone))),
            )
        )
    for name, unit in (("getHours", 3600), ("getMinutes", 60), ("getSeconds", 1)):
        made.append(
            function(
                f"duration -> {name}(): int", lambda value, unit=unit: _divide(value.nanos, unit * _SECOND)
            )
        )
    made.append(
        function(
            "duration -> getMilliseconds(): int",
            lambda value: _divide(value.nanos, _SECOND // 1000),
        )
    )
    return made


def _not_less(left: Any, right: Any) -> bool:
    return less(right, left) or equal(left, right)


def _size(value: Any) -> int:
    if isinstance(value, str | bytes | list | dict):
        return len(value)
    raise no_such_overload()


def _matches(text: str, pattern: str) -> bool:
    return compiled(pattern).search(text) is not None


def _type_of(value: Any) -> TypeName:
    return TypeName(type_name(value))


STANDARD: tuple[Function, ...] = (
    function("_==_(A, A): bool", equal),
    function("_!=_(A, A): bool", lambda a, b: not equal(a, b)),
    function("_<_(A, A): bool", less),
    function("_>_(A, A): bool", lambda a, b: less(b, a)),
    function("_<=_(A, A): bool", lambda a, b: _not_less(b, a)),
    function("_>=_(A, A): bool", _not_less),
    function("_+_(int, int): int", _checked(lambda a, b: a + b)),
    function("_+_(uint, uint): uint", _unsigned(lambda a, b: a + b)),
    function("_+_(double, double): double", lambda a, b: a + b),
    function("_+_(string, string): string", lambda a, b: a + b),
    function("_+_(bytes, bytes): bytes", lambda a, b: a + b),
    function("_+_(list<A>, list<A>): list<A>", lambda a, b: a + b),
    function("_+_(duration, duration): duration", lambda a, b: span(a.nanos + b.nanos)),
    function("_+_(timestamp, duration): timestamp", _shift),
    function("_+_(duration, timestamp): timestamp", lambda a, b: _shift(b, a)),
    function("_-_(int, int): int", _checked(lambda a, b: a - b)),
    function("_-_(uint, uint): uint", _unsigned(lambda a, b: a - b)),
    function("_-_(double, double): double", lambda a, b: a - b),
    function("_-_(duration, duration): duration", lambda a, b: span(a.nanos - b.nanos)),
    function("_-_(timestamp, duration): timestamp", lambda a, b: _shift(a, b, -1)),
    function("_-_(timestamp, timestamp): duration", _between),
    function("_*_(int, int): int", _checked(lambda a, b: a * b)),
    function("_*_(uint, uint): uint", _unsigned(lambda a, b: a * b)),
    function("_*_(double, double): double", lambda a, b: a * b),
    function("_/_(int, int): int", _checked(_divide)),
    function("_/_(uint, uint): uint", _unsigned(_divide)),
    function("_/_(double, double): double", _divide_doubles),
    function("_%_(int, int): int", _checked(_modulus)),
    function("_%_(uint, uint): uint", _unsigned(_modulus)),
    function("-_(int): int", lambda a: integer(-a)),
    function("-_(double): double", lambda a: -a),
    function("size(A): int", _size),
    function("type(A): type", _type_of),
    function("dyn(A): dyn", lambda value: value),
    function("bool(bool): bool", bool),
    function("bool(string): bool", _parse_bool),
    function("int(int): int", lambda value: value),
    function("int(uint): int", lambda value: integer(int(value))),
    function("int(double): int", _int),
    function("int(string): int", _parse_int),
    function("int(timestamp): int", lambda value: math.floor(value.timestamp())),
    function("int(duration): int", lambda value: value.nanos),
    function("uint(uint): uint", lambda value: value),
    function("uint(int): uint", unsigned),
    function("uint(double): uint", lambda value: unsigned(_int(value))),
    function("uint(string): uint", lambda text: unsigned(_parse_int(text))),
    function("double(double): double", lambda value: value),
    function("double(int): double", float),
    function("double(uint): double", float),
    function("double(string): double", _parse_double),
    function("string(string): string", lambda value: value),
    function("string(int): string", str),
    function("string(uint): string", lambda value: str(int(value))),
    function("string(double): string", double_text),
    function("string(bool): string", lambda value: "true" if value else "false"),
    function("string(bytes): string", _decode),
    function("string(timestamp): string", timestamp_text),
    function("string(duration): string", span_text),
    function("bytes(bytes): bytes", lambda value: value),
    function("bytes(string): bytes", str.encode),
    function("timestamp(timestamp): timestamp", lambda value: value),
    function("timestamp(string): timestamp", timestamp),
    function("timestamp(int): timestamp", _from_seconds),
    function("duration(duration): duration", lambda value: value),
    function("duration(string): duration", duration),
    function("duration(int): duration", span),
    function("string -> contains(string): bool", lambda text, part: part in text),
    function("string -> startsWith(string): bool", str.startswith),
    function("string -> endsWith(string): bool", str.endswith),
    function("string -> matches(string): bool", _matches),
    *_parts(),
)
"""What the checker knows by itself."""
