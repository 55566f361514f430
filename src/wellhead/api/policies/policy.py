"""A policy and a binding as values: what they match, and what belongs to them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from wellhead.api.errors import BadRequest
from wellhead.api.meta import AnyObj, Obj
from wellhead.api.resource import Resource
from wellhead.api.selectors import LabelSelector
from wellhead.api.webhooks.hook import Rule
from wellhead.api.webhooks.matching import (
    Target,
    matching_resource,
    selects_namespace,
    selects_object,
)

_EVERYTHING = LabelSelector()
LabelsOf = Callable[[str], Mapping[str, str]]


@dataclass(frozen=True)
class _NamedRule:
    rule: Rule
    names: frozenset[str]
    """The only objects; empty: all."""


@dataclass(frozen=True)
class Matching:
    """matchConstraints of a policy, or matchResources of a binding."""

    rules: tuple[_NamedRule, ...]
    excluded: tuple[_NamedRule, ...]
    namespaces: LabelSelector
    objects: LabelSelector
    equivalent: bool

    @classmethod
    def of(cls, described: Obj | None) -> Matching | None:
        """None: everything matches. Raises BadRequest for selectors that are none."""
        if described is None:
            return None
        return cls(
            _rules(described.get("resourceRules")),
            _rules(described.get("excludeResourceRules")),
            LabelSelector.from_object(described.get("namespaceSelector") or {}),
            LabelSelector.from_object(described.get("objectSelector") or {}),
            described.get("matchPolicy") != "Exact",
        )

    def may_concern(self, target: Target, others: Sequence[Resource]) -> bool:
        """Whether requests like this can match, whatever they are called and wherever they are."""
        rules = [replace(each.rule, scope="*") for each in self.rules]
        return matching_resource(rules, target, others if self.equivalent else ()) is not None

    def resource(
        self,
        target: Target,
        name: str,
        new: AnyObj,
        old: AnyObj,
        labels_of: LabelsOf,
        others: Sequence[Resource],
        *,
        all_without_rules: bool,
    ) -> Resource | None:
        """By which name of its resource the request is matched: that, or one of `others`; None: it isn't.

        May raise NotFound.
        """
        if not selects_object(self.objects, new, old):
            return None
        if not selects_namespace(self.namespaces, target, new, labels_of):
            return None
        if not self.equivalent:
            others = ()
        if _matched(self.excluded, target, name, others) is not None:
            return None
        if not self.rules and all_without_rules:
            return target.resource
        return _matched(self.rules, target, name, others)


def _rules(described: Sequence[Obj] | None) -> tuple[_NamedRule, ...]:
    return tuple(
        _NamedRule(Rule.of(each), frozenset(each.get("resourceNames") or ())) for each in described or ()
    )


def _matched(
    rules: Sequence[_NamedRule], target: Target, name: str, others: Sequence[Resource]
) -> Resource | None:
    fitting = [each.rule for each in rules if not each.names or name in each.names]
    return matching_resource(fitting, target, others)


@dataclass(frozen=True)
class Binding:
    """A ValidatingAdmissionPolicyBinding or MutatingAdmissionPolicyBinding."""

    name: str
    policy: str
    matching: Matching | None
    params: Obj | None
    """spec.paramRef."""
    actions: tuple[str, ...]
    """Deny, Warn, Audit."""
    problem: str = ""

    @classmethod
    def of(cls, obj: AnyObj) -> Binding:
        spec = obj["spec"]
        problem, matching = "", None
        try:
            matching = Matching.of(spec.get("matchResources"))
        except BadRequest as error:
            problem = error.message
        return cls(
            obj["metadata"]["name"],
            spec.get("policyName") or "",
            matching,
            spec.get("paramRef"),
            tuple(spec.get("validationActions") or ()),
            problem,
        )


class NoParams(Exception):
    """A binding's parameters can't be had; says why in upstream's words."""


def param_namespace(resource: Resource, reference: Obj, namespace: str) -> str:
    """In which namespace a binding's parameters are. Raises NoParams."""
    given = reference.get("namespace") or ""
    if not resource.namespaced:
        if given:
            raise NoParams("paramRef.namespace must not be provided for a cluster-scoped `paramKind`")
        return ""
    if given:
        return str(given)
    if not namespace:
        raise NoParams(
            "cannot use namespaced paramRef in policy binding that matches cluster-scoped resources"
        )
    return namespace


@dataclass(frozen=True)
class Verdict:
    """What one validation of a policy says: a message, unless it is content."""

    message: str = ""
    reason: str = ""
    """Of the refusal; empty: Invalid."""
    index: int = 0

    @property
    def denies(self) -> bool:
        return bool(self.message)
