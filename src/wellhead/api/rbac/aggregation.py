"""What an aggregated ClusterRole gathers: the rules of all ClusterRoles that its selectors select.

Upstream: pkg/controller/clusterroleaggregation.
"""

from __future__ import annotations

from collections.abc import Iterable

from wellhead.api.meta import AnyObj, Obj, key, labels
from wellhead.api.selectors import LabelSelector


def is_aggregated(role: AnyObj) -> bool:
    """Whether its rules are those of others."""
    return role.get("aggregationRule") is not None


def gathered(role: AnyObj, roles: Iterable[AnyObj]) -> list[Obj]:
    """The rules of an aggregated ClusterRole, out of all ClusterRoles; each rule once.

    Raises BadRequest for a selector that is none.
    """
    name = role["metadata"]["name"]
    others = sorted((each for each in roles if each["metadata"]["name"] != name), key=key)
    rules: list[Obj] = []
    for selector in (role.get("aggregationRule") or {}).get("clusterRoleSelectors") or ():
        selected = LabelSelector.from_object(selector)
        for other in others:
            if selected.matches(labels(other)):
                rules += [rule for rule in other.get("rules") or () if rule not in rules]
    return rules
