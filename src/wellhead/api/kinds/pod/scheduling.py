"""Where a pod may run: affinity, spread, tolerations and gates.

Upstream: validateAffinity, validateTopologySpreadConstraints, ValidateTolerations and what they call, in
pkg/apis/core/validation/validation.go.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from wellhead.api.errors import Cause, one_of
from wellhead.api.formats import dns_label, dns_subdomain, label_value, qualified_name
from wellhead.api.meta import Obj
from wellhead.api.metadata import validate_label_selector

_TAINT_EFFECTS = ("NoSchedule", "PreferNoSchedule", "NoExecute")
_UNSATISFIABLE = ("DoNotSchedule", "ScheduleAnyway")
_NODE_POLICIES = ("Honor", "Ignore")
_NO_OPERATOR = "not a valid selector operator"
_REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
_PREFERRED = "preferredDuringSchedulingIgnoredDuringExecution"


def validate_scheduling(spec: Obj, at: str) -> Iterator[Cause]:
    """The parts of a pod spec at `at` that a scheduler reads, but for nodeSelector and nodeName."""
    affinity = spec.get("affinity") or {}
    yield from _validate_node_affinity(affinity.get("nodeAffinity") or {}, f"{at}.affinity.nodeAffinity")
    for field in ("podAffinity", "podAntiAffinity"):
        here = f"{at}.affinity.{field}"
        terms = affinity.get(field) or {}
        for index, term in enumerate(terms.get(_REQUIRED) or ()):
            yield from _validate_pod_term(term, f"{here}.{_REQUIRED}[{index}]")
        for index, weighted in enumerate(terms.get(_PREFERRED) or ()):
            place = f"{here}.{_PREFERRED}[{index}]"
            yield from _validate_weight(weighted, place)
            yield from _validate_pod_term(weighted.get("podAffinityTerm") or {}, f"{place}.podAffinityTerm")
    constraints = spec.get("topologySpreadConstraints") or ()
    yield from _validate_spread(constraints, f"{at}.topologySpreadConstraints")
    yield from validate_tolerations(spec.get("tolerations") or (), f"{at}.tolerations")
    for index, gate in enumerate(spec.get("readinessGates") or ()):
        kind = gate.get("conditionType") or ""
        for problem in qualified_name(kind):
            yield Cause.invalid(f"{at}.readinessGates[{index}].conditionType", kind, problem)
    yield from _validate_gates(spec.get("schedulingGates") or (), f"{at}.schedulingGates")


def _validate_node_affinity(affinity: Obj, at: str) -> Iterator[Cause]:
    required = affinity.get(_REQUIRED)
    if required is not None:
        yield from validate_node_selector(required, f"{at}.{_REQUIRED}")
    for index, preferred in enumerate(affinity.get(_PREFERRED) or ()):
        here = f"{at}.{_PREFERRED}[{index}]"
        yield from _validate_weight(preferred, here)
        # What can't match anything may be preferred all the same.
        yield from _validate_node_term(
            preferred.get("preference") or {}, f"{here}.preference", check_values=False
        )


def validate_node_selector(selector: Obj, at: str) -> Iterator[Cause]:
    """A NodeSelector: the nodes of which one of its terms is true."""
    here = f"{at}.nodeSelectorTerms"
    if not selector.get("nodeSelectorTerms"):
        yield Cause.required(here, "must have at least one node selector term")
    for index, term in enumerate(selector.get("nodeSelectorTerms") or ()):
        yield from _validate_node_term(term, f"{here}[{index}]", check_values=True)


def _validate_weight(weighted: Obj, at: str) -> Iterator[Cause]:
    weight = weighted.get("weight") or 0
    if not 0 < weight <= 100:
        yield Cause.invalid(f"{at}.weight", weight, "must be in the range 1-100")


def _validate_node_term(term: Obj, at: str, *, check_values: bool) -> Iterator[Cause]:
    for index, expression in enumerate(term.get("matchExpressions") or ()):
        here = f"{at}.matchExpressions[{index}]"
        key, operator, values = _parts(expression)
        yield from _validate_values(operator, values, here)
        for problem in qualified_name(key):
            yield Cause.invalid(f"{here}.key", key, problem)
        for number, value in enumerate(values if check_values else ()):
            for problem in label_value(value):
                yield Cause.invalid(f"{here}.values[{number}]", value, problem)
    for index, expression in enumerate(term.get("matchFields") or ()):
        yield from _validate_field(expression, f"{at}.matchFields[{index}]")


def _validate_values(operator: str, values: Sequence[str], at: str) -> Iterator[Cause]:
    match operator:
        case "In" | "NotIn":
            if not values:
                yield Cause.required(f"{at}.values", "must be specified when `operator` is 'In' or 'NotIn'")
        case "Exists" | "DoesNotExist":
            if values:
                text = "may not be specified when `operator` is 'Exists' or 'DoesNotExist'"
                yield Cause.forbidden(f"{at}.values", text)
        case "Gt" | "Lt":
            if len(values) != 1:
                text = "must be specified single value when `operator` is 'Lt' or 'Gt'"
                yield Cause.required(f"{at}.values", text)
        case _:
            yield Cause.invalid(f"{at}.operator", operator, _NO_OPERATOR)


def _validate_field(expression: Obj, at: str) -> Iterator[Cause]:
    key, operator, values = _parts(expression)
    if operator not in ("In", "NotIn"):
        yield Cause.invalid(f"{at}.operator", operator, _NO_OPERATOR)
    elif len(values) != 1:
        text = "must be only one value when `operator` is 'In' or 'NotIn' for node field selector"
        yield Cause.required(f"{at}.values", text)
    if key != "metadata.name":
        yield Cause.invalid(f"{at}.key", key, "not a valid field selector key")
        return
    for index, value in enumerate(values):
        for problem in dns_subdomain(value):
            yield Cause.invalid(f"{at}.values[{index}]", value, problem)


def _parts(expression: Obj) -> tuple[str, str, Sequence[str]]:
    return expression.get("key") or "", expression.get("operator") or "", expression.get("values") or ()


def _validate_pod_term(term: Obj, at: str) -> Iterator[Cause]:
    for field in ("labelSelector", "namespaceSelector"):
        yield from validate_label_selector(term.get(field), f"{at}.{field}")
    for name in term.get("namespaces") or ():
        for problem in dns_label(name):
            yield Cause.invalid(f"{at}.namespace", name, problem)
    yield from _validate_label_keys(term, at)
    key = term.get("topologyKey") or ""
    if not key:
        yield Cause.required(f"{at}.topologyKey", "can not be empty")
    for problem in qualified_name(key):
        yield Cause.invalid(f"{at}.topologyKey", key, problem)


def _validate_label_keys(term: Obj, at: str) -> Iterator[Cause]:
    """matchLabelKeys and mismatchLabelKeys: they add to a selector, so there must be one to add to."""
    selector = term.get("labelSelector")
    matching, other = term.get("matchLabelKeys") or (), term.get("mismatchLabelKeys") or ()
    for field, keys in (("matchLabelKeys", matching), ("mismatchLabelKeys", other)):
        if keys and selector is None:
            yield Cause.forbidden(f"{at}.{field}", "must not be specified when labelSelector is not set")
            continue
        for index, key in enumerate(keys):
            for problem in qualified_name(key):
                yield Cause.invalid(f"{at}.{field}[{index}]", key, problem)
    selected = {*((selector or {}).get("matchLabels") or ())}
    selected.update(each.get("key") for each in (selector or {}).get("matchExpressions") or ())
    for index, key in enumerate(matching):
        if key in selected:  # upstream's own path
            yield Cause.invalid(f"{at}[{index}]", key, "exists in both matchLabelKeys and labelSelector")
        if key in other:
            text = "exists in both matchLabelKeys and mismatchLabelKeys"
            yield Cause.invalid(f"{at}.matchLabelKeys[{index}]", key, text)


def _validate_spread(constraints: Sequence[Obj], at: str) -> Iterator[Cause]:
    pairs = [(each.get("topologyKey") or "", each.get("whenUnsatisfiable") or "") for each in constraints]
    for index, constraint in enumerate(constraints):
        here = f"{at}[{index}]"
        key, action = pairs[index]
        if (skew := constraint.get("maxSkew") or 0) <= 0:
            yield Cause.invalid(f"{here}.maxSkew", skew, "must be greater than zero")
        if not key:
            yield Cause.required(f"{here}.topologyKey", "can not be empty")
        yield from one_of(f"{here}.whenUnsatisfiable", action, _UNSATISFIABLE)
        if pairs[index] in pairs[index + 1 :]:
            yield Cause.duplicate(f"{here}.{{topologyKey, whenUnsatisfiable}}", f"{{{key}, {action}}}")
        if (domains := constraint.get("minDomains")) is not None:
            if domains <= 0:
                yield Cause.invalid(f"{here}.minDomains", domains, "must be greater than zero")
            if action != "DoNotSchedule":
                text = f"can only use minDomains if whenUnsatisfiable=DoNotSchedule, not {action}"
                yield Cause.invalid(f"{here}.minDomains", domains, text)
        for field in ("nodeAffinityPolicy", "nodeTaintsPolicy"):
            if (policy := constraint.get(field)) is not None:
                yield from one_of(f"{here}.{field}", policy, _NODE_POLICIES)
        yield from _validate_label_keys(constraint, here)
        yield from validate_label_selector(constraint.get("labelSelector"), f"{here}.labelSelector")


def _validate_gates(gates: Sequence[Obj], at: str) -> Iterator[Cause]:
    names: set[str] = set()
    for index, gate in enumerate(gates):
        name, here = gate.get("name") or "", f"{at}[{index}]"
        for problem in qualified_name(name):
            yield Cause.invalid(here, name, problem)
        if name in names:
            yield Cause.duplicate(here, name)
        names.add(name)


def validate_tolerations(tolerations: Sequence[Obj], at: str) -> Iterator[Cause]:
    for index, toleration in enumerate(tolerations):
        yield from _validate_toleration(toleration, f"{at}[{index}]")


def _validate_toleration(toleration: Obj, at: str) -> Iterator[Cause]:
    key, operator = toleration.get("key") or "", toleration.get("operator") or ""
    effect, value = toleration.get("effect") or "", toleration.get("value") or ""
    for problem in qualified_name(key) if key else ():
        yield Cause.invalid(f"{at}.key", key, problem)
    if not key and operator != "Exists":
        text = 'operator must be Exists when `key` is empty, which means "match all values and all keys"'
        yield Cause.invalid(f"{at}.operator", operator, text)
    if toleration.get("tolerationSeconds") is not None and effect != "NoExecute":
        text = "effect must be 'NoExecute' when `tolerationSeconds` is set"
        yield Cause.invalid(f"{at}.effect", effect, text)
    match operator:
        case "Equal" | "":
            if problems := label_value(value):
                yield Cause.invalid(f"{at}.operator", value, ";".join(problems))
        case "Exists":
            if value:
                text = "value must be empty when `operator` is 'Exists'"
                yield Cause.invalid(f"{at}.operator", value, text)
        case "Gt" | "Lt":  # numbers are compared where a feature gate is on that upstream leaves off
            yield Cause.not_supported(f"{at}.operator", operator, ("Equal", "Exists", "Lt", "Gt"))
        case _:
            yield Cause.not_supported(f"{at}.operator", operator, ("Equal", "Exists"))
    if effect:
        yield from one_of(f"{at}.effect", effect, _TAINT_EFFECTS)
