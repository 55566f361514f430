"""How many replicas a metric asks for. All values are in thousandths.

Source: pkg/controller/podautoscaler/replica_calculator.go.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from wellhead.api.meta import condition, is_deleting, parse_time
from wellhead.api.quantity import Quantity
from wellhead.api.types.pod import Pod
from wellhead.controllers.pods import is_ready, phase

_INITIALIZATION = timedelta(minutes=5)
_READINESS_DELAY = timedelta(seconds=30)
_MOST = 2**31 - 1


class Incalculable(Exception):
    """Why a metric says nothing."""


@dataclass(frozen=True)
class Tolerance:
    """A ratio of use to target this near to 1 changes nothing."""

    down: float = 0.1
    up: float = 0.1

    def allows(self, ratio: float) -> bool:
        return 1.0 - self.down <= ratio <= 1.0 + self.up


@dataclass(frozen=True)
class PodMetric:
    """What a pod uses, when that was measured, and over how long."""

    value: int
    timestamp: datetime
    window: timedelta


@dataclass(frozen=True)
class Proposal:
    """Replicas; and what is used on average: raw, and as a percentage of what is requested."""

    replicas: int
    average: int
    utilization: int | None = None


@dataclass(frozen=True)
class _Groups:
    ready: int
    values: dict[str, int]
    unready: frozenset[str]
    missing: frozenset[str]


def by_utilization(
    pods: Sequence[Pod],
    metrics: Mapping[str, PodMetric],
    target: int,
    resource: str,
    container: str,
    current: int,
    tolerance: Tolerance,
    now: datetime,
) -> Proposal:
    """A percentage of what the pods request. Raises Incalculable."""
    groups = _grouped(pods, metrics, resource, now)
    requests = {pod["metadata"]["name"]: _request(pod, container, resource) for pod in pods}
    ratio, utilization, average = _utilization(groups.values, requests, target)

    def again(values: Mapping[str, int]) -> float:
        return _utilization(values, requests, target)[0]

    def fallback(name: str) -> int:
        return requests[name] * max(100, target) // 100

    return Proposal(_replicas(groups, ratio, fallback, again, current, tolerance), average, utilization)


def by_average(
    pods: Sequence[Pod],
    metrics: Mapping[str, PodMetric],
    target: int,
    resource: str,
    current: int,
    tolerance: Tolerance,
    now: datetime,
) -> Proposal:
    """An amount for each pod. Raises Incalculable."""
    groups = _grouped(pods, metrics, resource, now)

    def ratio_of(values: Mapping[str, int]) -> float:
        return (sum(values.values()) // len(values)) / target

    average = sum(groups.values.values()) // len(groups.values)
    ratio = ratio_of(groups.values)
    return Proposal(_replicas(groups, ratio, lambda _: target, ratio_of, current, tolerance), average)


def by_value(pods: Sequence[Pod], used: int, target: int, current: int, tolerance: Tolerance) -> Proposal:
    """An amount for all together. Raises Incalculable."""
    ratio = used / target
    if current == 0:
        return Proposal(min(_MOST, math.ceil(ratio)), used)
    if tolerance.allows(ratio):
        return Proposal(current, used)
    if not pods:
        text = "no pods returned by selector while calculating replica count"
        raise Incalculable(f"unable to calculate ready pods: {text}")
    ready = sum(phase(pod) == "Running" and is_ready(pod) for pod in pods)
    return Proposal(min(_MOST, math.ceil(ratio * ready)), used)


def by_share(used: int, target: int, replicas: int, tolerance: Tolerance) -> Proposal:
    """An amount that is divided by the number of replicas there are."""
    wanted = replicas
    ratio = used / (target * replicas) if replicas else math.inf
    if not tolerance.allows(ratio):
        wanted = min(_MOST, math.ceil(used / target))
    return Proposal(wanted, math.ceil(used / replicas) if replicas else used)


def _grouped(pods: Sequence[Pod], metrics: Mapping[str, PodMetric], resource: str, now: datetime) -> _Groups:
    if not pods:
        raise Incalculable("no pods returned by selector while calculating replica count")
    ready, unready, missing, ignored = 0, set(), set(), set()
    for pod in pods:
        name = pod["metadata"]["name"]
        if is_deleting(pod) or phase(pod) == "Failed":
            ignored.add(name)
        elif phase(pod) == "Pending":
            unready.add(name)
        elif name not in metrics:
            missing.add(name)
        elif resource == "cpu" and not _tells(pod, metrics[name], now):
            unready.add(name)
        else:
            ready += 1
    values = {
        name: metric.value for name, metric in metrics.items() if name not in ignored and name not in unready
    }
    if not values:
        raise Incalculable("did not receive metrics for targeted pods (pods might be unready)")
    return _Groups(ready, values, frozenset(unready), frozenset(missing))


def _tells(pod: Pod, metric: PodMetric, now: datetime) -> bool:
    """Whether the CPU that the pod uses is what its work needs: beginning needs more."""
    entry, status = condition(pod, "Ready"), pod.get("status") or {}
    if entry is None or not status.get("startTime"):
        return False
    start, changed = parse_time(status["startTime"]), parse_time(entry["lastTransitionTime"])
    is_unready = entry.get("status") == "False"
    if start + _INITIALIZATION > now:
        return not is_unready and metric.timestamp >= changed + metric.window
    return not (is_unready and start + _READINESS_DELAY > changed)


def _request(pod: Pod, container: str, resource: str) -> int:
    name, spec = pod["metadata"]["name"], pod["spec"]
    whole: Mapping[str, Any] = (spec.get("resources") or {}).get("requests") or {}
    if whole and not container:
        if resource not in whole:
            raise Incalculable(f"missing pod-level request for {resource} in Pod {name}")
        return Quantity.parse(whole[resource]).milli_value
    sidecars = (each for each in spec.get("initContainers") or () if each.get("restartPolicy") == "Always")
    total, found = 0, False
    for each in (*(spec.get("containers") or ()), *sidecars):
        if container not in ("", each["name"]):
            continue
        requests: Mapping[str, Any] = (each.get("resources") or {}).get("requests") or {}
        if resource not in requests:
            raise Incalculable(f"missing request for {resource} in container {each['name']} of Pod {name}")
        total, found = total + Quantity.parse(requests[resource]).milli_value, True
    if container and not found:
        raise Incalculable(f"container {container} not found in Pod {name}")
    return total


def _utilization(
    values: Mapping[str, int], requests: Mapping[str, int], target: int
) -> tuple[float, int, int]:
    known = {name: value for name, value in values.items() if name in requests}
    requested = sum(requests[name] for name in known)
    if requested == 0:
        raise Incalculable("no metrics returned matched known pods")
    used = sum(known.values())
    utilization = used * 100 // requested
    return utilization / target, utilization, used // len(known)


def _replicas(
    groups: _Groups, ratio: float, fallback: Any, again: Any, current: int, tolerance: Tolerance
) -> int:
    rising_unready = bool(groups.unready) and ratio > 1.0
    if not rising_unready and not groups.missing:
        return current if tolerance.allows(ratio) else math.ceil(ratio * groups.ready)
    # Of pods that say nothing, what speaks against the change is assumed.
    values = dict(groups.values)
    if ratio < 1.0:
        values |= {name: fallback(name) for name in groups.missing}
    elif ratio > 1.0:
        values |= dict.fromkeys(groups.missing, 0)
    if rising_unready:
        values |= dict.fromkeys(groups.unready, 0)
    cautious = again(values)
    if tolerance.allows(cautious) or (ratio < 1.0 < cautious) or (cautious < 1.0 < ratio):
        return current
    replicas: int = math.ceil(cautious * len(values))
    if (cautious < 1.0 and replicas > current) or (cautious > 1.0 and replicas < current):
        return current
    return replicas


def matching(pods: Iterable[Pod], selector: Any) -> list[Pod]:
    """The pods that a selector selects."""
    return [pod for pod in pods if selector.matches(pod["metadata"].get("labels") or {})]
