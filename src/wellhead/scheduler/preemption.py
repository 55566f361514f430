"""Which pods to push away for one of higher priority that fits nowhere. Pure.

Source: pkg/scheduler/framework/preemption, plugins/defaultpreemption.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from wellhead.api.meta import Obj
from wellhead.api.selectors import LabelSelector
from wellhead.scheduler.cluster import Cluster, NodeInfo
from wellhead.scheduler.filters import UNRESOLVABLE, could_fit
from wellhead.scheduler.pod import PodInfo

_LOWEST = 2**31
"""Added to priorities, so that a sum of negative ones isn't taken for less."""

Fits = Callable[[NodeInfo, Cluster], bool]
"""Whether the pod that wants a place could go to the node, in a cluster where it looks so."""


@dataclass(frozen=True)
class Victims:
    """The pods to push away from a node, those that are missed most first."""

    node: str
    pods: tuple[PodInfo, ...]
    violations: int
    """How many of them a disruption budget speaks for."""


@dataclass(frozen=True)
class Hopeless:
    """Why nobody is pushed away."""

    message: str
    waits: bool = False
    """Whether that is because others that were pushed away for the pod are still on their way out."""


def preempt(
    pod: PodInfo,
    cluster: Cluster,
    refused: Mapping[str, Iterable[str]],
    budgets: Sequence[Obj],
    fits: Fits,
) -> Victims | Hopeless:
    """`refused` says why the pod can't go to each node, `budgets` are all PodDisruptionBudgets."""
    if pod.obj["spec"].get("preemptionPolicy") == "Never":
        return Hopeless("preemption: not eligible due to preemptionPolicy=Never.")
    if _waits(pod, cluster, refused):
        text = "preemption: not eligible due to a terminating pod on the nominated node."
        return Hopeless(text, waits=True)
    found: list[Victims] = []
    reasons: Counter[str] = Counter()
    for node in cluster.nodes():
        if not UNRESOLVABLE.isdisjoint(refused.get(node.name, ())) or not could_fit(pod, node):
            reasons["Preemption is not helpful for scheduling"] += 1
            continue
        victims = _victims(pod, node, cluster, budgets, fits)
        if victims is None:
            reasons["No preemption victims found for incoming pod"] += 1
        else:
            found.append(victims)
    if found:
        return min(found, key=_cost)
    parts = ", ".join(sorted(f"{number} {reason}" for reason, number in reasons.items()))
    return Hopeless(f"preemption: 0/{sum(reasons.values())} nodes are available: {parts}.")


def _waits(pod: PodInfo, cluster: Cluster, refused: Mapping[str, Iterable[str]]) -> bool:
    """Whether those that were pushed away for it are on their way out still."""
    name = pod.nominated_node or cluster.nominated(pod.uid)
    node = cluster.node(name) if name else None
    if node is None or not UNRESOLVABLE.isdisjoint(refused.get(name, ())):
        return False
    return any(each.leaving and each.priority < pod.priority for each in node.pods.values())


def _victims(
    pod: PodInfo, node: NodeInfo, cluster: Cluster, budgets: Sequence[Obj], fits: Fits
) -> Victims | None:
    """The fewest and least that must go from the node; None if it doesn't help that all go."""
    lower = [each for each in node.pods.values() if each.priority < pod.priority]
    if not lower:
        return None
    kept = {each.uid: each for each in node.pods.values() if each.priority >= pod.priority}
    if not _fits(node, kept, cluster, fits):
        return None
    lower.sort(key=_importance)
    violating, others = _by_budgets(lower, budgets)
    victims, violations = [], 0
    for candidates in (violating, others):
        for each in candidates:
            if _fits(node, {**kept, each.uid: each}, cluster, fits):
                kept[each.uid] = each
            else:
                victims.append(each)
                violations += candidates is violating
    if not victims:
        return None
    return Victims(node.name, tuple(sorted(victims, key=_importance)), violations)


def _fits(node: NodeInfo, pods: Mapping[str, PodInfo], cluster: Cluster, fits: Fits) -> bool:
    changed = node.with_pods(pods.values())
    return fits(changed, cluster.with_node(changed))


def _importance(pod: PodInfo) -> tuple[int, str]:
    """The first in this order is missed most: high priority, then a long time of running."""
    return -pod.priority, pod.started_at


def _by_budgets(pods: Iterable[PodInfo], budgets: Sequence[Obj]) -> tuple[list[PodInfo], list[PodInfo]]:
    """(pods of which a budget allows no more disruptions, the others)"""
    left = [(budget.get("status") or {}).get("disruptionsAllowed", 0) for budget in budgets]
    selectors = [LabelSelector.from_object(budget["spec"].get("selector")) for budget in budgets]
    violating: list[PodInfo] = []
    others: list[PodInfo] = []
    for pod in pods:
        violates = False
        for number, (budget, selector) in enumerate(zip(budgets, selectors, strict=True)):
            if budget["metadata"]["namespace"] != pod.namespace or selector.is_everything:
                continue
            disrupted = (budget.get("status") or {}).get("disruptedPods") or {}
            if not selector.matches(pod.labels) or pod.obj["metadata"]["name"] in disrupted:
                continue
            left[number] -= 1
            violates = violates or left[number] < 0
        (violating if violates else others).append(pod)
    return violating, others


def _cost(victims: Victims) -> tuple[object, ...]:
    """The least is best: upstream's order in which nodes are compared."""
    highest = victims.pods[0].priority
    starts = [each.started_at for each in victims.pods if each.priority == highest]
    return (
        victims.violations,
        highest,
        sum(each.priority + _LOWEST for each in victims.pods),
        len(victims.pods),
        _Reversed(min(starts)),
    )


class _Reversed:
    """Sorts the other way round: the node whose oldest such victim is youngest comes first."""

    def __init__(self, text: str) -> None:
        self.text = text

    def __lt__(self, other: _Reversed) -> bool:
        return self.text > other.text

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Reversed) and self.text == other.text

    def __hash__(self) -> int:
        return hash(self.text)
