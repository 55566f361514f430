"""ValidatingAdmissionPolicies, MutatingAdmissionPolicies and their bindings.

Upstream: pkg/apis/admissionregistration/{v1/defaults.go,validation/validation.go}. What a policy makes of a
request is decided in `api/policies`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime
from typing import TYPE_CHECKING

from wellhead.api import cells, condition_rules
from wellhead.api.custom.rule_types import RESERVED
from wellhead.api.errors import Cause, one_of
from wellhead.api.formats import dns_1035_label, dns_subdomain, path_segment, qualified_name
from wellhead.api.kind import Kind
from wellhead.api.kinds.webhooks import GROUP, expressions_in_all, validate_conditions, validate_rule
from wellhead.api.meta import Obj
from wellhead.api.metadata import validate_label_selector
from wellhead.api.printer import AGE, NAME, Cell, Column, Printer
from wellhead.api.resource import Resource
from wellhead.api.strategy import ALWAYS_APART, Strategy
from wellhead.api.warnings.names import of_configuration

if TYPE_CHECKING:
    from wellhead.api.policies.expressions import Expressions


def _resource(kind: str, plural: str, *subresources: str) -> Resource:
    return Resource(
        GROUP,
        "v1",
        kind,
        plural,
        namespaced=False,
        subresources=frozenset(subresources),
        categories=("api-extensions",),
    )


VALIDATING_POLICIES = _resource("ValidatingAdmissionPolicy", "validatingadmissionpolicies", "status")
VALIDATING_BINDINGS = _resource("ValidatingAdmissionPolicyBinding", "validatingadmissionpolicybindings")
MUTATING_POLICIES = _resource("MutatingAdmissionPolicy", "mutatingadmissionpolicies")
MUTATING_BINDINGS = _resource("MutatingAdmissionPolicyBinding", "mutatingadmissionpolicybindings")

_IDENTIFIER = re.compile(r"[_a-zA-Z][_a-zA-Z0-9]*")
_MUTATED = ("*", "CONNECT", "CREATE", "UPDATE")
_REASONS = ("Forbidden", "Invalid", "RequestEntityTooLarge")
_ACTIONS = ("Audit", "Deny", "Warn")
_MOST_ANNOTATIONS = 20
_MOST_VARIABLES = 100  # each of which the checker is told of the ones before
_LONGEST_VALUE_EXPRESSION = 5 * 1024
_TWICE = (
    "must not contain both Deny and Warn (repeating the same validation failure information in the API"
    " response and headers serves no purpose)"
)
_SOMETHING = "validations or auditAnnotations must contain at least one item"


class _PolicyStrategy(Strategy):
    repeats_warnings = True
    """What both kinds of policies have in common."""

    needs_version = True
    counts_generations = True

    def warnings(self, obj: Obj) -> list[str]:
        return of_configuration(obj)

    @property
    def effort(self) -> int:
        return ALWAYS_APART

    def default(self, obj: Obj) -> None:
        spec = obj.setdefault("spec", {})
        spec.setdefault("failurePolicy", "Fail")
        _default_matching(spec.get("matchConstraints"))

    def validate_create(self, obj: Obj) -> list[Cause]:
        return [*self._causes(obj, {})]

    def validate_update(self, new: Obj, old: Obj) -> list[Cause]:
        return [*self._causes(new, old.get("spec") or {})]

    def _causes(self, obj: Obj, old: Obj) -> Iterator[Cause]:
        """An expression that is in `old` already isn't judged anew: it keeps nothing else from changing."""
        from wellhead.api.policies.expressions import Expressions

        spec = obj["spec"]
        if too_much := [*_of_effort(spec)]:
            yield from too_much
            return
        known = frozenset(_expressions(old))
        yield from one_of("spec.failurePolicy", spec.get("failurePolicy"), ("Fail", "Ignore"))
        kind = spec.get("paramKind")
        if kind is not None:
            yield from _of_param_kind(kind, "spec.paramKind")
        matching = spec.get("matchConstraints")
        if matching is None:
            yield Cause.required("spec.matchConstraints")
        else:
            yield from _of_matching(matching, "spec.matchConstraints")
            if not matching.get("resourceRules"):
                yield Cause.required("spec.matchConstraints.resourceRules")
        expressions = Expressions(params=kind is not None)
        if conditions := spec.get("matchConditions"):
            judge = Expressions(params=kind is not None)
            yield from validate_conditions(
                conditions, "spec.matchConditions", known, lambda text: judge.problem(text, "bool")
            )
        for index, variable in enumerate(spec.get("variables") or ()):
            yield from _of_variable(variable, f"spec.variables[{index}]", expressions, known)
        yield from self._rest(obj, expressions, known)

    def _rest(self, obj: Obj, expressions: Expressions, known: frozenset[str]) -> Iterator[Cause]:
        raise NotImplementedError


