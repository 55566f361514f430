"""Rules as values, and whether some of them allow an action.

Upstream: plugin/pkg/auth/authorizer/rbac/rbac.go, pkg/apis/rbac/v1/evaluation_helpers.go.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from wellhead.api.meta import AnyObj, Obj
from wellhead.text import quoted

ALL = "*"


@dataclass(frozen=True, slots=True)
class Rule:
    """A PolicyRule: every combination of its verbs with its resources, or with its paths, is allowed."""

    verbs: tuple[str, ...]
    groups: tuple[str, ...] = ()
    resources: tuple[str, ...] = ()
    """`pods`, `pods/status`, `*/scale`, `*`."""
    names: tuple[str, ...] = ()
    """The only objects that it is about; empty: all."""
    paths: tuple[str, ...] = ()
    """nonResourceURLs; `/api/*` covers what begins so."""

    @classmethod
    def of(cls, rule: AnyObj) -> Rule:
        """From a rule as an object has it."""
        fields = ("verbs", "apiGroups", "resources", "resourceNames", "nonResourceURLs")
        return cls(*(tuple(rule.get(field) or ()) for field in fields))

    @property
    def object(self) -> Obj:
        """As an object has it."""
        written = {
            "verbs": self.verbs,
            "apiGroups": self.groups,
            "resources": self.resources,
            "resourceNames": self.names,
            "nonResourceURLs": self.paths,
        }
        return {field: list(values) for field, values in written.items() if values or field == "verbs"}

    def allows(self, verb: str, group: str, resource: str, name: str) -> bool:
        """Whether it allows the verb on a resource (`pods/status`), of which `name` may be ""."""
        return (
            _has(self.verbs, verb)
            and _has(self.groups, group)
            and _has_resource(self.resources, resource)
            and (not self.names or name in self.names)
        )

    def allows_path(self, verb: str, path: str) -> bool:
        """The same of a path that is no resource's."""
        return _has(self.verbs, verb) and any(covers_path(each, path) for each in self.paths)

    def __str__(self) -> str:
        """As upstream's messages write a rule (CompactString)."""
        written = {
            "APIGroups": self.groups,
            "Resources": self.resources,
            "NonResourceURLs": self.paths,
            "ResourceNames": self.names,
            "Verbs": self.verbs,
        }
        return "{" + ", ".join(f"{field}:{strings(each)}" for field, each in written.items() if each) + "}"


def strings(values: Iterable[str]) -> str:
    """As Go's %q writes a slice of strings."""
    return f"[{' '.join(map(quoted, values))}]"


def rules_of(role: AnyObj) -> tuple[Rule, ...]:
    """A Role's or ClusterRole's rules."""
    return tuple(map(Rule.of, role.get("rules") or ()))


def covers_path(wider: str, path: str) -> bool:
    """Whether a rule's path covers another one, or a request's."""
    return wider == path or (wider.endswith("*") and path.startswith(wider.rstrip("*")))


def _has(allowed: Sequence[str], wanted: str) -> bool:
    return ALL in allowed or wanted in allowed


def _has_resource(allowed: Sequence[str], wanted: str) -> bool:
    if ALL in allowed or wanted in allowed:
        return True
    _, slash, subresource = wanted.partition("/")
    return bool(slash) and f"*/{subresource}" in allowed


class RuleSet:
    """Many rules, arranged so that a question looks at few of them."""

    def __init__(self, rules: Iterable[Rule]) -> None:
        self._exact: defaultdict[tuple[str, str], list[Rule]] = defaultdict(list)
        self._wide: list[Rule] = []
        self._paths: list[Rule] = []
        for rule in rules:
            if rule.paths:
                self._paths.append(rule)
            elif ALL in rule.groups or any(each.startswith(ALL) for each in rule.resources):
                self._wide.append(rule)
            else:
                for group in rule.groups:
                    for resource in rule.resources:
                        self._exact[group, resource].append(rule)

    def allows(self, verb: str, group: str, resource: str, name: str) -> bool:
        """Whether any of the rules allows it."""
        for rule in self._exact.get((group, resource), ()):
            if (verb in rule.verbs or ALL in rule.verbs) and (not rule.names or name in rule.names):
                return True
        return any(rule.allows(verb, group, resource, name) for rule in self._wide)

    def allows_path(self, verb: str, path: str) -> bool:
        """The same of a path that is no resource's."""
        return any(rule.allows_path(verb, path) for rule in self._paths)
