"""YAML within bounds, as Kubernetes reads it: every key is a string, a date is one too.

The values are put together from libyaml's events as they come, so that a text is refused at the first event
that is too much. An alias counts as all that it stands for (CVE-2019-11253): a few hundred bytes of
aliases to aliases would be gigabytes of JSON. Upstream: sigs.k8s.io/yaml.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from typing import Any

import yaml

from wellhead.api.documents.document import Document, Unreadable, too_deep, too_many_values
from wellhead.api.errors import ApiError, BadRequest
from wellhead.api.limits import Limits

_PREFIX = "tag:yaml.org,2002:"
_WORDS: dict[str, bool | None] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE", "yes", "Yes", "YES", "on", "On", "ON"), True),
    **dict.fromkeys(("false", "False", "FALSE", "no", "No", "NO", "off", "Off", "OFF"), False),
}
_DECIMAL = re.compile(r"[-+]?(?:0|[1-9][0-9_]*)", re.ASCII)
_BASED = re.compile(r"([-+]?)0(?:x([0-9a-fA-F_]+)|b([01_]+)|o?([0-7_]+))", re.ASCII)
_FLOAT = re.compile(r"[-+]?(?:\.[0-9][0-9_]*|[0-9][0-9_]*(?:\.[0-9_]*)?)(?:[eE][-+]?[0-9]+)?", re.ASCII)
_NOT_FINITE = re.compile(r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)")
_NUMBER_BEGINS = frozenset("-+.0123456789")
_LONGEST_NUMBER = 100  # characters; what is longer has no number type to fit in


def read_yaml(body: bytes, limits: Limits) -> Document:
    """The value of a YAML text of one document; of keys that are there twice, the last one counts.

    It may take a tenth of a second for the largest text that is allowed, so it is no work for an event loop.
    Raises BadRequest, RequestEntityTooLarge.
    """
    try:
        return _Reader(limits).read(body)
    except yaml.YAMLError as error:
        problem = f"yaml: {_in_go(error)}"
        raise Unreadable(f"error converting YAML to JSON: {problem}", problem) from None
    except UnicodeDecodeError as error:
        raise BadRequest(f"error converting YAML to JSON: yaml: {error}") from None


@dataclass(slots=True)
class _Size:
    """How much a value is, its aliases written out."""

    values: int = 1
    bytes: int = 0
    height: int = 0


@dataclass(slots=True)
class _Open:
    """A list or map that hasn't ended. A map's `key` is what the next value belongs to."""

    value: list[Any] | dict[str, Any]
    anchor: str | None
    line: int
    size: _Size = field(default_factory=_Size)
    key: str | None = None
    merges: list[Any] = field(default_factory=list)


class _Reader:
    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._open: list[_Open] = []
        self._total = _Size(values=0)
        self._anchors: dict[str, tuple[Any, _Size]] = {}
        self._complaints: list[str] = []
        self._root: Any = None

    def read(self, body: bytes) -> Document:
        documents = 0
        for event in yaml.parse(body, Loader=yaml.CSafeLoader):
            line = _line(event)
            match event:
                case yaml.ScalarEvent():
                    value = _scalar(event, line, is_key=self._wants_key)
                    self._anchored(event.anchor, value, self._grow(line, bytes=len(event.value)))
                    self._add(value, line)
                case yaml.MappingStartEvent() | yaml.SequenceStartEvent():
                    self._begin(event, line)
                case yaml.MappingEndEvent() | yaml.SequenceEndEvent():
                    self._end()
                case yaml.AliasEvent():
                    self._alias(str(event.anchor), line)
                case yaml.DocumentStartEvent():
                    documents += 1
                    if documents > 1:
                        raise _bad(line, "expected a single document in the stream, but found another one")
        if not documents:
            return Document(None)
        complaints = "\n  ".join(self._complaints)
        return Document(self._root, (f"yaml: unmarshal errors:\n  {complaints}",) if complaints else ())

    @property
    def _wants_key(self) -> bool:
        return bool(self._open) and isinstance(self._open[-1].value, dict) and self._open[-1].key is None

    def _begin(self, event: Any, line: int) -> None:
        if self._wants_key:
            raise _bad(line, "a key must be a string")
        is_map = isinstance(event, yaml.MappingStartEvent)
        _check_tag(event, "map" if is_map else "seq", line)
        self._grow(line)
        if len(self._open) >= self._limits.nesting:
            raise too_deep("yaml", self._limits)
        value: list[Any] | dict[str, Any] = {} if is_map else []
        self._open.append(_Open(value, event.anchor, line))
        self._anchors.pop(event.anchor, None)

    def _end(self) -> None:
        ended = self._open.pop()
        if isinstance(ended.value, dict):
            for merged in ended.merges:
                for name, value in merged.items():
                    ended.value.setdefault(name, value)
        ended.size.height += 1
        self._anchored(ended.anchor, ended.value, ended.size)
        if self._open:
            outer = self._open[-1].size
            outer.values += ended.size.values - 1  # it was counted itself when it began
            outer.bytes += ended.size.bytes
            outer.height = max(outer.height, ended.size.height)
        self._add(ended.value, ended.line)

    def _alias(self, anchor: str, line: int) -> None:
        if any(each.anchor == anchor for each in self._open) and anchor not in self._anchors:
            raise _bad(line, f"anchor '{anchor}' value contains itself")
        if anchor not in self._anchors:
            raise _bad(line, f"unknown anchor '{anchor}' referenced")
        value, size = self._anchors[anchor]
        if self._wants_key and not isinstance(value, str):
            raise _bad(line, "a key must be a string")
        if len(self._open) + size.height > self._limits.nesting:
            raise too_deep("yaml", self._limits)
        self._grow(line, size.values, size.bytes, size.height)
        self._add(value, line)

    def _grow(self, line: int, values: int = 1, bytes: int = 0, height: int = 0) -> _Size:
        """Count a value, and refuse what is too much."""
        self._total.values += values
        self._total.bytes += bytes
        if self._total.values > 2 * self._limits.body_values:  # keys are values here
            raise too_many_values(self._limits)
        if self._total.bytes > self._limits.request_body:
            raise _bad(line, "document contains excessive aliasing").exceeding("request-body")
        if self._open:
            size = self._open[-1].size
            size.values += values
            size.bytes += bytes
            size.height = max(size.height, height)
        return _Size(values, bytes, height)

    def _anchored(self, anchor: str | None, value: Any, size: _Size) -> None:
        if anchor is not None:
            self._anchors[anchor] = value, size

    def _add(self, value: Any, line: int) -> None:
        if not self._open:
            self._root = value
            return
        parent = self._open[-1]
        if isinstance(parent.value, list):
            parent.value.append(value)
        elif parent.key is None:
            parent.key = value
        elif parent.key == _MERGE:
            sources = value if isinstance(value, list) else [value]
            if not all(isinstance(source, dict) for source in sources):
                raise _bad(line, "map merge requires map or sequence of maps as the value")
            parent.merges += sources
            parent.key = None
        else:
            if parent.key in parent.value:
                self._complaints.append(f'line {line}: key "{parent.key}" already set in map')
            parent.value[parent.key] = value
            parent.key = None


_MERGE = "\0<<"  # a plain <<, which no string can be: YAML has no NUL


def _line(event: yaml.Event) -> int:
    return event.start_mark.line + 1 if event.start_mark is not None else 0


def _scalar(event: yaml.ScalarEvent, line: int, *, is_key: bool) -> Any:
    """The value of a scalar, by its tag or as go-yaml resolves it; of a key, its text."""
    text: str = event.value
    tag = event.tag
    if tag in (None, "!"):
        plain = event.implicit[0] and tag is None
        value = _resolved(text, line) if plain else text
        if is_key:
            if value is None:
                raise _bad(line, "a key must be a string")
            return _MERGE if plain and text == "<<" else text
        return value
    kind = tag.removeprefix(_PREFIX)
    converted = _CONVERTED.get(kind) if tag.startswith(_PREFIX) else None
    if converted is None:
        raise _bad(line, f"the tag {tag} is not supported")
    value = text if kind == "str" else _resolved(text, line)
    if not isinstance(value, converted) or (kind != "bool" and isinstance(value, bool)):
        raise _bad(line, f"cannot decode {text[:_LONGEST_NUMBER]!r} as a {kind}")
    return text if is_key else value


_CONVERTED: dict[str, Any] = {
    "str": str,
    "int": int,
    "float": int | float,
    "bool": bool,
    "null": type(None),
}


def _resolved(text: str, line: int) -> Any:
    """What a plain scalar is: null, true, a number, else its text."""
    if text in _WORDS:
        return _WORDS[text]
    if text[0] not in _NUMBER_BEGINS or len(text) > _LONGEST_NUMBER:
        return text
    if _DECIMAL.fullmatch(text):
        return int(text.replace("_", ""))
    if match := _BASED.fullmatch(text):
        sign, *digits = match.groups()
        for base, found in zip((16, 2, 8), digits, strict=True):
            if found and (bare := found.replace("_", "")):
                return int(sign + bare, base)
    if _FLOAT.fullmatch(text):
        number = float(text.replace("_", ""))
        if not math.isfinite(number):
            raise _bad(line, f"the number {text} is out of range")
        return int(number) if number.is_integer() else number
    if _NOT_FINITE.fullmatch(text):
        raise _bad(line, f"{text} is no number in JSON")
    return text


def _check_tag(event: Any, kind: str, line: int) -> None:
    if event.tag not in (None, "!", _PREFIX + kind):
        raise _bad(line, f"the tag {event.tag} is not supported")


def _bad(line: int, why: str) -> ApiError:
    return BadRequest(f"error converting YAML to JSON: yaml: line {line}: {why}")


def _in_go(error: yaml.YAMLError) -> str:
    """As Go's reader, which is libyaml in Go, says it: with the line only if it isn't the first."""
    if not isinstance(error, yaml.MarkedYAMLError):
        return " ".join(str(error).split())
    marks = (mark.line for mark in (error.context_mark, error.problem_mark) if mark is not None and mark.line)
    line = next(marks, 0)
    if line and isinstance(error, yaml.scanner.ScannerError):
        line += 1
    return f"line {line}: {error.problem}" if line else str(error.problem)
