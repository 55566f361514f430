"""An audit policy: how much of which requests is put down, and at which stages.

The first rule that matches decides; what no rule matches leaves no trace. Upstream: pkg/audit/policy.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any, NamedTuple

import msgspec

from wellhead.api.errors import Cause
from wellhead.api.formats import dns_subdomain
from wellhead.api.meta import Obj

_API_VERSION, _KIND = "audit.k8s.io/v1", "Policy"
_ALL = "*"


class Level(IntEnum):
    """How much is put down of a request, in this order."""

    NONE = 0
    METADATA = 1
    REQUEST = 2
    REQUEST_RESPONSE = 3


LEVELS = {
    "None": Level.NONE,
    "Metadata": Level.METADATA,
    "Request": Level.REQUEST,
    "RequestResponse": Level.REQUEST_RESPONSE,
}
NAMES = {level: name for name, level in LEVELS.items()}
STAGES = ("RequestReceived", "ResponseStarted", "ResponseComplete", "Panic")


class PolicyError(ValueError):
    """A policy that can't be used; says what is wrong with which field."""


class Asked(NamedTuple):
    """What rules look at. A path that is no resource's has no `resource`."""

    user: str = ""
    groups: tuple[str, ...] = ()
    verb: str = ""
    group: str = ""
    resource: str = ""
    subresource: str = ""
    namespace: str = ""
    name: str = ""
    path: str = ""


@dataclass(frozen=True, slots=True)
class Decision:
    """What the policy wants of one request."""

    level: Level = Level.NONE
    omitted: frozenset[str] = frozenset()
    """The stages that leave no event."""
    without_managed_fields: bool = False


class _Resources(msgspec.Struct, rename="camel", frozen=True):
    group: str = ""
    resources: tuple[str, ...] = ()
    resource_names: tuple[str, ...] = ()


class _Rule(msgspec.Struct, rename="camel", frozen=True):
    level: str = ""
    users: tuple[str, ...] = ()
    user_groups: tuple[str, ...] = ()
    verbs: tuple[str, ...] = ()
    resources: tuple[_Resources, ...] = ()
    namespaces: tuple[str, ...] = ()
    urls: tuple[str, ...] = msgspec.field(default=(), name="nonResourceURLs")
    omit_stages: tuple[str, ...] = ()
    omit_managed_fields: bool | None = None


class _Document(msgspec.Struct, rename="camel", frozen=True):
    api_version: str = ""
    kind: str = ""
    metadata: dict[str, Any] = {}
    rules: tuple[_Rule, ...] = ()
    omit_stages: tuple[str, ...] = ()
    omit_managed_fields: bool = False


@dataclass(frozen=True)
class Policy:
    """Rules in their order, each with what it decides."""

    _rules: tuple[tuple[_Rule, Decision], ...]
    unknown: tuple[str, ...] = field(default=())
    """Fields that nobody knows: they are left out, and worth a warning."""

    def decide(self, asked: Asked) -> Decision:
        for rule, decision in self._rules:
            if _matches(rule, asked):
                return decision
        return _NOTHING


_NOTHING = Decision()


def read_policy(document: object) -> Policy:
    """Read what a policy's file holds, decoded. Raises PolicyError."""
    if not isinstance(document, Mapping) or document.get("apiVersion") != _API_VERSION:
        version = document.get("apiVersion") if isinstance(document, Mapping) else None
        raise PolicyError(f"unknown group version {version!r} in policy: it must be {_API_VERSION}")
    if document.get("kind") != _KIND:
        raise PolicyError(f"the kind must be {_KIND}, not {document.get('kind')!r}")
    try:
        found = msgspec.convert(_without_nulls(document), _Document)
    except msgspec.ValidationError as error:
        raise PolicyError(f"failed decoding: {error}") from None
    if causes := list(_causes(found)):
        raise PolicyError("; ".join(f"{cause.field}: {cause.message}" for cause in causes))
    if not found.rules:
        raise PolicyError("loaded illegal policy with 0 rules")
    return Policy(tuple((rule, _decision(rule, found)) for rule in found.rules), tuple(_unknown(document)))


def _decision(rule: _Rule, policy: _Document) -> Decision:
    own = rule.omit_managed_fields
    return Decision(
        LEVELS[rule.level],
        frozenset((*policy.omit_stages, *rule.omit_stages)),
        policy.omit_managed_fields if own is None else own,
    )


