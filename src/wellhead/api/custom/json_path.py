"""JSONPath as kubectl's library has it (client-go's util/jsonpath), for columns and selectable fields.

Read once, then asked of many objects. What isn't there gives nothing.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

Step = Callable[[Any], Iterator[Any]]

_NAME = re.compile(r"(?:[^.\[\]\\\s]|\\.)+")
_QUOTED = re.compile(r"'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\"")
_SLICE = re.compile(r"(-?\d*):(-?\d*)(?::(-?\d*))?")
_FILTER = re.compile(r"\?\((.*)\)", re.DOTALL)
_COMPARED = re.compile(r"(.*?)\s*(==|!=|<=|>=|<|>)\s*(.*)", re.DOTALL)
_LONGEST = 4096


class JSONPath:
    """`.spec.replicas`, `.status.conditions[?(@.type=="Ready")].status` …; in braces or without."""

    def __init__(self, text: str) -> None:
        """Raises ValueError for what is no path."""
        if len(text) > _LONGEST:
            raise ValueError("it is too long")
        inner = text[1:-1] if text.startswith("{") and text.endswith("}") else text
        self.text = text
        self._steps = list(_steps(inner.removeprefix("$").removeprefix("@")))

    def find(self, value: Any) -> list[Any]:
        """Everything that the path leads to."""
        found = [value]
        for step in self._steps:
            found = [each for item in found for each in step(item)]
        return found

    def first(self, value: Any) -> Any:
        """None if there is nothing."""
        found = self.find(value)
        return found[0] if found else None


def _steps(text: str) -> Iterator[Step]:
    at = 0
    while at < len(text):
        if text.startswith("..", at):
            yield _descendants
            at += 1 if text[at + 2 : at + 3] not in ("[", "") else 2
        elif text[at] == ".":
            at += 1
            match = _NAME.match(text, at)
            if match is None:
                if at == len(text) or text[at] == "[":
                    continue
                raise ValueError(f"unrecognized character in {text!r}")
            name = re.sub(r"\\(.)", r"\1", match[0])
            yield _all if name == "*" else _field(name)
            at = match.end()
        elif text[at] == "[":
            end = _closing(text, at)
            yield _bracket(text[at + 1 : end].strip())
            at = end + 1
        else:
            match = _NAME.match(text, at)
            if match is None or at:
                raise ValueError(f"unrecognized character in {text!r}")
            yield _field(match[0])
            at = match.end()


def _closing(text: str, start: int) -> int:
    depth, at = 0, start
    while at < len(text):
        if text[at] in "'\"":
            match = _QUOTED.match(text, at)
            if match is None:
                raise ValueError("unterminated quoted string")
            at = match.end()
            continue
        depth += (text[at] == "[") - (text[at] == "]")
        if depth == 0:
            return at
        at += 1
    raise ValueError("unterminated array")


def _bracket(text: str) -> Step:
    if text == "*":
        return _all
    if match := _FILTER.fullmatch(text):
        return _filter(match[1].strip())
    if match := _SLICE.fullmatch(text):
        numbers = [int(part) if part else None for part in match.groups(default="")]
        if numbers[2] == 0:
            raise ValueError("step must be != 0")
        return _slice(slice(*numbers))
    names = _union(text)
    if all(isinstance(name, int) for name in names):
        return _indices([name for name in names if isinstance(name, int)])
    return _fields([str(name) for name in names])


def _union(text: str) -> list[str | int]:
    parts: list[str | int] = []
    at = 0
    while at < len(text):
        match = _QUOTED.match(text, at)
        if match is not None:
            parts.append(re.sub(r"\\(.)", r"\1", match[0][1:-1]))
        else:
            match = re.compile(r"-?\d+").match(text, at)
            if match is None:
                raise ValueError(f"invalid array index {text}")
            parts.append(int(match[0]))
        rest = text[match.end() :].lstrip()
        if rest and not rest.startswith(","):
            raise ValueError(f"invalid array index {text}")
        at = len(text) - len(rest.removeprefix(",").lstrip()) if rest else len(text)
    if not parts:
        raise ValueError("unterminated array")
    return parts


def _field(name: str) -> Step:
    return _fields([name])


def _fields(names: list[str]) -> Step:
    def step(value: Any) -> Iterator[Any]:
        if isinstance(value, dict):
            yield from (value[name] for name in names if name in value)

    return step


def _indices(numbers: list[int]) -> Step:
    def step(value: Any) -> Iterator[Any]:
        if isinstance(value, list):
            yield from (value[number] for number in numbers if -len(value) <= number < len(value))

    return step


def _slice(part: slice) -> Step:
    def step(value: Any) -> Iterator[Any]:
        if isinstance(value, list):
            yield from value[part]

    return step


def _all(value: Any) -> Iterator[Any]:
    if isinstance(value, dict):
        yield from value.values()
    elif isinstance(value, list):
        yield from value


def _descendants(value: Any) -> Iterator[Any]:
    yield value
    for each in _all(value):
        yield from _descendants(each)


def _filter(text: str) -> Step:
    match = _COMPARED.fullmatch(text)
    if match is None:
        path = JSONPath(text)

        def exists(value: Any) -> Iterator[Any]:
            if isinstance(value, list):
                yield from (item for item in value if path.find(item))

        return exists
    left, right = _operand(match[1].strip()), _operand(match[3].strip())
    compare = _COMPARISONS[match[2]]

    def step(value: Any) -> Iterator[Any]:
        if not isinstance(value, list):
            return
        for item in value:
            lefts, rights = left(item), right(item)
            if len(lefts) == 1 and len(rights) == 1 and _holds(compare, lefts[0], rights[0]):
                yield item

    return step


_COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {
    "==": lambda a, b: a == b,
    "!=": lambda a, b: a != b,
    "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b,
    ">": lambda a, b: a > b,
    ">=": lambda a, b: a >= b,
}


def _holds(compare: Callable[[Any, Any], bool], left: Any, right: Any) -> bool:
    try:
        return compare(left, right)
    except TypeError:
        return False


def _operand(text: str) -> Callable[[Any], list[Any]]:
    if _QUOTED.fullmatch(text):
        literal: Any = re.sub(r"\\(.)", r"\1", text[1:-1])
    elif text in ("true", "false"):
        literal = text == "true"
    elif re.fullmatch(r"-?\d+(\.\d+)?", text):
        literal = float(text) if "." in text else int(text)
    elif text.startswith(("@", "$", ".")):
        return JSONPath(text).find
    else:
        raise ValueError(f"unrecognized operand {text!r}")
    return lambda _item: [literal]
