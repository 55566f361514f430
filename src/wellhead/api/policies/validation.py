"""What a ValidatingAdmissionPolicy says of a request (apiserver's policy/validating/validator.go)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from wellhead.api.cel import Budget, CompilationError, EvaluationError, Program
from wellhead.api.cel.frame import Fields, Lazy
from wellhead.api.errors import BadRequest
from wellhead.api.meta import AnyObj, Obj
from wellhead.api.policies.expressions import Expressions, Variable
from wellhead.api.policies.policy import Matching, Verdict
from wellhead.api.webhooks.conditions import Allow, ConditionError, all_hold_of

_BUDGET = 10_000_000  # RuntimeCELCostBudget
_LONGEST_MESSAGE = 5 * 1024
_LONGEST_ANNOTATION = 10 * 1024


@dataclass(frozen=True)
class Condition:
    """An expression with its program, or why it has none."""

    text: str
    program: Program | None
    problem: str = ""


@dataclass
class Findings:
    """What a policy says of a request with one set of parameters."""

    verdicts: list[Verdict] = field(default_factory=list)
    annotations: dict[str, str] = field(default_factory=dict)
    errors: list[str] = field(default_factory=list)
    """What went wrong with annotations: a refusal, whatever the binding says."""


class Policy:
    """A policy, whose expressions are compiled when it is first asked."""

    def __init__(self, obj: AnyObj) -> None:
        self.name: str = obj["metadata"]["name"]
        self._spec: Obj = obj["spec"]
        self.matching: Matching | None = None
        self.problem = ""
        """Why nobody can tell what it matches."""
        try:
            self.matching = Matching.of(self._spec.get("matchConstraints"))
        except BadRequest as error:
            self.problem = error.message
        self.may_fail = self._spec.get("failurePolicy") == "Ignore"
        self.param_kind: Obj | None = self._spec.get("paramKind")
        self.is_compiled = False
        """Whether to ask it takes no longer than its expressions do."""
        self.again = self._spec.get("reinvocationPolicy") == "IfNeeded"

    @cached_property
    def expressions(self) -> Expressions:
        return Expressions(params=self.param_kind is not None, described=self._spec.get("variables") or ())

    @cached_property
    def conditions(self) -> list[Condition]:
        plain = Expressions(params=self.param_kind is not None)
        return [
            compiled(plain, each["expression"].strip()) for each in self._spec.get("matchConditions") or ()
        ]

    @cached_property
    def _validations(self) -> list[tuple[Obj, Condition, Condition | None]]:
        found: list[tuple[Obj, Condition, Condition | None]] = []
        for each in self._spec.get("validations") or ():
            message = each.get("messageExpression")
            found.append(
                (
                    each,
                    compiled(self.expressions, each["expression"]),
                    compiled(self.expressions, message, authorizer=False) if message else None,
                )
            )
        return found

    @cached_property
    def _annotations(self) -> list[tuple[str, Condition]]:
        return [
            (each["key"], compiled(self.expressions, each["valueExpression"], authorizer=False))
            for each in self._spec.get("auditAnnotations") or ()
        ]

    def matches(self, variables: Mapping[str, Any], allow: Allow = Budget) -> bool:
        """Whether the match conditions hold. Raises ConditionError."""
        programs = [(each.text, each.program or each.problem) for each in self.conditions]
        return all_hold_of(programs, variables, allow)

    def validate(self, variables: Mapping[str, Any], allow: Allow = Budget) -> Findings:
        """What is to be said; what goes wrong is a refusal, unless the policy may fail."""
        self._compile()
        findings = Findings()
        try:
            if not self.matches(variables, allow):
                return findings
        except ConditionError as error:
            self._failed(findings, str(error), 0)
            return findings
        known = with_variables(variables, self.expressions.variables)
        budget = allow(_BUDGET)
        for index, (described, condition, message) in enumerate(self._validations):
            try:
                holds = evaluated(condition, known, budget)
            except EvaluationError as error:
                self._failed(findings, str(error), index)
                continue
            if holds is not True:
                said = _message(described, message, known, budget)
                findings.verdicts.append(Verdict(said, described.get("reason") or "", index))
        budget = allow(_BUDGET)
        for key, condition in self._annotations:
            self._annotate(findings, key, condition, known, budget)
        return findings

    def _compile(self) -> None:
        _ = self.conditions, self.expressions, self._validations, self._annotations
        self.is_compiled = True

    def _failed(self, findings: Findings, message: str, index: int) -> None:
        if not self.may_fail:
            findings.verdicts.append(Verdict(message, "", index))

    def _annotate(
        self, findings: Findings, key: str, condition: Condition, known: Mapping[str, Any], budget: Budget
    ) -> None:
        try:
            value = evaluated(condition, known, budget)
        except EvaluationError as error:
            self._bad_annotation(findings, str(error))
            return
        if isinstance(value, str):
            if value.strip():
                findings.annotations[f"{self.name}/{key}"] = value.strip()[:_LONGEST_ANNOTATION]
        elif value is not None:
            said = f"valueExpression '{condition.text}' resulted in unsupported return type"
            self._bad_annotation(findings, f"{said}. Return type must be either string or null.")

    def _bad_annotation(self, findings: Findings, message: str) -> None:
        if not self.may_fail:
            findings.errors.append(message)


def compiled(expressions: Expressions, text: str, *, authorizer: bool = True) -> Condition:
    try:
        return Condition(text, expressions.compile(text, authorizer=authorizer))
    except CompilationError as error:
        return Condition(text, None, f"compilation error: {error}")


def evaluated(condition: Condition, known: Mapping[str, Any], budget: Budget) -> Any:
    """Raises EvaluationError."""
    if condition.program is None:
        raise EvaluationError(condition.problem)
    try:
        return condition.program.evaluate(known, budget)
    except EvaluationError as error:
        raise EvaluationError(f"expression '{condition.text}' resulted in error: {error}") from None


def with_variables(variables: Mapping[str, Any], described: list[Variable]) -> dict[str, Any]:
    """With `variables.x`, each of which is evaluated when it is first asked for."""
    fields = Fields()
    for each in described:
        fields.fields[each.name] = Lazy(_maker(each))
    return {**variables, "variables": fields}


def _maker(variable: Variable) -> Any:
    def make(frame: Any) -> Any:
        if variable.program is None:
            raise EvaluationError(
                f"composited variable {variable.name!r} fails to compile: {variable.problem}"
            )
        try:
            return variable.program.within(frame)
        except EvaluationError as error:
            raise EvaluationError(
                f'composited variable "{variable.name}" fails to evaluate: {error}'
            ) from None

    return make


def _message(described: Obj, message: Condition | None, known: Mapping[str, Any], budget: Budget) -> str:
    """What messageExpression gives, else the message, else the expression."""
    if message is not None:
        without = {name: value for name, value in known.items() if not name.startswith("authorizer")}
        try:
            said = evaluated(message, without, budget)
        except EvaluationError:
            said = None
        if isinstance(said, str):
            said = said.strip()
            if said and "\n" not in said and len(said.encode()) <= _LONGEST_MESSAGE:
                return said
    text = (described.get("message") or "").strip()
    return text or f"failed expression: {described['expression'].strip()}"