def _matches(rule: _Rule, asked: Asked) -> bool:
    if rule.users and asked.user not in rule.users:
        return False
    if rule.user_groups and not any(group in rule.user_groups for group in asked.groups):
        return False
    if rule.verbs and asked.verb not in rule.verbs:
        return False
    if rule.namespaces or rule.resources:
        return bool(asked.resource) and _matches_resource(rule, asked)
    if rule.urls:
        return not asked.resource and any(_matches_path(url, asked.path) for url in rule.urls)
    return True


def _matches_path(url: str, path: str) -> bool:
    return url in (_ALL, path) or (url.endswith(_ALL) and path.startswith(url.rstrip(_ALL)))


def _matches_resource(rule: _Rule, asked: Asked) -> bool:
    if rule.namespaces and asked.namespace not in rule.namespaces:
        return False
    if not rule.resources:
        return True
    full = f"{asked.resource}/{asked.subresource}" if asked.subresource else asked.resource
    # The forms of its name that a rule may have.
    names: Collection[str] = (
        full,
        _ALL,
        f"{asked.resource}/*",
        *((f"*/{asked.subresource}",) if asked.subresource else ()),
    )
    return any(
        each.group in (asked.group, _ALL)
        and (
            not each.resources
            or (
                (not each.resource_names or asked.name in each.resource_names)
                and any(name in names for name in each.resources)
            )
        )
        for each in rule.resources
    )


def _causes(policy: _Document) -> Iterator[Cause]:
    yield from _of_stages(policy.omit_stages, "omitStages")
    for index, rule in enumerate(policy.rules):
        at = f"rules[{index}]"
        if not rule.level:
            yield Cause.required(f"{at}.level")
        elif rule.level not in LEVELS:
            yield Cause.not_supported(f"{at}.level", rule.level, tuple(LEVELS))
        yield from _of_urls(rule, f"{at}.nonResourceURLs")
        for each in rule.resources:
            yield from _of_resources(each, f"{at}.resources")
        yield from _of_stages(rule.omit_stages, f"{at}.omitStages")


def _of_urls(rule: _Rule, at: str) -> Iterator[Cause]:
    for index, url in enumerate(rule.urls):
        if url == _ALL:
            continue
        if not url.startswith("/"):
            text = "non-resource URL rules must begin with a '/' character"
            yield Cause.invalid(f"{at}[{index}]", url, text)
        if _ALL in url[:-1]:
            text = "non-resource URL wildcards '*' must be the final character of the rule"
            yield Cause.invalid(f"{at}[{index}]", url, text)
    if rule.urls and (rule.resources or rule.namespaces):
        text = "rules cannot apply to both regular resources and non-resource URLs"
        yield Cause.invalid(at, list(rule.urls), text)


def _of_resources(each: _Resources, at: str) -> Iterator[Cause]:
    if each.group not in ("", _ALL) and (problems := list(dns_subdomain(each.group))):
        yield Cause.invalid(f"{at}.group", each.group, ",".join(problems))
    if each.resource_names and not each.resources:
        text = "using resourceNames requires at least one resource"
        yield Cause.invalid(f"{at}.resourceNames", list(each.resource_names), text)


def _of_stages(stages: Collection[str], at: str) -> Iterator[Cause]:
    for index, stage in enumerate(stages):
        if stage not in STAGES:
            yield Cause.invalid(f"{at}[{index}]", stage, f"allowed stages are {','.join(STAGES)}")


def _without_nulls(value: object) -> object:
    """The same without what YAML leaves empty (`resources:`), which means that it isn't there."""
    if isinstance(value, Mapping):
        return {key: _without_nulls(each) for key, each in value.items() if each is not None}
    if isinstance(value, list):
        return [_without_nulls(each) for each in value]
    return value


def _unknown(document: Mapping[str, Any]) -> Iterator[str]:
    yield from _strange(document, _Document, "")
    for index, rule in enumerate(document.get("rules") or ()):
        yield from _strange(rule, _Rule, f"rules[{index}].")
        for number, each in enumerate(rule.get("resources") or ()):
            yield from _strange(each, _Resources, f"rules[{index}].resources[{number}].")


def _strange(obj: Obj | Mapping[str, Any], kind: type[msgspec.Struct], at: str) -> Iterator[str]:
    known = {each.encode_name for each in msgspec.structs.fields(kind)}
    yield from (f"{at}{name}" for name in obj if name not in known)
