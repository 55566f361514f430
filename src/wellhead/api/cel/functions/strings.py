"""cel-go's extension of strings, version 2 (ext/strings.go)."""

from __future__ import annotations

import math
from typing import Any

from wellhead.api.cel.functions.table import Function, function
from wellhead.api.cel.values import EvaluationError, is_number, no_such_overload, shown
from wellhead.text import quoted

_MOST_DIGITS = 1000


def _char_at(text: str, index: int) -> str:
    if not 0 <= index <= len(text):
        raise EvaluationError(f"index out of range: {index}")
    return text[index : index + 1]


def _index_of(text: str, part: str, offset: int = 0) -> int:
    if not part:
        return offset
    if not 0 <= offset <= len(text):
        raise EvaluationError(f"index out of range: {offset}")
    return text.find(part, offset)


def _last_index_of(text: str, part: str, offset: int | None = None) -> int:
    if not part:
        return len(text) if offset is None else offset
    if offset is None:
        return text.rfind(part)
    if not 0 <= offset <= len(text):
        raise EvaluationError(f"index out of range: {offset}")
    return text.rfind(part, 0, offset + len(part))


def _join(texts: list[Any], separator: str = "") -> str:
    if not all(isinstance(text, str) for text in texts):
        raise no_such_overload()
    return separator.join(texts)


def _replace(text: str, old: str, new: str, count: int = -1) -> str:
    return text.replace(old, new, count) if count >= 0 else text.replace(old, new)


def _split(text: str, separator: str, limit: int = -1) -> list[str]:
    if limit == 0:
        return []
    if not separator:
        letters = list(text)
        if 0 < limit < len(letters):
            return [*letters[: limit - 1], "".join(letters[limit - 1 :])]
        return letters
    return text.split(separator) if limit < 0 else text.split(separator, limit - 1)


def _substring(text: str, start: int, end: int | None = None) -> str:
    if end is None:
        end = len(text)
    if not 0 <= start <= len(text):
        raise EvaluationError(f"index out of range: {start}")
    if not 0 <= end <= len(text):
        raise EvaluationError(f"index out of range: {end}")
    if start > end:
        raise EvaluationError(f"invalid substring range. start: {start}, end: {end}")
    return text[start:end]


_LOWER = str.maketrans({chr(upper): chr(upper + 32) for upper in range(65, 91)})
_UPPER = str.maketrans({chr(upper + 32): chr(upper) for upper in range(65, 91)})


def format_text(text: str, values: list[Any]) -> str:
    """`'%s has %d'.format([name, count])`."""
    parts: list[str] = []
    at = used = 0
    while at < len(text):
        percent = text.find("%", at)
        if percent < 0 or percent == len(text) - 1:
            if percent >= 0:
                raise EvaluationError("unexpected end of string")
            parts.append(text[at:])
            break
        parts.append(text[at:percent])
        at = percent + 1
        if text[at] == "%":
            parts.append("%")
            at += 1
            continue
        precision = 6
        if text[at] == ".":
            end = at + 1
            while end < len(text) and text[end].isdecimal():
                end += 1
            precision = int(text[at + 1 : end] or 0) if end - at < 6 else _MOST_DIGITS + 1
            if precision > _MOST_DIGITS:
                raise EvaluationError("precision is too large")
            at = end
        if at >= len(text):
            raise EvaluationError("could not parse formatting clause: unexpected end of string")
        if used >= len(values):
            raise EvaluationError(f"index {used} out of range")
        parts.append(_formatted(text[at], values[used], precision))
        used += 1
        at += 1
    return "".join(parts)


def _formatted(verb: str, value: Any, precision: int) -> str:
    whole = isinstance(value, int) and not isinstance(value, bool)
    match verb:
        case "s":
            return shown(value)
        case "d" if whole:
            return str(int(value))
        case "f" if is_number(value):
            return _float(value, f".{precision}f")
        case "e" if is_number(value):
            return _float(value, f".{precision}e")
        case "b" if isinstance(value, int):
            return f"{int(value):b}"
        case "o" if whole:
            return f"{value:o}"
        case "x" | "X":
            if whole:
                written = f"{value:x}"
            elif isinstance(value, str | bytes):
                written = (value.encode() if isinstance(value, str) else value).hex()
            else:
                raise EvaluationError(f"error during formatting: {verb} clause can't take this value")
            return written if verb == "x" else written.upper()
        case "d" | "f" | "e" | "b" | "o":
            raise EvaluationError(f"error during formatting: {verb} clause can't take this value")
    raise EvaluationError(f'could not parse formatting clause: unrecognized formatting clause "{verb}"')


def _float(value: float, form: str) -> str:
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "Infinity" if value > 0 else "-Infinity"
    return format(float(value), form)


STRINGS: tuple[Function, ...] = (
    function("string -> charAt(int): string", _char_at),
    function("string -> indexOf(string): int", _index_of),
    function("string -> indexOf(string, int): int", _index_of),
    function("string -> lastIndexOf(string): int", _last_index_of),
    function("string -> lastIndexOf(string, int): int", _last_index_of),
    function("list<string> -> join(): string", _join),
    function("list<string> -> join(string): string", _join),
    function("string -> lowerAscii(): string", lambda text: text.translate(_LOWER)),
    function("string -> upperAscii(): string", lambda text: text.translate(_UPPER)),
    function("string -> replace(string, string): string", _replace),
    function("string -> replace(string, string, int): string", _replace),
    function("string -> split(string): list<string>", _split),
    function("string -> split(string, int): list<string>", _split),
    function("string -> substring(int): string", _substring),
    function("string -> substring(int, int): string", _substring),
    function("string -> trim(): string", str.strip),
    function("string -> format(list<dyn>): string", format_text),
    function("strings.quote(string): string", quoted),
)
