"""What a policy may ask of authorisation: `authorizer.group('apps').resource('deployments').check('create')`.

Upstream: apiserver's cel/library/authz.go. Who answers is the server's business; `Ask` is how.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from wellhead.api.cel.functions.table import Function, function
from wellhead.api.cel.values import Opaque


@dataclass(frozen=True)
class Question:
    """Whether somebody may do something: on a resource, or on a path."""

    verb: str = ""
    path: str = ""
    group: str = ""
    resource: str = ""
    subresource: str = ""
    namespace: str = ""
    name: str = ""
    version: str = "*"
    field_selector: str = ""
    label_selector: str = ""
    service_account: tuple[str, str] | None = None
    """(namespace, name) of who is asked about, instead of who sent the request."""


@dataclass(frozen=True)
class Decision(Opaque):
    allowed: bool
    reason: str = ""
    error: str = ""
    type_name = "kubernetes.authorization.Decision"


Ask = Callable[[Question], Decision]


@dataclass(frozen=True)
class Authorizer(Opaque):
    ask: Ask
    account: tuple[str, str] | None = None
    type_name = "kubernetes.authorization.Authorizer"


@dataclass(frozen=True)
class _Check(Opaque):
    ask: Ask
    question: Question


class PathCheck(_Check):
    type_name = "kubernetes.authorization.PathCheck"


class GroupCheck(_Check):
    type_name = "kubernetes.authorization.GroupCheck"


class ResourceCheck(_Check):
    type_name = "kubernetes.authorization.ResourceCheck"


def resource_check(ask: Ask, question: Question) -> ResourceCheck:
    """`authorizer.requestResource`: a check of the request's own resource."""
    return ResourceCheck(ask, question)


def _narrowed(field: str) -> Callable[[ResourceCheck, str], ResourceCheck]:
    def changed(value: str) -> dict[str, Any]:
        return {field: value}

    return lambda check, value: ResourceCheck(check.ask, replace(check.question, **changed(value)))


def _decide(check: _Check, verb: str) -> Decision:
    return check.ask(replace(check.question, verb=verb))


_TYPES: dict[str, type] = {
    each.type_name: each for each in (Authorizer, PathCheck, GroupCheck, ResourceCheck, Decision)
}


def _function(signature: str, call: Callable[..., object]) -> Function:
    for name in _TYPES:
        signature = signature.replace(f"@{name.rpartition('.')[2]}", name)
    return function(signature, call, _TYPES)


AUTHORIZATION: tuple[Function, ...] = (
    _function(
        "@Authorizer -> path(string): @PathCheck",
        lambda who, path: PathCheck(who.ask, Question(path=path, service_account=who.account)),
    ),
    _function(
        "@Authorizer -> group(string): @GroupCheck",
        lambda who, group: GroupCheck(who.ask, Question(group=group, service_account=who.account)),
    ),
    _function(
        "@Authorizer -> serviceAccount(string, string): @Authorizer",
        lambda who, namespace, name: Authorizer(who.ask, (namespace, name)),
    ),
    _function(
        "@GroupCheck -> resource(string): @ResourceCheck",
        lambda check, resource: ResourceCheck(check.ask, replace(check.question, resource=resource)),
    ),
    _function("@ResourceCheck -> subresource(string): @ResourceCheck", _narrowed("subresource")),
    _function("@ResourceCheck -> namespace(string): @ResourceCheck", _narrowed("namespace")),
    _function("@ResourceCheck -> name(string): @ResourceCheck", _narrowed("name")),
    _function("@ResourceCheck -> fieldSelector(string): @ResourceCheck", _narrowed("field_selector")),
    _function("@ResourceCheck -> labelSelector(string): @ResourceCheck", _narrowed("label_selector")),
    _function("@ResourceCheck -> check(string): @Decision", _decide),
    _function("@PathCheck -> check(string): @Decision", _decide),
    _function("@Decision -> allowed(): bool", lambda decision: decision.allowed),
    _function("@Decision -> reason(): string", lambda decision: decision.reason),
    _function("@Decision -> errored(): bool", lambda decision: bool(decision.error)),
    _function("@Decision -> error(): string", lambda decision: decision.error),
)
