"""The expressions of policies: their variables, and the programs that they become.

Upstream: apiserver's admission/plugin/cel (compile.go, composition.go).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from wellhead.api.cel import CompilationError, Environment, Program
from wellhead.api.cel.types import BOOL, DYN, ListOf, MapOf, ObjectOf, Scalar, Type
from wellhead.api.webhooks.conditions import VARIABLES

_KNOWN = {name: Scalar(name) for name in ("int", "double", "string", "bytes", "timestamp", "duration")}
_AUTHORIZATION = ("authorizer", "authorizer.requestResource")


@dataclass(frozen=True)
class Variable:
    """A variable of a policy, compiled; `problem` is why it isn't."""

    name: str
    program: Program | None
    problem: str = ""


class Expressions:
    """Compiles one policy's expressions."""

    def __init__(
        self,
        *,
        params: bool,
        described: Iterable[Mapping[str, str]] = (),
        types: Mapping[str, Type] | None = None,
    ) -> None:
        """`described` are the policy's variables, each of which sees those before it. `types` are those of
        object and oldObject and params, if they are known."""
        self._declared: dict[str, Type] = {**VARIABLES, **(types or {})}
        if params:
            self._declared.setdefault("params", DYN)
        self._variables: dict[str, Type] = {}
        self._environments: dict[tuple[int, bool], Environment] = {}
        self.variables: list[Variable] = []
        for each in described:
            self.declare(each.get("name") or "", each.get("expression") or "")

    def compile(self, text: str, *, authorizer: bool = True) -> Program:
        """Raises CompilationError."""
        key = (len(self._variables), authorizer)
        if key not in self._environments:
            declared = dict(self._declared)
            if not authorizer:
                for name in _AUTHORIZATION:
                    declared.pop(name, None)
            declared["variables"] = ObjectOf(dict(self._variables))
            self._environments[key] = Environment(declared)
        return self._environments[key].compile(text)

    def problem(self, text: str, *types: str, authorizer: bool = True) -> str:
        """Why an expression isn't one that gives one of these types; '' if it is, as far as can be told."""
        try:
            program = self.compile(text, authorizer=authorizer)
        except CompilationError as error:
            return str(error)
        if program.type == "dyn" or program.type in types:
            return ""
        wanted = types[0] if len(types) == 1 else f"one of [{' '.join(types)}]"
        return f"must evaluate to {wanted} but got {program.type}"

    def mistake(self, text: str) -> str:
        """Why an expression is none; '' if it is one."""
        try:
            self.compile(text)
        except CompilationError as error:
            return str(error)
        return ""

    def declare(self, name: str, text: str) -> Variable:
        """A variable that expressions from now on see."""
        try:
            program = self.compile(text)
        except CompilationError as error:
            found, seen_as = Variable(name, None, str(error)), _type_named("dyn")
        else:
            found, seen_as = Variable(name, program), _type_named(program.type)
        self._variables[name] = seen_as
        self.variables.append(found)
        return found


def _type_named(name: str) -> Type:
    """What a variable is for those after it."""
    match name:
        case "bool":
            return BOOL
        case "list":
            return ListOf(DYN)
        case "map":
            return MapOf(DYN)
    return _KNOWN.get(name, DYN)