class ValidatingPolicyStrategy(_PolicyStrategy):
    status_metadata = frozenset()

    def validate_status_update(self, new: Obj, old: Obj) -> list[Cause]:
        status, at = new["status"], "status.typeChecking.expressionWarnings"
        warnings = (status.get("typeChecking") or {}).get("expressionWarnings") or ()
        return [
            *(
                Cause.required(f"{at}[{index}].{field}")
                for index, warning in enumerate(warnings)
                for field in ("warning", "fieldRef")
                if not warning.get(field)
            ),
            *condition_rules.validate_conditions(status.get("conditions") or (), "status.conditions"),
        ]

    def _rest(self, obj: Obj, expressions: Expressions, known: frozenset[str]) -> Iterator[Cause]:
        spec = obj["spec"]
        validations, annotations = spec.get("validations"), spec.get("auditAnnotations")
        if not validations and not annotations:
            yield Cause.required("spec.validations", _SOMETHING)
            yield Cause.required("spec.auditAnnotations", _SOMETHING)
            return
        for index, validation in enumerate(validations or ()):
            yield from _of_validation(validation, f"spec.validations[{index}]", expressions, known)
        if len(annotations or ()) > _MOST_ANNOTATIONS:
            text = f"must not have more than {_MOST_ANNOTATIONS} auditAnnotations"
            yield Cause.invalid("spec.auditAnnotations", annotations, text)
        keys: set[str] = set()
        name = obj["metadata"].get("name") or ""
        for index, annotation in enumerate(annotations or ()):
            at = f"spec.auditAnnotations[{index}]"
            yield from _of_annotation(annotation, name, at, expressions, known)
            key = annotation.get("key") or ""
            if key in keys:
                yield Cause.duplicate(f"{at}.key", key)
            keys.add(key)


class MutatingPolicyStrategy(_PolicyStrategy):
    def _rest(self, obj: Obj, expressions: Expressions, known: frozenset[str]) -> Iterator[Cause]:
        spec = obj["spec"]
        yield from _of_mutated((spec.get("matchConstraints") or {}), "spec.matchConstraints")
        if not spec.get("mutations"):
            yield Cause.required("spec.mutations", "mutations must contain at least one item")
        for index, mutation in enumerate(spec.get("mutations") or ()):
            params = spec.get("paramKind") is not None
            yield from _of_mutation(mutation, f"spec.mutations[{index}]", known, params=params)
        policy = spec.get("reinvocationPolicy")
        if not policy:
            yield Cause.required("spec.reinvocationPolicy")
        else:
            yield from one_of("spec.reinvocationPolicy", policy, ("IfNeeded", "Never"))


