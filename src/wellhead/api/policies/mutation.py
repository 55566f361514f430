"""What a MutatingAdmissionPolicy makes of an object: apply configurations and JSON patches.

Upstream: apiserver's policy/mutating/patch. The checker knows no types `Object.spec`, so these expressions
are read without it: their structs are looked at here, and what else is wrong shows in the evaluation.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping
from datetime import datetime
from functools import cached_property
from typing import Any

from wellhead.api.cel import Budget, EvaluationError, Program
from wellhead.api.cel.ast import (
    Call,
    Comprehension,
    CreateList,
    CreateMap,
    Expression,
    Identifier,
    Select,
)
from wellhead.api.cel.environment import parse
from wellhead.api.cel.frame import Fields
from wellhead.api.cel.values import Opaque, Optional, Span, TypeName, span_text, timestamp_text
from wellhead.api.errors import ApiError
from wellhead.api.limits import Limits
from wellhead.api.managed_fields.merge import merge
from wellhead.api.managed_fields.types import Type
from wellhead.api.meta import Obj
from wellhead.api.patch import apply_json_patch
from wellhead.api.policies.validation import Policy, with_variables
from wellhead.api.webhooks.conditions import VARIABLES, Allow

_BUDGET = 10_000_000
_PATCH_FIELDS = frozenset({"op", "path", "from", "value"})
_OPERATIONS = frozenset({"add", "remove", "replace", "move", "copy", "test"})
_TYPE_NAMES = frozenset(
    ("bool", "int", "uint", "double", "string", "bytes", "list", "map", "null_type", "type", "optional_type")
)
_KEPT = ("apiVersion", "kind")


class MutationFailed(Exception):
    """A mutation that can't be made; says why."""


class MutatingPolicy(Policy):
    """A policy that changes objects."""

    @cached_property
    def _mutations(self) -> list[tuple[str, str, Program | None, str]]:
        """Patch type, expression, program or why there is none."""
        return [_mutation(each) for each in self._spec.get("mutations") or ()]

    def mutate(
        self, obj: Obj, variables: Mapping[str, Any], type: Type, limits: Limits, allow: Allow = Budget
    ) -> Obj | None:
        """`obj` (which stays as it is) as the policy makes it; None: its conditions don't hold.

        Raises ConditionError, MutationFailed.
        """
        _ = self.conditions, self.expressions, self._mutations
        self.is_compiled = True
        if not self.matches(variables, allow):
            return None
        budget = allow(_BUDGET)
        for kind, text, program, problem in self._mutations:
            if program is None:
                raise MutationFailed(f"compilation error: {problem}")
            known = with_variables({**variables, "object": obj}, self.expressions.variables)
            try:
                value = program.evaluate(known, budget)
            except EvaluationError as error:
                raise MutationFailed(f"expression '{text}' resulted in error: {error}") from None
            obj = _applied(obj, value, type) if kind == "ApplyConfiguration" else _patched(obj, value, limits)
        return obj


def _mutation(described: Obj) -> tuple[str, str, Program | None, str]:
    kind = described.get("patchType") or ""
    part = described.get("applyConfiguration" if kind == "ApplyConfiguration" else "jsonPatch") or {}
    text = (part.get("expression") or "").strip()
    problem = ""
    try:
        program: Program | None = parse(text)
    except ValueError as error:
        return kind, text, None, str(error)
    return kind, text, program, problem


def expression_problem(text: str, kind: str, *, params: bool) -> str:
    """Why an expression can't be a mutation of that kind; '' if it can, as far as can be told."""
    try:
        program = parse(text)
    except ValueError as error:
        return str(error)
    root = program.checked.root
    known = {*VARIABLES, "variables", *(("params",) if params else ())}
    for name in _unknown(root, frozenset(known)):
        return f"compilation failed: ERROR: <input>:1:1: undeclared reference to '{name}' (in container '')"
    for struct in _structs(root):
        if kind == "ApplyConfiguration" and not (struct.message + ".").startswith("Object."):
            return f"compilation failed: undeclared reference to '{struct.message}' (in container '')"
        if kind == "JSONPatch":
            if struct.message != "JSONPatch" and not (struct.message + ".").startswith("Object."):
                return f"compilation failed: undeclared reference to '{struct.message}' (in container '')"
            names = {getattr(entry.key, "value", "") for entry in struct.entries}
            if struct.message == "JSONPatch" and not names <= _PATCH_FIELDS:
                return f"compilation failed: undefined field '{sorted(names - _PATCH_FIELDS)[0]}'"
    if kind == "ApplyConfiguration" and (
        isinstance(root, CreateList) or (isinstance(root, CreateMap) and root.message != "Object")
    ):
        return "must evaluate to Object"
    if kind == "JSONPatch" and isinstance(root, CreateMap):
        return "must evaluate to list(JSONPatch)"
    return ""


