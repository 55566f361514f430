"""What a disruption budget's status says: how many pods are healthy, and how many may be disrupted.

Source: upstream's pkg/controller/disruption.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from wellhead.api.disruption import DELETION_TIMEOUT, FAILED, with_allowed, with_condition
from wellhead.api.meta import Obj, format_time, is_deleting, parse_time
from wellhead.api.types.pod import Pod
from wellhead.controllers.pods import is_ready
from wellhead.controllers.shares import resolve


@dataclass(frozen=True)
class Expected:
    """How many pods there are to be, and how many of them healthy."""

    pods: int
    healthy: int


def needs_scale(budget: Obj) -> bool:
    """Whether what the budget says is a share of all the pods that there are to be."""
    spec = budget["spec"]
    return "maxUnavailable" in spec or isinstance(spec.get("minAvailable"), str)


def expected(budget: Obj, there: int, scale: int) -> Expected:
    """`there` counts the pods that exist, `scale` those that their controllers ask for. Shares round up."""
    spec = budget["spec"]
    if "maxUnavailable" in spec:
        return Expected(scale, max(0, scale - resolve(spec["maxUnavailable"], scale, up=True)))
    least = spec.get("minAvailable")
    if isinstance(least, str):
        return Expected(scale, resolve(least, scale, up=True))
    return Expected(0, 0) if least is None else Expected(there, least)


@dataclass(frozen=True)
class Disrupted:
    """The pods whose eviction was allowed and that aren't marked as deleted yet, since when."""

    pods: dict[str, str]
    overdue: tuple[Pod, ...]
    """Those that were expected to go, and didn't."""
    seconds: float | None
    """Until the next of them is overdue."""


def disrupted(budget: Obj, pods: Sequence[Pod], now: datetime) -> Disrupted:
    """What is left of the budget's disruptedPods."""
    before = (budget.get("status") or {}).get("disruptedPods") or {}
    kept, overdue, waits = dict[str, str](), list[Pod](), list[float]()
    for pod in pods:
        since = before.get(pod["metadata"]["name"])
        if since is None or is_deleting(pod):
            continue
        left = (parse_time(since) + DELETION_TIMEOUT - now).total_seconds()
        if left < 0:
            overdue.append(pod)
        else:
            kept[pod["metadata"]["name"]] = since
            waits.append(left)
    return Disrupted(kept, tuple(overdue), min(waits, default=None))


def status_of(budget: Obj, pods: Sequence[Pod], wanted: Expected, going: Disrupted, now: datetime) -> Obj:
    """The status as it should be."""
    healthy = sum(
        is_ready(pod) and not is_deleting(pod) and pod["metadata"]["name"] not in going.pods for pod in pods
    )
    allowed = max(0, healthy - wanted.healthy) if wanted.pods > 0 else 0
    status: Obj = {
        "currentHealthy": healthy,
        "desiredHealthy": wanted.healthy,
        "expectedPods": wanted.pods,
        "disruptionsAllowed": allowed,
        "observedGeneration": budget["metadata"].get("generation", 0),
    }
    if going.pods:
        status["disruptedPods"] = going.pods
    before = (budget.get("status") or {}).get("conditions")
    status["conditions"] = with_allowed({**status, "conditions": before}, format_time(now))
    return status


def failed(budget: Obj, why: str, now: datetime) -> Obj:
    """The status when counting failed: nothing may be disrupted."""
    status = {**(budget.get("status") or {}), "disruptionsAllowed": 0}
    status["conditions"] = with_condition(status, format_time(now), "False", FAILED, why)
    return status