class BindingStrategy(Strategy):
    repeats_warnings = True
    needs_version = True
    counts_generations = True

    def warnings(self, obj: Obj) -> list[str]:
        return of_configuration(obj)

    def __init__(self, *, mutating: bool) -> None:
        self._mutating = mutating

    def default(self, obj: Obj) -> None:
        _default_matching(obj.setdefault("spec", {}).get("matchResources"))

    def validate(self, obj: Obj) -> list[Cause]:
        return [*self._causes(obj["spec"])]

    def _causes(self, spec: Obj) -> Iterator[Cause]:
        name = spec.get("policyName") or ""
        if not name:
            yield Cause.required("spec.policyName")
        else:
            for problem in dns_subdomain(name):
                yield Cause.invalid("spec.policyName", name, problem)
        if (reference := spec.get("paramRef")) is not None:
            yield from _of_param(reference, "spec.paramRef")
        if (matching := spec.get("matchResources")) is not None:
            yield from _of_matching(matching, "spec.matchResources")
        if not self._mutating:
            yield from _of_actions(spec.get("validationActions") or [], "spec.validationActions")
        elif matching is not None:
            yield from _of_mutated(matching, "spec.matchResources")


def _default_matching(matching: Obj | None) -> None:
    if matching is None:
        return
    matching.setdefault("matchPolicy", "Equivalent")
    matching.setdefault("namespaceSelector", {})
    matching.setdefault("objectSelector", {})
    for rule in _rules(matching):
        rule.setdefault("scope", "*")


def _rules(matching: Obj) -> list[Obj]:
    return [*(matching.get("resourceRules") or ()), *(matching.get("excludeResourceRules") or ())]


def _of_effort(spec: Obj) -> Iterator[Cause]:
    """What would be compiled for long. Upstream has no such bounds."""
    if (count := len(spec.get("variables") or ())) > _MOST_VARIABLES:
        yield Cause.too_many("spec.variables", count, _MOST_VARIABLES)
    yield from expressions_in_all(_expressions(spec), "spec")


def _expressions(spec: Obj) -> Iterator[str]:
    """All expressions of a policy."""
    for part, fields in (
        ("variables", ("expression",)),
        ("matchConditions", ("expression",)),
        ("validations", ("expression", "messageExpression")),
        ("auditAnnotations", ("valueExpression",)),
    ):
        for each in spec.get(part) or ():
            yield from (each[field] for field in fields if each.get(field))
    for each in spec.get("mutations") or ():
        for part in ("applyConfiguration", "jsonPatch"):
            if text := (each.get(part) or {}).get("expression"):
                yield text


def _of_param_kind(kind: Obj, at: str) -> Iterator[Cause]:
    version_at = f"{at}.apiVersion"
    api_version = kind.get("apiVersion") or ""
    group, _, version = api_version.rpartition("/")
    if not api_version:
        yield Cause.required(version_at)
    elif api_version.count("/") > 1:
        text = f"unexpected GroupVersion string: {api_version}"
        yield Cause.invalid(version_at, api_version, text)
    else:
        if group and (problems := dns_subdomain(group)):
            yield Cause.invalid(version_at, group, ",".join(problems))
        if not version:
            yield Cause.invalid(version_at, api_version, "version must be specified")
        elif problems := dns_1035_label(version):
            yield Cause.invalid(version_at, version, ",".join(problems))
    if not (name := kind.get("kind") or ""):
        yield Cause.required(f"{at}.kind")
    elif problems := dns_1035_label(name.lower()):
        text = f"may have mixed case, but should otherwise match: {','.join(problems)}"
        yield Cause.invalid(f"{at}.kind", name, text)


def _of_matching(matching: Obj, at: str) -> Iterator[Cause]:
    yield from one_of(f"{at}.matchPolicy", matching.get("matchPolicy"), ("Equivalent", "Exact"))
    for selector in ("namespaceSelector", "objectSelector"):
        yield from validate_label_selector(matching.get(selector) or {}, f"{at}.{selector}")
    for part in ("resourceRules", "excludeResourceRules"):
        for index, rule in enumerate(matching.get(part) or ()):
            here = f"{at}.{part}[{index}]"
            names: set[str] = set()
            for place, name in enumerate(rule.get("resourceNames") or ()):
                for problem in path_segment(name):
                    yield Cause.invalid(f"{here}.resourceNames[{place}]", name, problem)
                if name in names:
                    yield Cause.duplicate(f"{here}.resourceNames[{place}]", name)
                names.add(name)
            yield from validate_rule(rule, here)