def _children(node: Expression) -> tuple[Expression, ...]:
    match node:
        case Select(_, operand):
            return (operand,)
        case Call(_, _, arguments):
            return arguments
        case CreateList(_, elements):
            return elements
        case CreateMap(_, entries):
            return tuple(part for entry in entries for part in (entry.key, entry.value))
        case Comprehension():
            return (node.over, node.start, node.condition, node.step, node.result)
    return ()


def _structs(node: Expression) -> Iterator[CreateMap]:
    if isinstance(node, CreateMap) and node.message:
        yield node
    for child in _children(node):
        yield from _structs(child)


def _unknown(node: Expression, known: frozenset[str]) -> Iterator[str]:
    if isinstance(node, Identifier):
        first = node.name.partition(".")[0]
        if node.name not in known and first not in known and node.name not in _TYPE_NAMES:
            yield node.name
        return
    if isinstance(node, Comprehension):
        inside = known | {*node.variables, node.accumulator}
        yield from _unknown(node.over, known)
        for part in (node.start, node.condition, node.step, node.result):
            yield from _unknown(part, inside)
        return
    for child in _children(node):
        yield from _unknown(child, known)


def to_json(value: Any) -> Any:
    """An expression's value as JSON has it. Raises MutationFailed."""
    match value:
        case None | bool() | str():
            return value
        case int():
            return int(value)
        case float():
            return value
        case bytes():
            return base64.b64encode(value).decode()
        case datetime():
            return timestamp_text(value)
        case Span():
            return span_text(value)
        case list():
            return [to_json(each) for each in value]
        case dict():
            return {str(name): to_json(each) for name, each in value.items()}
        case Optional():
            return to_json(value.value) if value.present else None
        case Opaque() | TypeName() | Fields():
            pass
    raise MutationFailed("the expression's value has no form in JSON")


def _applied(obj: Obj, value: Any, type: Type) -> Obj:
    if not isinstance(value, dict):
        raise MutationFailed("must evaluate to Object")
    wanted = to_json(value)
    for name in (*_KEPT, "metadata"):
        if name in wanted and name in _KEPT and wanted[name] != obj.get(name):
            raise MutationFailed(f"an apply configuration may not change {name}")
    if atomic := [*_atomic(type, wanted, "")]:
        raise MutationFailed(
            "error applying patch: invalid ApplyConfiguration: may not mutate atomic arrays, maps or structs:"
            f" {', '.join(atomic)}"
        )
    merged: Obj = merge(type, obj, wanted)
    return merged


def _atomic(type: Type, wanted: Any, path: str) -> Iterator[str]:
    """The paths of what could only be replaced as a whole."""
    if isinstance(wanted, dict) and type.map is not None:
        if type.map.atomic:
            yield path
        for name, value in wanted.items():
            if (field := type.map.field(name)) is not None:
                yield from _atomic(field.type, value, f"{path}.{name}")
    if isinstance(wanted, list) and type.list is not None:
        if type.list.atomic:
            yield path
        for index, item in enumerate(wanted):
            yield from _atomic(type.list.element, item, f"{path}[{index}]")


def _patched(obj: Obj, value: Any, limits: Limits) -> Obj:
    if not isinstance(value, list):
        raise MutationFailed("type mismatch: JSONPatchType.expression should evaluate to array")
    operations = []
    for each in value:
        if not isinstance(each, dict) or each.get("op") not in _OPERATIONS:
            raise MutationFailed("JSONPatch operations must have an op and a path")
        operations.append(to_json(each))
    try:
        patched: Obj = apply_json_patch(obj, operations, limits)
    except ApiError as error:
        raise MutationFailed(f"JSON Patch: {error.message}") from None
    return patched
