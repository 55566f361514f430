"""FlowSchemas and PriorityLevelConfigurations: which requests share which part of the server.

Upstream: pkg/apis/flowcontrol/validation, pkg/apis/flowcontrol/v1/defaults.go.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from datetime import datetime

from wellhead.api import cells
from wellhead.api.condition_rules import once_each
from wellhead.api.errors import Cause, one_of
from wellhead.api.flowcontrol import bootstrap
from wellhead.api.formats import dns_label, dns_subdomain
from wellhead.api.kind import Kind
from wellhead.api.meta import Obj, condition
from wellhead.api.printer import AGE, NAME, Cell, Column, Printer
from wellhead.api.resource import Resource
from wellhead.api.strategy import Strategy

_GROUP = "flowcontrol.apiserver.k8s.io"
FLOWSCHEMAS = Resource(
    _GROUP, "v1", "FlowSchema", "flowschemas", namespaced=False, subresources=frozenset({"status"})
)
PRIORITYLEVELS = Resource(
    _GROUP,
    "v1",
    "PriorityLevelConfiguration",
    "prioritylevelconfigurations",
    namespaced=False,
    subresources=frozenset({"status"}),
)

_MAX_PRECEDENCE = 10_000
_MAX_QUEUES = 10_000_000
_MAX_HASH_BITS = 60
_METHODS = ("ByNamespace", "ByUser")
_SUBJECTS = {"Group": "group", "ServiceAccount": "serviceAccount", "User": "user"}
_VERBS = (
    "create",
    "delete",
    "deletecollection",
    "get",
    "list",
    "patch",
    "proxy",
    "update",
    "watch",
)
_ALL = "*"


def _of_status(status: Obj) -> list[Cause]:
    conditions, at = status.get("conditions") or (), "status.conditions"
    unnamed = [index for index, each in enumerate(conditions) if not each.get("type")]
    return [*once_each(conditions, at), *(Cause.required(f"{at}[{index}].type") for index in unnamed)]


class FlowSchemaStrategy(Strategy):
    status_metadata = frozenset()
    counts_generations = True

    def validate_status_update(self, new: Obj, old: Obj) -> list[Cause]:
        return _of_status(new["status"])

    def default(self, obj: Obj) -> None:
        spec = obj.setdefault("spec", {})
        spec["matchingPrecedence"] = spec.get("matchingPrecedence") or 1000

    def validate(self, obj: Obj) -> list[Cause]:
        spec = obj["spec"]
        precedence, at = spec["matchingPrecedence"], "spec.matchingPrecedence"
        causes: list[Cause] = []
        if precedence <= 0:
            causes.append(Cause.invalid(at, precedence, "must be a positive value"))
        if precedence > _MAX_PRECEDENCE:
            causes.append(Cause.invalid(at, precedence, f"must not be greater than {_MAX_PRECEDENCE}"))
        if precedence == 1 and obj["metadata"].get("name") != "exempt":
            text = "only the schema named 'exempt' may have matchingPrecedence 1"
            causes.append(Cause.invalid(at, precedence, text))
        if (method := spec.get("distinguisherMethod")) is not None:
            causes += one_of("spec.distinguisherMethod.type", method.get("type") or "", _METHODS)
        level, at = (
            (spec.get("priorityLevelConfiguration") or {}).get("name") or "",
            "spec.priorityLevelConfiguration.name",
        )
        if not level:
            causes.append(Cause.required(at, "must reference a priority level"))
        else:
            causes += [Cause.invalid(at, level, text) for text in dns_subdomain(level)]
        for index, rule in enumerate(spec.get("rules") or ()):
            causes += _of_rule(rule, f"spec.rules[{index}]")
        name = obj["metadata"].get("name")
        if name in bootstrap.MANDATORY and spec != bootstrap.schemas()[name]["spec"]:
            text = f"spec of '{name}' must equal the fixed value"
            causes.append(Cause.invalid("spec", spec, text))
        return causes


def _of_rule(rule: Obj, at: str) -> Iterator[Cause]:
    if not rule.get("subjects"):
        yield Cause.required(f"{at}.subjects", "subjects must contain at least one value")
    for index, subject in enumerate(rule.get("subjects") or ()):
        yield from _of_subject(subject, f"{at}.subjects[{index}]")
    if not rule.get("resourceRules") and not rule.get("nonResourceRules"):
        text = "at least one of resourceRules and nonResourceRules has to be non-empty"
        yield Cause.required(at, text)
    for index, each in enumerate(rule.get("resourceRules") or ()):
        yield from _of_resources(each, f"{at}.resourceRules[{index}]")
    for index, each in enumerate(rule.get("nonResourceRules") or ()):
        here = f"{at}.nonResourceRules[{index}]"
        yield from _of_verbs(each, here)
        yield from _of_list(
            each,
            "nonResourceURLs",
            here,
            "nonResourceURLs must contain at least one value",
            "non-resource URLs",
        )
        if _ALL not in (urls := each.get("nonResourceURLs") or ()):
            for number, url in enumerate(urls):
                yield from _of_url(url, f"{here}.nonResourceURLs[{number}]")


def _of_url(url: str, at: str) -> Iterator[Cause]:
    stars = url.count("*")
    for wrong, text in (
        (not url, "must not be empty"),
        (not url.startswith("/"), "must start with slash"),
        (" " in url, "must not contain white-space"),
        ("//" in url, "must not contain double slash"),
        (stars > 1 or (stars == 1 and not url.endswith("/*")), "wildcard can only do suffix matching"),
    ):
        if wrong:
            yield Cause.invalid(at, url, text)
            return


def _of_subject(subject: Obj, at: str) -> Iterator[Cause]:
    kind = subject.get("kind") or ""
    if kind not in _SUBJECTS:
        yield Cause.not_supported(f"{at}.kind", kind, _SUBJECTS)
        return
    for name, field in _SUBJECTS.items():
        value, here = subject.get(field), f"{at}.{field}"
        if name != kind:
            if value is not None:
                text = f"{field} is forbidden when subject kind is not '{name}'"
                yield Cause.forbidden(here, text)
        elif value is None:
            yield Cause.required(here, f"{field} is required when subject kind is '{name}'")
        else:
            if not value.get("name"):
                yield Cause.required(f"{here}.name")
            if name == "ServiceAccount":
                yield from _of_account(value, here)


def _of_account(account: Obj, at: str) -> Iterator[Cause]:
    name, namespace = account.get("name") or "", account.get("namespace") or ""
    for problem in dns_subdomain(name) if name not in ("", _ALL) else ():
        yield Cause.invalid(f"{at}.name", name, problem)
    if not namespace:
        yield Cause.required(f"{at}.namespace", "must specify namespace for service account")
    for problem in dns_label(namespace) if namespace else ():
        yield Cause.invalid(f"{at}.namespace", namespace, problem)


def _of_verbs(rule: Obj, at: str) -> Iterator[Cause]:
    verbs = rule.get("verbs") or []
    yield from _of_list(rule, "verbs", at, "verbs must contain at least one value", "verbs")
    if _ALL not in verbs and not set(verbs) <= set(_VERBS):
        yield Cause.not_supported(f"{at}.verbs", verbs, _VERBS)


def _of_resources(rule: Obj, at: str) -> Iterator[Cause]:
    yield from _of_verbs(rule, at)
    yield from _of_list(
        rule, "apiGroups", at, "resource rules must supply at least one api group", "api groups"
    )
    yield from _of_list(
        rule, "resources", at, "resource rules must supply at least one resource", "resources"
    )
    namespaces = rule.get("namespaces") or []
    if namespaces or not rule.get("clusterScope"):
        text = "resource rules that are not cluster scoped must supply at least one namespace"
        yield from _of_list(rule, "namespaces", at, text, "namespaces")
    if _ALL not in namespaces:
        for index, name in enumerate(namespaces):
            for text in dns_label(name):
                problem = f"each member of this list must be '*' or a DNS-1123 label; {text}"
                yield Cause.invalid(f"{at}.namespaces[{index}]", name, problem)


def _of_list(rule: Obj, field: str, at: str, missing: str, noun: str) -> Iterator[Cause]:
    values = rule.get(field) or []
    if not values:
        yield Cause.required(f"{at}.{field}", missing)
    elif _ALL in values and len(values) > 1:
        text = f"if '*' is present, must not specify other {noun}"
        yield Cause.invalid(f"{at}.{field}", values, text)


class PriorityLevelStrategy(Strategy):
    status_metadata = frozenset()
    counts_generations = True

    def validate_status_update(self, new: Obj, old: Obj) -> list[Cause]:
        return _of_status(new["status"])

    def default(self, obj: Obj) -> None:
        spec = obj.setdefault("spec", {})
        if (exempt := spec.get("exempt")) is not None:
            exempt.setdefault("nominalConcurrencyShares", 0)
            exempt.setdefault("lendablePercent", 0)
        if (limited := spec.get("limited")) is not None:
            limited.setdefault("nominalConcurrencyShares", 30)
            limited.setdefault("lendablePercent", 0)
            queuing = (limited.get("limitResponse") or {}).get("queuing")
            if queuing is not None:
                for field, value in (("handSize", 8), ("queues", 64), ("queueLengthLimit", 50)):
                    queuing[field] = queuing.get(field) or value

    def validate(self, obj: Obj) -> list[Cause]:
        spec, name = obj["spec"], obj["metadata"].get("name")
        causes = list(_of_level(spec, name == bootstrap.EXEMPT))
        if name in bootstrap.MANDATORY:
            fixed = bootstrap.levels()[name]["spec"]
            have, text = spec, f"spec of '{name}' must equal the fixed value"
            if name == bootstrap.EXEMPT:
                have = spec | {"exempt": fixed["exempt"]}
                text = f"spec of '{name}' except the 'spec.exempt' field must equal the fixed value"
            if have != fixed:
                causes.append(Cause.invalid("spec", spec, text))
        return causes


def _of_level(spec: Obj, exempt: bool) -> Iterator[Cause]:
    kind = spec.get("type") or ""
    if exempt != (kind == "Exempt"):
        yield Cause.invalid("spec.type", kind, "must be 'Exempt' if and only if `name` is 'exempt'")
    if kind == "Exempt":
        if spec.get("limited") is not None:
            yield Cause.forbidden("spec.limited", "must be nil if the type is not Limited")
        yield from _of_shares(spec.get("exempt") or {}, "spec.exempt")
    elif kind == "Limited":
        if spec.get("exempt") is not None:
            yield Cause.forbidden("spec.exempt", "must be nil if the type is Limited")
        if spec.get("limited") is None:
            yield Cause.required("spec.limited", "must not be empty when type is Limited")
        else:
            yield from _of_limited(spec["limited"], "spec.limited")
    else:
        yield Cause.not_supported("spec.type", kind, ("Exempt", "Limited"))


def _of_shares(level: Obj, at: str) -> Iterator[Cause]:
    shares, lendable = level.get("nominalConcurrencyShares"), level.get("lendablePercent")
    if shares is not None and shares < 0:
        text = "must be a non-negative integer"
        yield Cause.invalid(f"{at}.nominalConcurrencyShares", shares, text)
    if lendable is not None and not 0 <= lendable <= 100:
        yield Cause.invalid(f"{at}.lendablePercent", lendable, "must be between 0 and 100, inclusive")


def _of_limited(limited: Obj, at: str) -> Iterator[Cause]:
    yield from _of_shares(limited, at)
    borrowing = limited.get("borrowingLimitPercent")
    if borrowing is not None and borrowing < 0:
        text = "if specified, must be a non-negative integer"
        yield Cause.invalid(f"{at}.borrowingLimitPercent", borrowing, text)
    response, here = limited.get("limitResponse") or {}, f"{at}.limitResponse"
    kind, queuing = response.get("type") or "", response.get("queuing")
    if kind == "Reject":
        if queuing is not None:
            text = "must be nil if limited.limitResponse.type is not Limited"
            yield Cause.forbidden(f"{here}.queuing", text)
    elif kind != "Queue":
        yield Cause.not_supported(f"{here}.type", kind, ("Queue", "Reject"))
    elif queuing is None:
        text = "must not be empty if limited.limitResponse.type is Limited"
        yield Cause.required(f"{here}.queuing", text)
    else:
        yield from _of_queues(queuing, f"{here}.queuing")


def _of_queues(queuing: Obj, at: str) -> Iterator[Cause]:
    length, queues, hand = (queuing[field] for field in ("queueLengthLimit", "queues", "handSize"))
    if length <= 0:
        yield Cause.invalid(f"{at}.queueLengthLimit", length, "must be positive")
    if queues <= 0:
        yield Cause.invalid(f"{at}.queues", queues, "must be positive")
    elif queues > _MAX_QUEUES:
        yield Cause.invalid(f"{at}.queues", queues, f"must not be greater than {_MAX_QUEUES}")
    if hand <= 0:
        yield Cause.invalid(f"{at}.handSize", hand, "must be positive")
    elif hand > queues:
        text = f"should not be greater than queues ({queues})"
        yield Cause.invalid(f"{at}.handSize", hand, text)
    elif _entropy(queues, hand) > _MAX_HASH_BITS:
        text = (
            f"required entropy bits of deckSize {queues} and handSize {hand} should not be greater than"
            f" {_MAX_HASH_BITS}"
        )
        yield Cause.invalid(f"{at}.handSize", hand, text)


def _entropy(deck: int, hand: int) -> int:
    """Bits that it takes to deal a hand."""
    return math.ceil(math.log2(deck) * hand)


def _schema_cells(schema: Obj, now: datetime) -> list[Cell]:
    spec = schema.get("spec") or {}
    dangling = condition(schema, "Dangling")
    return [
        cells.name(schema),
        (spec.get("priorityLevelConfiguration") or {}).get("name", ""),
        spec.get("matchingPrecedence", 0),
        (spec.get("distinguisherMethod") or {}).get("type") or cells.NONE,
        cells.created(schema, now),
        "?" if dangling is None else dangling.get("status", "?"),
    ]


def _level_cells(level: Obj, now: datetime) -> list[Cell]:
    spec = level.get("spec") or {}
    limited = spec.get("limited")
    queuing = ((limited or {}).get("limitResponse") or {}).get("queuing") or {}
    shares = cells.NONE if limited is None else limited.get("nominalConcurrencyShares", cells.NONE)
    queues = [queuing.get(field, cells.NONE) for field in ("queues", "handSize", "queueLengthLimit")]
    return [cells.name(level), spec.get("type", ""), shares, *queues, cells.created(level, now)]


KINDS = (
    Kind(
        FLOWSCHEMAS,
        FlowSchemaStrategy(),
        Printer(
            (
                NAME,
                Column("PriorityLevel"),
                Column("MatchingPrecedence"),
                Column("DistinguisherMethod"),
                AGE,
                Column("MissingPL"),
            ),
            _schema_cells,
        ),
    ),
    Kind(
        PRIORITYLEVELS,
        PriorityLevelStrategy(),
        Printer(
            (
                NAME,
                Column("Type"),
                Column("NominalConcurrencyShares"),
                Column("Queues"),
                Column("HandSize"),
                Column("QueueLengthLimit"),
                AGE,
            ),
            _level_cells,
        ),
    ),
)
