"""Label and field selectors, as list, watch and deletecollection take them and as workloads hold them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from wellhead.api.errors import BadRequest
from wellhead.api.limits import DEFAULTS, Limits
from wellhead.api.meta import Obj
from wellhead.api.numbers import parse_int64
from wellhead.api.resource import Resource
from wellhead.text import quoted

_Operator = Literal["in", "notin", "exists", "!", ">", "<"]


@dataclass(frozen=True)
class Requirement:
    """One condition on one label. `values` is empty for `exists` and `!`, one number for `>` and `<`."""

    key: str
    operator: _Operator
    values: frozenset[str] = frozenset()
    listed: bool = field(default=False, compare=False)
    """Whether it was written with `in` or `notin`, and so is shown so even if it names one value."""

    def matches(self, labels: Mapping[str, str]) -> bool:
        value = labels.get(self.key)
        match self.operator:
            case "in":
                return value is not None and value in self.values
            case "notin":
                return value is None or value not in self.values
            case "exists":
                return value is not None
            case "!":
                return value is None
        try:
            number, limit = parse_int64(value or ""), int(next(iter(self.values)))
        except ValueError:
            return False
        return number > limit if self.operator == ">" else number < limit

    def __str__(self) -> str:
        match self.operator:
            case "exists":
                return self.key
            case "!":
                return f"!{self.key}"
            case "in" if len(self.values) == 1 and not self.listed:
                return f"{self.key}={next(iter(self.values))}"
            case "notin" if len(self.values) == 1 and not self.listed:
                return f"{self.key}!={next(iter(self.values))}"
            case "in" | "notin":
                return f"{self.key} {self.operator} ({','.join(sorted(self.values))})"
        return f"{self.key}{self.operator}{next(iter(self.values))}"


_TOKEN = re.compile(r"(==|!=|[=!<>(),])|([^\s=!<>(),]+)")
_LABEL_KEY = re.compile(r"(?:[a-z0-9]([-a-z0-9.]*[a-z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?")
_LABEL_VALUE = re.compile(r"(?:[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?")
_OBJECT_OPERATORS: dict[str, _Operator] = {
    "In": "in",
    "NotIn": "notin",
    "Exists": "exists",
    "DoesNotExist": "!",
}


@dataclass(frozen=True)
class LabelSelector:
    """All requirements must hold. Without any, everything matches; `nothing` matches nothing."""

    requirements: tuple[Requirement, ...] = ()
    nothing: bool = False

    @classmethod
    def parse(cls, text: str, limits: Limits = DEFAULTS) -> LabelSelector:
        """`a=b,c!=d,e in (f,g),h notin (i),j,!k,l>1`. Raises BadRequest."""
        requirements = _LabelParser(text).requirements()
        _check_terms(len(requirements), limits)
        return cls(tuple(requirements))

    @classmethod
    def from_object(cls, selector: Obj | None) -> LabelSelector:
        """From a metav1.LabelSelector. None selects nothing, an empty one everything.

        Raises BadRequest for an operator that doesn't exist.
        """
        if selector is None:
            return cls(nothing=True)
        found = [
            Requirement(name, "in", frozenset({value}))
            for name, value in (selector.get("matchLabels") or {}).items()
        ]
        for expression in selector.get("matchExpressions") or ():
            operator = _OBJECT_OPERATORS.get(expression.get("operator", ""))
            if operator is None:
                text = quoted(str(expression.get("operator")))
                raise BadRequest(f"{text} is not a valid label selector operator")
            values = frozenset(expression.get("values") or ())
            found.append(Requirement(expression.get("key", ""), operator, values, listed=True))
        return cls(tuple(found))

    def matches(self, labels: Mapping[str, str] | None) -> bool:
        """Whether an object with these metadata.labels is selected."""
        return not self.nothing and all(r.matches(labels or {}) for r in self.requirements)

    @property
    def is_everything(self) -> bool:
        return not self.nothing and not self.requirements

    def __str__(self) -> str:
        return ",".join(str(requirement) for requirement in sorted(self.requirements, key=lambda r: r.key))


class _LabelParser:
    """The grammar of apimachinery's labels.Parse."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens = [operator or word for operator, word in _TOKEN.findall(text)]
        self._position = 0

    def requirements(self) -> list[Requirement]:
        found: list[Requirement] = []
        if not self._tokens:
            return found
        while True:
            found.append(self._requirement())
            if not self._peek():
                return found
            if self._next() != ",":
                raise self._error(
                    f"found '{self._tokens[self._position - 1]}', expected: ',' or 'end of string'"
                )
            if not self._peek():
                raise self._error("found '', expected: identifier after ','")

    def _requirement(self) -> Requirement:
        if self._peek() == "!":
            self._next()
            return Requirement(self._key(), "!")
        key = self._key()
        operator = self._peek()
        if operator in ("", ","):
            return Requirement(key, "exists")
        self._next()
        if operator in ("=", "=="):
            return Requirement(key, "in", frozenset({self._value()}))
        if operator == "!=":
            return Requirement(key, "notin", frozenset({self._value()}))
        if operator == ">" or operator == "<":
            value = self._value()
            try:
                parse_int64(value)
            except ValueError:
                raise self._error("for 'Gt', 'Lt' operators, the value must be an integer") from None
            return Requirement(key, ">" if operator == ">" else "<", frozenset({value}))
        if operator == "in" or operator == "notin":
            return Requirement(key, "in" if operator == "in" else "notin", self._values(), listed=True)
        raise self._error(f"found '{operator}', expected: in, notin, =, ==, !=, gt, lt")

    def _key(self) -> str:
        key = self._next()
        if not _LABEL_KEY.fullmatch(key):
            raise self._error(f"found '{key}', expected: !, identifier, or 'end of string'")
        return key

    def _value(self) -> str:
        if self._peek() in ("", ","):
            return ""
        value = self._next()
        if not _LABEL_VALUE.fullmatch(value):
            raise self._error(
                f'values[0]: Invalid value: "{value}": a valid label must be an empty string or consist of '
                "alphanumeric characters, '-', '_' or '.', and must start and end with one"
            )
        return value

    def _values(self) -> frozenset[str]:
        if self._next() != "(":
            raise self._error("found no '(' after 'in' or 'notin'")
        values: set[str] = set()
        while True:
            values.add("" if self._peek() in (",", ")") else self._value())
            following = self._next()
            if following == ")":
                return frozenset(values)
            if following != ",":
                raise self._error(f"found '{following}', expected: ',' or ')'")

    def _peek(self) -> str:
        return self._tokens[self._position] if self._position < len(self._tokens) else ""

    def _next(self) -> str:
        token = self._peek()
        self._position += 1
        return token

    def _error(self, why: str) -> BadRequest:
        return BadRequest(f'unable to parse requirement: {why} (in "{self._text}")')


