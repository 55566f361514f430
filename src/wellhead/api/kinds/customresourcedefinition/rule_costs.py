"""Rules of a definition's schema: that they compile, and what they may cost.

Upstream: apiextensions' validation.go and cel_validation.go.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from wellhead.api.cel import Program
from wellhead.api.cel.estimate import estimated_cost
from wellhead.api.cel.types import Type
from wellhead.api.custom import rules
from wellhead.api.custom.rule_types import smallest_size, type_of
from wellhead.api.custom.schemas import is_embedded
from wellhead.api.errors import Cause
from wellhead.api.kinds.customresourcedefinition.place import Place, below
from wellhead.api.meta import Obj

_EXPRESSION_COST, _ALL_COST = 10_000_000, 100_000_000
_REQUEST = 3 * 1024 * 1024  # bytes of the largest
_CONTRIBUTED = "contributed to estimated rule cost total exceeding cost limit for entire OpenAPIv3 schema"


@dataclass
class _Costs:
    all: int = 0
    expensive: list[tuple[int, str]] = field(default_factory=list)

    def charge(self, cost: int, at: str) -> None:
        self.all += cost
        if cost >= _ALL_COST // 100:
            self.expensive.append((cost, at))


def rule_problems(schema: Obj, at: str) -> Iterator[Cause]:
    """What is wrong with the rules of a schema, each and together."""
    costs = _Costs()
    yield from _problems(schema, Place(at, root=True), costs)
    if costs.all > _ALL_COST:
        for _, where in sorted(costs.expensive, reverse=True)[:4]:
            yield Cause.forbidden(where, _CONTRIBUTED)
        name = "x-kubernetes-validations estimated rule cost total for entire OpenAPIv3 schema"
        yield Cause.forbidden(at, _too_costly(name, costs.all, _ALL_COST))


def _problems(schema: Obj, place: Place, costs: _Costs) -> Iterator[Cause]:
    if schema.get(rules.RULES):
        resource = place.root or is_embedded(schema)
        given = type_of(schema, resource=resource)
        for index, rule in enumerate(rules.compiled_here(schema, given)):
            yield from _rule(rule, schema, index, given, place, costs)
    for each, inside in below(schema, place):
        yield from _problems(each, inside, costs)


def _rule(
    rule: rules.Rule, schema: Obj, index: int, type: Type | None, place: Place, costs: _Costs
) -> Iterator[Cause]:
    described, at = schema[rules.RULES][index], f"{place.at}.x-kubernetes-validations[{index}]"
    often = _as_often_as_fits(schema) if place.times is None else place.times
    if rule.problem:
        yield Cause.invalid(f"{at}.rule", described, rule.problem)
    if rule.message_problem:
        yield Cause.invalid(f"{at}.messageExpression", described, rule.message_problem)
    for program, name, where in (
        (rule.program, "estimated rule cost", f"{at}.rule"),
        (rule.message_program, "estimated messageExpression cost", f"{at}.messageExpression"),
    ):
        if program is None or type is None:
            continue
        cost = _cost(program, type) * often
        costs.charge(cost, where)
        if cost > _EXPRESSION_COST:
            yield Cause.forbidden(where, _too_costly(name, cost, _EXPRESSION_COST))
    if rule.program is None:
        return
    if rule.transition and place.uncorrelated:
        yield Cause.invalid(
            f"{at}.rule",
            rule.text,
            f"oldSelf cannot be used on the uncorrelatable portion of the schema within {place.uncorrelated}",
        )
    if not rule.transition and "optionalOldSelf" in described:
        yield Cause.invalid(
            f"{at}.optionalOldSelf",
            bool(described["optionalOldSelf"]),
            "may not be set if oldSelf is not used in rule",
        )


def _cost(program: Program, type: Type) -> int:
    return estimated_cost(program.checked, {"self": type, "oldSelf": type})


def _as_often_as_fits(schema: Obj) -> int:
    """How many values of a schema the largest request has room for, and a comma each."""
    return _REQUEST // (smallest_size(schema) + 1)


def _too_costly(name: str, cost: int, limit: int) -> str:
    times = cost / limit
    if times > 100:
        factor = "more than 100x"
    elif times < 1.5:
        factor = f"{times:f}x"
    else:
        factor = f"{times:.1f}x"
    return (
        f"{name} exceeds budget by factor of {factor} (try simplifying the rule, or adding maxItems, "
        "maxProperties, and maxLength where arrays, maps, and strings are declared)"
    )
