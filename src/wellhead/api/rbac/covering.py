"""Whether somebody who has some rules has all that others would give: nobody gives what they haven't.

Upstream: k8s.io/component-helpers/auth/rbac/validation (Covers), pkg/registry/rbac/validation
(ConfirmNoEscalation, CompactRules).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from wellhead.api.rbac.rules import ALL, Rule, covers_path, strings


def uncovered(owned: Sequence[Rule], wanted: Iterable[Rule]) -> list[Rule]:
    """What `wanted` allows and no single one of `owned` does, in the smallest parts."""
    owned = [*dict.fromkeys(owned)]
    parts = dict.fromkeys(part for rule in wanted for part in _parts(rule))
    return [part for part in parts if not any(_covers(rule, part) for rule in owned)]


def escalation(name: str, groups: Sequence[str], missing: Iterable[Rule]) -> str:
    """What is said to a user who would give these rules without having them."""
    described = sorted(map(str, compacted(missing)))
    return (
        f'user "{name}" (groups={strings(groups)}) is attempting to grant RBAC permissions'
        " not currently held:\n" + "\n".join(described)
    )


def compacted(rules: Iterable[Rule]) -> list[Rule]:
    """Those that differ in their verbs only, together."""
    verbs: dict[Rule, list[str]] = {}
    rest: list[Rule] = []
    for rule in rules:
        if rule.paths or len(rule.groups) != 1 or len(rule.resources) != 1 or len(rule.names) > 1:
            rest.append(rule)
        else:
            verbs.setdefault(replace(rule, verbs=()), []).extend(rule.verbs)
    return [*rest, *(replace(rule, verbs=tuple(each)) for rule, each in verbs.items())]


def _parts(rule: Rule) -> Iterator[Rule]:
    """Rules of one verb on one resource, of one name at most, or on one path."""
    for group in rule.groups:
        for resource in rule.resources:
            for verb in rule.verbs:
                for name in rule.names or ("",):
                    yield Rule((verb,), (group,), (resource,), (name,) if rule.names else ())
    for path in rule.paths:
        for verb in rule.verbs:
            yield Rule((verb,), paths=(path,))


def _covers(rule: Rule, part: Rule) -> bool:
    if not (ALL in rule.verbs or part.verbs[0] in rule.verbs):
        return False
    if part.paths:
        return any(covers_path(path, part.paths[0]) for path in rule.paths)
    resource = part.resources[0]
    _, slash, subresource = resource.partition("/")
    return (
        (ALL in rule.groups or part.groups[0] in rule.groups)
        and (
            ALL in rule.resources
            or resource in rule.resources
            or (bool(slash) and f"*/{subresource}" in rule.resources)
        )
        and (not rule.names or (bool(part.names) and part.names[0] in rule.names))
    )