def _of_mutated(matching: Obj, at: str) -> Iterator[Cause]:
    """Only what is created or updated can be changed."""
    for rule in matching.get("resourceRules") or ():
        for operation in rule.get("operations") or ():
            yield from one_of(f"{at}.resourceRules.operations", operation, _MUTATED)


def _of_variable(variable: Obj, at: str, expressions: Expressions, known: frozenset[str]) -> Iterator[Cause]:
    name, text = variable.get("name") or "", variable.get("expression") or ""
    if not name.strip():
        yield Cause.required(f"{at}.name", "name is not specified")
    elif not _IDENTIFIER.fullmatch(name) or name in RESERVED:
        yield Cause.invalid(f"{at}.name", name, "must be a valid CEL identifier")
    if not text.strip():
        yield Cause.required(f"{at}.expression", "expression is not specified")
    elif _IDENTIFIER.fullmatch(name):
        problem = expressions.declare(name, text).problem
        if problem and text not in known:
            yield Cause.invalid(f"{at}.expression", text, problem)


def _of_validation(
    validation: Obj, at: str, expressions: Expressions, known: frozenset[str]
) -> Iterator[Cause]:
    text = validation.get("expression") or ""
    if not text.strip():
        yield Cause.required(f"{at}.expression", "expression is not specified")
    elif text not in known and (problem := expressions.problem(text, "bool")):
        yield Cause.invalid(f"{at}.expression", text, problem)
    if text := validation.get("messageExpression") or "":
        if not text.strip():
            yield Cause.invalid(f"{at}.messageExpression", text, "must be non-empty if specified")
        elif text not in known and (problem := expressions.problem(text, "string", authorizer=False)):
            yield Cause.invalid(f"{at}.messageExpression", text, problem)
    if message := validation.get("message") or "":
        if not message.strip():
            yield Cause.invalid(f"{at}.message", message, "must be non-empty if specified")
        elif re.search(r"[\n\r]", message.strip()):
            yield Cause.invalid(f"{at}.message", message, "must not contain line breaks")
    if (reason := validation.get("reason")) is not None:
        yield from one_of(f"{at}.reason", reason, _REASONS)


def _of_annotation(
    annotation: Obj, name: str, at: str, expressions: Expressions, known: frozenset[str]
) -> Iterator[Cause]:
    key, text = annotation.get("key") or "", annotation.get("valueExpression") or ""
    if name:
        for problem in qualified_name(f"{name}/{key}"):
            yield Cause.invalid(f"{at}.key", f"{name}/{key}", problem)
    else:
        yield Cause.invalid(f"{at}.key", key, "requires metadata.name be non-empty")
    trimmed = text.strip()
    if not trimmed:
        yield Cause.required(f"{at}.valueExpression", "valueExpression is not specified")
    elif len(trimmed.encode()) > _LONGEST_VALUE_EXPRESSION:
        bound = f"must not exceed {_LONGEST_VALUE_EXPRESSION} bytes in length"
        yield Cause.required(f"{at}.valueExpression", bound)
    elif text not in known and (problem := expressions.problem(trimmed, "string", "null_type")):
        yield Cause.invalid(f"{at}.valueExpression", text, problem)


