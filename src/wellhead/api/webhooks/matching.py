"""Which requests a webhook (or a policy) is for: by operation and resource, by namespace, by labels.

Upstream: apiserver's admission/plugin/webhook/{generic/webhook.go,predicates}.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from wellhead.api.meta import AnyObj
from wellhead.api.resource import Resource
from wellhead.api.resources import NAMESPACES, RESOURCES
from wellhead.api.selectors import LabelSelector
from wellhead.api.webhooks.hook import Rule

_EXEMPT_GROUP = "admissionregistration.k8s.io"


@dataclass(frozen=True, slots=True)
class Target:
    """What a request is about, as rules see it."""

    operation: str
    resource: Resource
    subresource: str
    namespace: str
    """Of a namespace itself: its name."""


def is_exempt(resource: Resource) -> bool:
    """Whether no webhook and no policy is asked: one that is wrong could never be mended."""
    return resource.group == _EXEMPT_GROUP


def matching_resource(rules: Iterable[Rule], target: Target, others: Sequence[Resource]) -> Resource | None:
    """The name by which a rule covers the target: that of its resource, one of `others`, or (None) none."""
    rules = tuple(rules)
    if any(_covers(rule, target, target.resource) for rule in rules):
        return target.resource
    for rule in rules:
        for other in others:
            if _covers(rule, target, other):
                return other
    return None


@lru_cache(maxsize=512)
def equivalents(resource: Resource, subresource: str) -> tuple[Resource, ...]:
    """Other names of a built-in kind's objects: other versions and groups."""
    return tuple(
        each
        for each in RESOURCES
        if each.storage_prefix == resource.storage_prefix
        and each != resource
        and (not subresource or subresource in each.subresources)
    )


def selects_namespace(
    selector: LabelSelector,
    target: Target,
    obj: AnyObj,
    labels_of: Callable[[str], Mapping[str, str]],
) -> bool:
    """Whether the request's namespace is selected; what is in none always is.

    `labels_of` gives a namespace's labels, and may raise NotFound.
    """
    is_namespace = target.resource == NAMESPACES
    if selector.is_everything or (not target.namespace and not is_namespace):
        return True
    if is_namespace and not target.subresource and target.operation in ("CREATE", "UPDATE"):
        return selector.matches((obj.get("metadata") or {}).get("labels"))
    return selector.matches(labels_of(target.namespace))


def selects_object(selector: LabelSelector, new: AnyObj, old: AnyObj) -> bool:
    """Whether the object is selected, as it was or as it is to be."""
    return selector.is_everything or any(
        selector.matches((each.get("metadata") or {}).get("labels")) for each in (new, old) if each
    )


def _covers(rule: Rule, target: Target, resource: Resource) -> bool:
    return (
        _in_scope(rule.scope, target)
        and _has(rule.operations, target.operation)
        and _has(rule.groups, resource.group)
        and _has(rule.versions, resource.version)
        and any(
            wanted in ("*", resource.plural) and subresource in ("*", target.subresource)
            for wanted, subresource in rule.resources
        )
    )


def _has(allowed: frozenset[str], wanted: str) -> bool:
    return "*" in allowed or wanted in allowed


def _in_scope(scope: str, target: Target) -> bool:
    if scope == "*":
        return True
    in_namespace = bool(target.namespace) and target.resource != NAMESPACES
    return in_namespace is (scope == "Namespaced")
