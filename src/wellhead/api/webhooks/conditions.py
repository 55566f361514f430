"""Match conditions: CEL expressions that all must be true of a request.

Upstream: apiserver's admission/plugin/webhook/matchconditions and admission/plugin/cel/compile.go.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any

from wellhead.api.cel import Budget, BudgetExceeded, CompilationError, Environment, EvaluationError, Program
from wellhead.api.cel.types import BOOL, DYN, STRING, ListOf, MapOf, ObjectOf, Scalar, Type
from wellhead.api.webhooks.hook import Condition

Allow = Callable[[int], Budget]
"""Makes the budget for something that may cost so much."""

_MOST_KEPT = 1024
_programs: dict[str, Program | str] = {}
_BUDGET = 2_500_000  # RuntimeCELCostBudgetMatchConditions
_KIND = ObjectOf({"group": STRING, "version": STRING, "kind": STRING})
_RESOURCE = ObjectOf({"group": STRING, "version": STRING, "resource": STRING})
_USER = ObjectOf(
    {
        "username": STRING,
        "uid": STRING,
        "groups": ListOf(STRING),
        "extra": MapOf(ListOf(STRING)),
    }
)
REQUEST = ObjectOf(
    {
        "kind": _KIND,
        "resource": _RESOURCE,
        "subResource": STRING,
        "requestKind": _KIND,
        "requestResource": _RESOURCE,
        "requestSubResource": STRING,
        "name": STRING,
        "namespace": STRING,
        "operation": STRING,
        "userInfo": _USER,
        "dryRun": BOOL,
        "options": DYN,
    }
)
"""The variable `request`: an AdmissionRequest without its objects."""
VARIABLES: dict[str, Type] = {
    "object": DYN,
    "oldObject": DYN,
    "request": REQUEST,
    "namespaceObject": DYN,
    "authorizer": Scalar("kubernetes.authorization.Authorizer"),
    "authorizer.requestResource": Scalar("kubernetes.authorization.ResourceCheck"),
}


@lru_cache(maxsize=1)
def _environment() -> Environment:
    return Environment(VARIABLES)


def _compiled(expression: str) -> Program | str:
    """The program, or why it is none."""
    found = _programs.get(expression)
    if found is None:
        if len(_programs) >= _MOST_KEPT:
            _programs.clear()
        found = _programs[expression] = _compile(expression)
    return found


def _compile(expression: str) -> Program | str:
    try:
        program = _environment().compile(expression)
    except CompilationError as error:
        return str(error)
    if program.type not in ("bool", "dyn"):
        return f"must evaluate to bool but got {program.type}"
    return program


def are_compiled(conditions: Sequence[Condition]) -> bool:
    """Whether to ask them takes no longer than they do."""
    return all(each.expression.strip() in _programs for each in conditions)


def problem_with(expression: str) -> str:
    """Why an expression can't be a condition; "" if it can."""
    compiled = _compiled(expression)
    return compiled if isinstance(compiled, str) else ""


class ConditionError(Exception):
    """No condition is false, but of one nobody can tell. Says why, in upstream's words."""


def all_hold(conditions: Sequence[Condition], variables: Mapping[str, Any], allow: Allow = Budget) -> bool:
    """Whether all are true; one that is false decides, whatever becomes of others. Raises ConditionError."""
    programs = [(each.expression, _compiled(each.expression.strip())) for each in conditions]
    return all_hold_of(programs, variables, allow)


def all_hold_of(
    conditions: Sequence[tuple[str, Program | str]], variables: Mapping[str, Any], allow: Allow = Budget
) -> bool:
    """The same of expressions with their programs, or with why they have none. Raises ConditionError."""
    budget = allow(_BUDGET)
    problems = []
    for expression, compiled in conditions:
        if isinstance(compiled, str):
            problems.append(f"compilation error: {compiled}")
            continue
        try:
            value = compiled.evaluate(variables, budget)
        except BudgetExceeded as error:
            raise ConditionError(str(error)) from None
        except EvaluationError as error:
            problems.append(f"expression '{expression}' resulted in error: {error}")
            continue
        if value is False:
            return False
        if value is not True:
            problems.append(f"expression '{expression}' resulted in error: it is no boolean")
    if problems:
        raise ConditionError(problems[0] if len(problems) == 1 else f"[{', '.join(problems)}]")
    return True
