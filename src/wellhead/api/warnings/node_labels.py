"""Labels of nodes that have other names today. Upstream: pkg/api/node/util.go."""

from __future__ import annotations

from collections.abc import Iterator

from wellhead.api.formats import label_value
from wellhead.api.meta import Obj

DEPRECATED = {
    "beta.kubernetes.io/arch": 'deprecated since v1.14; use "kubernetes.io/arch" instead',
    "beta.kubernetes.io/os": 'deprecated since v1.14; use "kubernetes.io/os" instead',
    "failure-domain.beta.kubernetes.io/region": (
        'deprecated since v1.17; use "topology.kubernetes.io/region" instead'
    ),
    "failure-domain.beta.kubernetes.io/zone": (
        'deprecated since v1.17; use "topology.kubernetes.io/zone" instead'
    ),
    "beta.kubernetes.io/instance-type": (
        'deprecated since v1.17; use "node.kubernetes.io/instance-type" instead'
    ),
    "app.kubernetes.io/created-by": "deprecated since v1.9",
    "scheduler.alpha.kubernetes.io/preferAvoidPods": (
        "deprecated since v1.22; use Taints and Tolerations instead"
    ),
    "node-role.kubernetes.io/master": 'use "node-role.kubernetes.io/control-plane" instead',
}


def of_expressions(at: str, selector: Obj, *, values: bool = False) -> Iterator[str]:
    """The expressions of a selector of nodes, or of one of its terms; with `values`, what these are, too."""
    for index, expression in enumerate(selector.get("matchExpressions") or ()):
        here, key = f"{at}.matchExpressions[{index}]", expression.get("key") or ""
        if key in DEPRECATED:
            yield f"{here}.key: {key} is {DEPRECATED[key]}"
        for number, value in enumerate(expression.get("values") or () if values else ()):
            for problem in label_value(value):
                yield f"{here}.values[{number}]: {value} is invalid, {problem}"


def of_node_affinity(at: str, affinity: Obj) -> Iterator[str]:
    """A pod's affinity to nodes."""
    required = affinity.get("requiredDuringSchedulingIgnoredDuringExecution") or {}
    terms = f"{at}.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms"
    for index, term in enumerate(required.get("nodeSelectorTerms") or ()):
        yield from of_expressions(f"{terms}[{index}]", term)
    preferred = f"{at}.preferredDuringSchedulingIgnoredDuringExecution"
    for index, term in enumerate(affinity.get("preferredDuringSchedulingIgnoredDuringExecution") or ()):
        yield from of_expressions(
            f"{preferred}[{index}].preference", term.get("preference") or {}, values=True
        )
