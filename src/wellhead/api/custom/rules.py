"""x-kubernetes-validations: rules in CEL, compiled once for a schema and evaluated on each object.

Upstream: apiextensions' schema/cel/validation.go.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from wellhead.api.cel import Budget, BudgetExceeded, CompilationError, CostExceeded, Environment, Program
from wellhead.api.cel.ast import mentions
from wellhead.api.cel.types import DYN, Type
from wellhead.api.cel.values import NONE, EvaluationError, optional
from wellhead.api.custom.rule_types import to_cel, type_of
from wellhead.api.custom.schemas import (
    child,
    correlated,
    has,
    is_embedded,
    items,
    key,
    properties,
    shown_path,
    values,
)
from wellhead.api.errors import Cause
from wellhead.api.meta import Obj

RULES = "x-kubernetes-validations"
OBJECT_BUDGET = 10_000_000
"""What all rules may cost on one object (RuntimeCELCostBudget)."""
_LONGEST_MESSAGE = 5 * 1024
_OUT_OF_BUDGET = (
    "validation failed due to running out of cost budget, no further validation rules will be run"
)


@dataclass
class Rule:
    """One rule of a schema. `problem` is why it doesn't compile, `message_problem` is its message's."""

    text: str
    program: Program | None = None
    problem: str = ""
    transition: bool = False
    """Whether it speaks of the object before."""
    optional_old: bool = False
    message: str = ""
    message_program: Program | None = None
    message_problem: str = ""
    reason: str = ""
    field_path: str = ""

    @property
    def shown(self) -> str:
        return self.message.strip() or self.text.strip()


@dataclass
class Node:
    """The rules of a part of a schema, and of the parts below."""

    schema: Obj
    resource: bool
    rules: list[Rule] = field(default_factory=list)
    fields: Mapping[str, Node] = field(default_factory=dict)
    items: Node | None = None
    values: Node | None = None


def compile_rules(schema: Obj, *, resource: bool = True) -> Node | None:
    """None if there are no rules anywhere."""
    if not has(schema, RULES):
        return None
    node = Node(schema, resource)
    if schema.get(RULES):
        node.rules = compiled_here(schema, type_of(schema, resource=resource))
    node.fields = {
        name: below
        for name, each in properties(schema).items()
        if (below := compile_rules(each, resource=is_embedded(each))) is not None
    }
    if (of := items(schema)) is not None:
        node.items = compile_rules(of, resource=is_embedded(of))
    if (of := values(schema)) is not None:
        node.values = compile_rules(of, resource=is_embedded(of))
    return node


def compiled_here(schema: Obj, type: Type | None) -> list[Rule]:
    """The rules that stand directly in a schema."""
    if type is None:
        problem = "internal error: failed to retrieve type information for x-kubernetes-validations"
        return [Rule(each.get("rule") or "", problem=problem) for each in schema[RULES]]
    plain = _Environments(type)
    return [_rule(each, plain) for each in schema[RULES]]


class _Environments:
    def __init__(self, type: Type) -> None:
        self._type = type
        self._made: dict[bool, Environment] = {}

    def __getitem__(self, optional_old: bool) -> Environment:
        """Raises CompilationError."""
        if optional_old not in self._made:
            old = DYN if optional_old else self._type
            self._made[optional_old] = Environment({"self": self._type, "oldSelf": old})
        return self._made[optional_old]


def _rule(described: Obj, environments: _Environments) -> Rule:
    rule = Rule(
        described.get("rule") or "",
        optional_old=bool(described.get("optionalOldSelf")),
        message=described.get("message") or "",
        reason=described.get("reason") or "",
        field_path=(described.get("fieldPath") or "").strip(),
    )
    if not rule.text.strip():
        rule.problem = "rule is not specified"
        return rule
    try:
        rule.program = environments[rule.optional_old].compile(rule.text)
    except CompilationError as error:
        rule.problem = str(error)
        return rule
    if rule.program.type not in ("bool", "dyn"):
        rule.program, rule.problem = None, "cel expression must evaluate to a bool"
        return rule
    rule.transition = mentions(rule.program.checked.root, "oldSelf")
    if (text := described.get("messageExpression") or "").strip():
        try:
            program = environments[rule.optional_old].compile(text)
        except CompilationError as error:
            rule.message_problem = f"messageExpression {error}"
            return rule
        if program.type not in ("string", "dyn"):
            rule.message_problem = "messageExpression must evaluate to a string"
        else:
            rule.message_program = program
    return rule


class _Stop(Exception):
    """No further rule is evaluated."""


_NO_OLD: Any = object()


def check_rules(
    node: Node | None, value: Any, old: Any = None, path: str = ""
) -> tuple[list[Cause], list[str]]:
    """What the rules say against a value that replaces `old` (None: it is new); and of what only to warn.

    What was wrong already, and is as it was, is only warned of.
    """
    if node is None:
        return [], []
    checking = _Checking(Budget(OBJECT_BUDGET))
    with contextlib.suppress(_Stop):
        checking.look(node, value, _NO_OLD if old is None else old, path, unchanged=False)
    return checking.causes, checking.warnings


class _Checking:
    def __init__(self, budget: Budget) -> None:
        self._budget = budget
        self.causes: list[Cause] = []
        self.warnings: list[str] = []

    def look(self, node: Node, value: Any, old: Any, path: str, *, unchanged: bool) -> None:
        if value is None:
            return
        if old is not _NO_OLD:
            unchanged = value == old
        if node.rules:
            self._rules(node, value, old, path, unchanged)
        if isinstance(value, dict):
            for name, item in value.items():
                below = node.fields.get(name)
                at = child(path, name)
                if below is None and node.values is not None and name not in properties(node.schema):
                    below, at = node.values, key(path, name)
                if below is not None:
                    was = old.get(name, _NO_OLD) if isinstance(old, dict) else _NO_OLD
                    self.look(below, item, was, at, unchanged=unchanged)
        elif isinstance(value, list) and node.items is not None:
            before = correlated(node.schema, old, value)
            for index, (item, was) in enumerate(zip(value, before, strict=True)):
                at = f"{path}[{index}]"
                self.look(node.items, item, _NO_OLD if was is None else was, at, unchanged=unchanged)

    def _rules(self, node: Node, value: Any, old: Any, path: str, unchanged: bool) -> None:
        known: dict[str, Any] = {"self": to_cel(value, node.schema, resource=node.resource)}
        if old is not _NO_OLD and any(rule.transition for rule in node.rules):
            known["oldSelf"] = to_cel(old, node.schema, resource=node.resource)
        kind = node.schema.get("type") or ""
        for rule in node.rules:
            if rule.program is None:
                self._say(Cause.invalid(shown_path(path), kind, f"rule compile error: {rule.problem}"))
                continue
            variables = known
            if rule.transition:
                if rule.optional_old:
                    before = optional(known["oldSelf"]) if "oldSelf" in known else NONE
                    variables = known | {"oldSelf": before}
                elif "oldSelf" not in known:
                    continue
            holds = self._holds(rule, variables, kind, path)
            if holds is False:
                cause = self._violation(rule, variables, value, kind, path)
                if unchanged and not rule.transition:
                    self.warnings.append(str(cause))
                else:
                    self._say(cause)

    def _say(self, cause: Cause) -> None:
        self.causes.append(cause)

    def _holds(self, rule: Rule, variables: Mapping[str, Any], kind: str, path: str) -> bool | None:
        """None if it can't be said. Raises _Stop."""
        assert rule.program is not None
        at = shown_path(path)
        try:
            result = rule.program.evaluate(variables, self._budget)
        except BudgetExceeded:
            self._say(Cause.invalid(at, kind, _OUT_OF_BUDGET))
            raise _Stop from None
        except CostExceeded as error:
            why = (
                f"'{error}': no further validation rules will be run due to call cost exceeds limit for rule"
            )
            self._say(Cause.invalid(at, kind, f"{why}: {rule.shown}"))
            raise _Stop from None
        except EvaluationError as error:
            if "no such overload" in str(error):
                said = (
                    f"'{error}': call arguments did not match a supported operator, function or macro "
                    f"signature for rule: {rule.shown}"
                )
            else:
                said = f"{error} evaluating rule: {rule.shown}"
            self._say(Cause.invalid(at, kind, said))
            return None
        return result is True

    def _violation(self, rule: Rule, variables: Mapping[str, Any], value: Any, kind: str, path: str) -> Cause:
        at = shown_path(f"{path}{rule.field_path}" if path else rule.field_path.removeprefix("."))
        message = self._message(rule, variables, kind, at)
        if message is None:
            message = rule.message.strip() or f"failed rule: {rule.shown}"
        omitted = kind in ("object", "array")
        match rule.reason:
            case "FieldValueForbidden":
                return Cause.forbidden(at, message)
            case "FieldValueRequired":
                return Cause.required(at, message)
            case "FieldValueDuplicate":
                return Cause(at, rule.reason, "Duplicate value") if omitted else Cause.duplicate(at, value)
        if omitted:
            return Cause(at, "FieldValueInvalid", f"Invalid value: {message}")
        return Cause.invalid(at, value, message)

    def _message(self, rule: Rule, variables: Mapping[str, Any], kind: str, at: str) -> str | None:
        """What messageExpression gives, None if it gives nothing fit. Raises _Stop."""
        if rule.message_program is None:
            return None
        try:
            said = rule.message_program.evaluate(variables, self._budget)
        except BudgetExceeded:
            why = "messageExpression evaluation failed due to running out of cost budget"
            self._say(Cause.invalid(at, kind, f"{why}, no further validation rules will be run"))
            raise _Stop from None
        except CostExceeded:
            why = (
                "no further validation rules will be run due to call cost exceeds limit for messageExpression"
            )
            self._say(Cause.invalid(at, kind, f'{why}: "{rule.message_program.text}"'))
            raise _Stop from None
        except EvaluationError:
            return None
        if not isinstance(said, str):
            return None
        said = said.strip()
        fits = said and "\n" not in said and len(said.encode()) <= _LONGEST_MESSAGE
        return said if fits else None