@dataclass(frozen=True)
class FieldTerm:
    """One condition on one field: equal (or, negated, not equal) to a value."""

    field: str
    value: str
    negated: bool = False

    def matches(self, obj: Obj) -> bool:
        return (field_value(obj, self.field) == self.value) is not self.negated

    def __str__(self) -> str:
        value = self.value.replace("\\", "\\\\").replace(",", "\\,").replace("=", "\\=")
        return f"{self.field}{'!=' if self.negated else '='}{value}"


# What a field that isn't set reads as, where that isn't the empty string.
_UNSET_FIELDS = {
    "spec.unschedulable": "false",
    "spec.hostNetwork": "false",
    "status.replicas": "0",
    "status.succeeded": "0",
}
_RENAMED_FIELDS = {"status.successful": "status.succeeded"}  # a Job's
_TERM = re.compile(r"(?P<field>[^=!]*)(?P<operator>==|!=|=)(?P<value>.*)", re.DOTALL)


@dataclass(frozen=True)
class FieldSelector:
    """All terms must hold. Which fields may be named depends on the resource: see `check`."""

    terms: tuple[FieldTerm, ...] = ()

    @classmethod
    def parse(cls, text: str, resource: Resource | None = None, limits: Limits = DEFAULTS) -> FieldSelector:
        """`a.b=c,d!=e`, with `\\` escaping `,` `=` and itself. Raises BadRequest.

        Given a resource, also checks that it supports the fields.
        """
        terms = []
        for part in _split_terms(text):
            if not part:
                continue
            match = _TERM.fullmatch(part)
            if match is None:
                raise BadRequest(f"invalid selector: '{text}'; can't understand '{part}'")
            terms.append(FieldTerm(match["field"], _unescaped(match["value"]), match["operator"] == "!="))
        _check_terms(len(terms), limits)
        selector = cls(tuple(terms))
        if resource is not None:
            selector.check(resource)
        return selector

    def check(self, resource: Resource) -> None:
        """Raises BadRequest if a term names a field that the resource can't be selected by."""
        for term in self.terms:
            if term.field in ("metadata.name", "metadata.namespace") or term.field in resource.field_labels:
                continue
            if resource.strict_field_labels:
                raise BadRequest(f"field label not supported: {term.field}")
            raise BadRequest(
                f'"{term.field}" is not a known field selector: only "metadata.name", "metadata.namespace"'
            )

    def matches(self, obj: Obj) -> bool:
        return all(term.matches(obj) for term in self.terms)

    def exact(self, field: str) -> str | None:
        """The value that a term demands of `field`, if one does: a list of one name is a get."""
        return next((t.value for t in self.terms if t.field == field and not t.negated), None)

    @property
    def is_everything(self) -> bool:
        return not self.terms

    def __str__(self) -> str:
        return ",".join(str(term) for term in self.terms)


def field_value(obj: Obj, field: str) -> str:
    """What a field selector sees of a field: its value as text, '' if it isn't set."""
    if field == "source":  # an event's: the component alone
        return (obj.get("source") or {}).get("component") or obj.get("reportingComponent") or ""
    field = _RENAMED_FIELDS.get(field, field)
    value: object = obj
    for part in field.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    if value is None:
        return _UNSET_FIELDS.get(field, "")
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):  # status.podIPs
        return ",".join(entry.get("ip", "") for entry in value)
    return str(value)


def _split_terms(text: str) -> list[str]:
    return re.findall(r"(?:[^\\,]|\\.|\\$)+", text, re.DOTALL)


def _unescaped(value: str) -> str:
    """Raises BadRequest for what fields.UnescapeValue refuses."""
    if invalid := re.search(r"\\(?:[^\\,=]|$)", re.sub(r"\\[\\,=]", "", value), re.DOTALL):
        raise BadRequest(f"invalid field selector: invalid escape sequence: {invalid[0]}")
    if "=" in re.sub(r"\\[\\,=]", "", value):
        raise BadRequest("invalid field selector: unescaped character in value: =")
    return re.sub(r"\\([\\,=])", r"\1", value)


def _check_terms(count: int, limits: Limits) -> None:
    if count > limits.selector_terms:
        raise BadRequest(
            f"unable to parse requirement: it has {count} conditions, limit is {limits.selector_terms}"
        ).exceeding("selector-terms")