def _of_mutation(mutation: Obj, at: str, known: frozenset[str], *, params: bool) -> Iterator[Cause]:
    from wellhead.api.policies.mutation import expression_problem

    wanted = {"ApplyConfiguration": "applyConfiguration", "JSONPatch": "jsonPatch"}
    kind = mutation.get("patchType") or ""
    if not kind:
        yield Cause.required(f"{at}.patchType")
        return
    if kind not in wanted:
        yield from one_of(f"{at}.patchType", kind, tuple(wanted))
        return
    field = wanted.pop(kind)
    [other] = wanted.values()
    part = mutation.get(field)
    if part is None:
        yield Cause.required(f"{at}.{field}", f"must be specified when patchType is {kind}")
    else:
        text = (part.get("expression") or "").strip()
        if not text:
            yield Cause.required(f"{at}.{field}.expression")
        elif part["expression"] not in known and (problem := expression_problem(text, kind, params=params)):
            yield Cause.invalid(f"{at}.{field}.expression", text, problem)
    if mutation.get(other) is not None:
        text = f"must not be specified when patchType is {kind}"
        yield Cause.invalid(f"{at}.{other}", f"{{{other}}}", text)


def _of_param(reference: Obj, at: str) -> Iterator[Cause]:
    name, selector = reference.get("name") or "", reference.get("selector")
    exclusive = "name and selector are mutually exclusive"
    if name:
        for problem in path_segment(name):
            yield Cause.invalid(f"{at}.name", name, problem)
        if selector is not None:
            yield Cause.forbidden(f"{at}.name", exclusive)
    if selector is not None:
        yield from validate_label_selector(selector, f"{at}.selector")
        if name:
            yield Cause.forbidden(f"{at}.selector", exclusive)
    if not name and selector is None:
        yield Cause.required(at, "one of name or selector must be specified")
    if not (action := reference.get("parameterNotFoundAction")):
        yield Cause.required(f"{at}.parameterNotFoundAction")
    else:
        yield from one_of(f"{at}.parameterNotFoundAction", action, ("Deny", "Allow"))


def _of_actions(actions: list[str], at: str) -> Iterator[Cause]:
    seen: set[str] = set()
    for index, action in enumerate(actions):
        yield from one_of(f"{at}[{index}]", action, _ACTIONS)
        if action in seen:
            yield Cause.duplicate(f"{at}[{index}]", action)
        seen.add(action)
    if {"Deny", "Warn"} <= seen:
        yield Cause.invalid(at, actions, _TWICE)
    if not actions:
        yield Cause.required(at, "at least one validation action is required")


def _policy_printer(part: str, title: str) -> Printer:
    def row(obj: Obj, now: datetime) -> list[Cell]:
        spec = obj["spec"]
        kind = spec.get("paramKind")
        shown = "<unset>" if kind is None else f"{kind.get('apiVersion', '')}/{kind.get('kind', '')}"
        return [cells.name(obj), len(spec.get(part) or ()), shown, cells.created(obj, now)]

    return Printer((NAME, Column(title, "integer"), Column("ParamKind"), AGE), row)


def _binding_row(obj: Obj, now: datetime) -> list[Cell]:
    spec = obj["spec"]
    shown = "<unset>"
    if (reference := spec.get("paramRef")) is not None:
        if name := reference.get("name"):
            shown = f"{reference.get('namespace') or '*'}/{name}"
        elif (selector := reference.get("selector")) is not None:
            shown = cells.selector(selector)
    return [cells.name(obj), spec.get("policyName") or "", shown, cells.created(obj, now)]


_BINDING_PRINTER = Printer((NAME, Column("PolicyName"), Column("ParamRef"), AGE), _binding_row)

KINDS = (
    Kind(VALIDATING_POLICIES, ValidatingPolicyStrategy(), _policy_printer("validations", "Validations")),
    Kind(VALIDATING_BINDINGS, BindingStrategy(mutating=False), _BINDING_PRINTER),
    Kind(MUTATING_POLICIES, MutatingPolicyStrategy(), _policy_printer("mutations", "Mutations")),
    Kind(MUTATING_BINDINGS, BindingStrategy(mutating=True), _BINDING_PRINTER),
)
