"""Functions as data: a signature, which the checker reads, and what computes it, which the evaluator calls.

A signature is `receiver -> name(parameter, …): result` or `name(parameter, …): result`. Types are CEL's
names; `A` and `B` stand for any type, `dyn` for all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from wellhead.api.cel.values import EvaluationError, Optional, Span, TypeName, UInt, no_such_overload
from wellhead.api.meta import Obj

Implementation = Callable[..., Any]
Cost = Callable[[tuple[Any, ...], Any], int]

_ANY = object
_CLASSES: dict[str, type] = {
    "bool": bool,
    "int": int,
    "uint": UInt,
    "double": float,
    "string": str,
    "bytes": bytes,
    "list": list,
    "map": dict,
    "timestamp": datetime,
    "duration": Span,
    "optional_type": Optional,
    "type": TypeName,
}


@dataclass(frozen=True)
class Function:
    """One overload."""

    name: str
    parameters: tuple[Obj, ...]
    """As the checker's configuration has types."""
    classes: tuple[type, ...]
    result: Obj
    member: bool
    call: Implementation

    def overload(self) -> Obj:
        """The overload in the checker's configuration."""
        described: Obj = {"id": self.identity, "return": self.result}
        parameters = list(self.parameters)
        if self.member:
            described["target"] = parameters.pop(0)
        described["args"] = parameters
        return described

    @property
    def identity(self) -> str:
        return "_".join([self.name, *map(_word, self.parameters)]) + ("_member" if self.member else "")


def function(signature: str, call: Implementation, opaque: Mapping[str, type] | None = None) -> Function:
    """`opaque` are the classes of types that are not CEL's own."""
    receiver, _, rest = signature.partition("->")
    member = bool(rest)
    head, _, result = (rest if member else receiver).rpartition(": ")
    name, _, inside = head.strip().partition("(")
    texts = [receiver.strip()] if member else []
    texts += _split(inside.removesuffix(")"))
    parameters = tuple(map(_type, texts))
    known = _CLASSES | dict(opaque or {})
    classes = tuple(
        _ANY if each.get("is_type_param") else known.get(each["type_name"], _ANY) for each in parameters
    )
    return Function(name, parameters, classes, _type(result.strip()), member, call)


def _split(text: str) -> list[str]:
    parts, depth, start = [], 0, 0
    for at, char in enumerate(text):
        depth += (char == "<") - (char == ">")
        if char == "," and depth == 0:
            parts.append(text[start:at].strip())
            start = at + 1
    last = text[start:].strip()
    return [*parts, last] if last else parts


def _type(text: str) -> Obj:
    name, _, inside = text.partition("<")
    if len(name) == 1 and name.isupper():
        return {"type_name": name, "is_type_param": True}
    described: Obj = {"type_name": name}
    if inside:
        described["params"] = [_type(each) for each in _split(inside.removesuffix(">"))]
    return described


def _word(described: Obj) -> str:
    return "_".join([str(described["type_name"]), *map(_word, described.get("params", ()))])


class Functions:
    """All overloads by name, chosen by the types that the arguments turn out to have."""

    def __init__(self, functions: Iterable[Function]) -> None:
        self.all = tuple(functions)
        self._named: dict[str, list[Function]] = {}
        for each in self.all:
            self._named.setdefault(each.name, []).append(each)
        self._chosen: dict[tuple[str, tuple[type, ...]], Implementation | None] = {}

    def __contains__(self, name: str) -> bool:
        return name in self._named

    def configuration(self) -> list[Obj]:
        """The functions in the checker's configuration."""
        return [
            {"name": name, "overloads": [each.overload() for each in functions]}
            for name, functions in self._named.items()
        ]

    def call(self, name: str, arguments: tuple[Any, ...]) -> Any:
        """Raises EvaluationError."""
        key = (name, tuple(map(type, arguments)))
        try:
            chosen = self._chosen[key]
        except KeyError:
            chosen = self._chosen[key] = self._choose(*key)
        if chosen is None:
            raise no_such_overload()
        try:
            return chosen(*arguments)
        except (ValueError, OverflowError) as error:
            raise EvaluationError(str(error)) from None

    def _choose(self, name: str, types: tuple[type, ...]) -> Implementation | None:
        for each in self._named.get(name, ()):
            if len(each.classes) == len(types) and all(
                wanted is _ANY or given is wanted for wanted, given in zip(each.classes, types, strict=True)
            ):
                return each.call
        return None
