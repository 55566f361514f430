"""Which FlowSchema a request falls under (upstream: pkg/util/flowcontrol/rule.go)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from wellhead.api.meta import Obj

_ALL = "*"
_ACCOUNT = "system:serviceaccount:"

Matcher = Callable[["Asked"], bool]


class Asked(NamedTuple):
    """What schemas look at, and all that they look at. A path that is no resource's has no `resource`."""

    user: str
    groups: tuple[str, ...]
    verb: str
    group: str = ""
    resource: str = ""
    subresource: str = ""
    namespace: str = ""
    path: str = ""


def matcher(schema: Obj) -> Matcher:
    """Whether a request is one of the schema's."""
    rules = [_rule(rule) for rule in schema["spec"].get("rules") or ()]
    return lambda asked: any(matches(asked) for matches in rules)


def in_order(schemas: Iterable[Obj]) -> list[Obj]:
    """The schemas in the order in which they are asked: the first that matches counts."""
    return sorted(schemas, key=lambda each: (each["spec"]["matchingPrecedence"], each["metadata"]["name"]))


def distinguisher(schema: Obj, asked: Asked) -> str:
    """What tells the flows of a schema apart."""
    method = (schema["spec"].get("distinguisherMethod") or {}).get("type")
    return asked.user if method == "ByUser" else asked.namespace if method == "ByNamespace" else ""


def _rule(rule: Obj) -> Matcher:
    subjects = [_subject(each) for each in rule.get("subjects") or ()]
    resources = [_resources(each) for each in rule.get("resourceRules") or ()]
    paths = [_paths(each) for each in rule.get("nonResourceRules") or ()]

    def matches(asked: Asked) -> bool:
        about = resources if asked.resource else paths
        return any(is_so(asked) for is_so in subjects) and any(is_so(asked) for is_so in about)

    return matches


def _subject(subject: Obj) -> Matcher:
    kind = subject.get("kind")
    if kind == "User":
        name = (subject.get("user") or {}).get("name")
        return lambda asked: name in (_ALL, asked.user)
    if kind == "Group":
        name = (subject.get("group") or {}).get("name")
        return lambda asked: name == _ALL or name in asked.groups
    account: dict[str, Any] = subject.get("serviceAccount") or {}
    prefix = f"{_ACCOUNT}{account.get('namespace')}:"
    if account.get("name") == _ALL:
        return lambda asked: asked.user.startswith(prefix)
    return lambda asked: asked.user == f"{prefix}{account.get('name')}"


def _resources(rule: Obj) -> Matcher:
    verbs, groups, resources, namespaces = (
        _any_of(rule.get(field) or ()) for field in ("verbs", "apiGroups", "resources", "namespaces")
    )
    cluster = bool(rule.get("clusterScope"))

    def matches(asked: Asked) -> bool:
        full = f"{asked.resource}/{asked.subresource}" if asked.subresource else asked.resource
        return (
            verbs(asked.verb)
            and resources(full)
            and groups(asked.group)
            and (namespaces(asked.namespace) if asked.namespace else cluster)
        )

    return matches


def _paths(rule: Obj) -> Matcher:
    verbs, urls = _any_of(rule.get("verbs") or ()), tuple(rule.get("nonResourceURLs") or ())

    def under(path: str, url: str) -> bool:
        prefix = url.removesuffix(_ALL)
        return url in (_ALL, path) or path.startswith(prefix if prefix.endswith("/") else f"{prefix}/")

    return lambda asked: verbs(asked.verb) and any(under(asked.path, url) for url in urls)


def _any_of(values: Iterable[str]) -> Callable[[str], bool]:
    found = frozenset(values)
    return (lambda _: True) if found == {_ALL} else found.__contains__
