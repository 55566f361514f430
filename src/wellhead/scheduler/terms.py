"""Conditions on other pods, as affinity and spread constraints hold them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from wellhead.api.meta import Obj
from wellhead.api.names import HOSTNAME_LABEL
from wellhead.api.selectors import LabelSelector

Namespaces = Mapping[str, Mapping[str, str]]
"""Name -> labels."""


@dataclass(frozen=True)
class PodTerm:
    """A podAffinityTerm: pods of some namespaces, by label, within the same value of a node label."""

    topology_key: str
    namespaces: frozenset[str] | None
    """None stands for all namespaces."""
    selector: LabelSelector
    namespace_selector: LabelSelector | None = None
    """Adds the namespaces that have such labels."""

    def matches(self, namespace: str, labels: Mapping[str, str], namespaces: Namespaces) -> bool:
        """Whether a pod is one of those; `namespaces` has the labels of each namespace."""
        return self._covers(namespace, namespaces) and self.selector.matches(labels)

    def _covers(self, namespace: str, namespaces: Namespaces) -> bool:
        if self.namespaces is None or namespace in self.namespaces:
            return True
        by_label = self.namespace_selector
        return by_label is not None and by_label.matches(namespaces.get(namespace) or {})


def pod_terms(entries: Iterable[Obj], namespace: str, labels: Mapping[str, str]) -> tuple[PodTerm, ...]:
    """The terms of a pod in `namespace` with `labels`."""
    terms = []
    for entry in entries:
        namespaces: frozenset[str] | None = frozenset(entry.get("namespaces") or ())
        by_label = entry.get("namespaceSelector")
        if by_label == {}:
            namespaces = None
        elif not namespaces and by_label is None:
            namespaces = frozenset({namespace})
        selector = _with_label_keys(entry, labels)
        others = LabelSelector.from_object(by_label) if by_label else None
        terms.append(PodTerm(entry["topologyKey"], namespaces, selector, others))
    return tuple(terms)


@dataclass(frozen=True)
class SpreadConstraint:
    """One of spec.topologySpreadConstraints (KEP-895, KEP-3022, KEP-3094)."""

    topology_key: str
    max_skew: int
    required: bool
    namespace: str
    selector: LabelSelector
    min_domains: int
    honor_affinity: bool
    honor_taints: bool

    @staticmethod
    def of(entry: Obj, namespace: str, labels: Mapping[str, str]) -> SpreadConstraint:
        return SpreadConstraint(
            entry["topologyKey"],
            entry["maxSkew"],
            entry.get("whenUnsatisfiable", "DoNotSchedule") == "DoNotSchedule",
            namespace,
            _with_label_keys(entry, labels),
            entry.get("minDomains") or 1,
            entry.get("nodeAffinityPolicy", "Honor") == "Honor",
            entry.get("nodeTaintsPolicy", "Ignore") == "Honor",
        )

    def counts(self, namespace: str, labels: Mapping[str, str]) -> bool:
        """Whether a pod is one of those that are to be spread."""
        return namespace == self.namespace and self.selector.matches(labels)


def domain(node_name: str, labels: Mapping[str, str], topology_key: str) -> str | None:
    """Where a node is: its value of the label; its own name if it lacks the label for its host name."""
    return labels.get(topology_key, node_name if topology_key == HOSTNAME_LABEL else None)


def _with_label_keys(entry: Obj, labels: Mapping[str, str]) -> LabelSelector:
    """The entry's labelSelector, narrowed by matchLabelKeys and mismatchLabelKeys to the pod's own values."""
    selector = entry.get("labelSelector")
    if selector is None:
        return LabelSelector.from_object(None)
    expressions = list(selector.get("matchExpressions") or [])
    for field, operator in (("matchLabelKeys", "In"), ("mismatchLabelKeys", "NotIn")):
        expressions += [
            {"key": name, "operator": operator, "values": [labels[name]]}
            for name in entry.get(field) or []
            if name in labels
        ]
    return LabelSelector.from_object({**selector, "matchExpressions": expressions})
