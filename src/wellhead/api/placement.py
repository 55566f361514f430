"""On which nodes a pod may be by its own words: node selector, required node affinity, tolerations."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TypeVar

from wellhead.api.meta import AnyObj

T = TypeVar("T", bound=AnyObj)


@dataclass(frozen=True)
class NodeCondition:
    """One entry of matchExpressions or matchFields; the only field is metadata.name."""

    key: str
    operator: str
    values: frozenset[str]

    def matches(self, labels: Mapping[str, str]) -> bool:
        value = labels.get(self.key)
        match self.operator:
            case "In":
                return value is not None and value in self.values
            case "NotIn":
                return value is None or value not in self.values
            case "Exists":
                return value is not None
            case "DoesNotExist":
                return value is None
        try:
            number, limit = int(value or ""), int(next(iter(self.values)))
        except (ValueError, StopIteration):
            return False
        return number > limit if self.operator == "Gt" else self.operator == "Lt" and number < limit


@dataclass(frozen=True)
class NodeTerm:
    """A nodeSelectorTerm: all conditions must hold. One without any matches nothing."""

    expressions: tuple[NodeCondition, ...]
    fields: tuple[NodeCondition, ...]

    def matches(self, name: str, labels: Mapping[str, str]) -> bool:
        if not self.expressions and not self.fields:
            return False
        return all(each.matches(labels) for each in self.expressions) and all(
            each.matches({"metadata.name": name}) for each in self.fields
        )


def node_terms(entries: Iterable[AnyObj] | None) -> tuple[NodeTerm, ...]:
    return tuple(
        NodeTerm(_conditions(entry.get("matchExpressions")), _conditions(entry.get("matchFields")))
        for entry in entries or ()
    )


def _conditions(entries: Iterable[AnyObj] | None) -> tuple[NodeCondition, ...]:
    return tuple(
        NodeCondition(each["key"], each["operator"], frozenset(each.get("values") or ()))
        for each in entries or ()
    )


def required_nodes(spec: AnyObj) -> tuple[NodeTerm, ...] | None:
    """The terms of required node affinity, of which one must match; None if there is no condition."""
    affinity = (spec.get("affinity") or {}).get("nodeAffinity") or {}
    required = affinity.get("requiredDuringSchedulingIgnoredDuringExecution")
    return node_terms(required.get("nodeSelectorTerms")) if required else None


def tolerates(toleration: AnyObj, taint: AnyObj) -> bool:
    """Whether one toleration covers one taint (corev1.Toleration.ToleratesTaint)."""
    if toleration.get("effect") and toleration["effect"] != taint["effect"]:
        return False
    if toleration.get("key") and toleration["key"] != taint["key"]:
        return False
    match toleration.get("operator") or "Equal":
        case "Exists":
            return True
        case "Equal":
            return bool(toleration.get("key")) and (toleration.get("value") or "") == (
                taint.get("value") or ""
            )
    return False


def untolerated(taints: Iterable[T], tolerations: Iterable[AnyObj], effects: tuple[str, ...]) -> list[T]:
    """The taints with one of these effects that no toleration covers."""
    tolerations = list(tolerations)
    return [
        taint
        for taint in taints
        if taint["effect"] in effects and not any(tolerates(each, taint) for each in tolerations)
    ]
