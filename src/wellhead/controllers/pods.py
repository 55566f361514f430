"""What several controllers ask of a Pod."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from wellhead.api.meta import AnyObj, condition, is_condition_true, is_deleting, parse_time
from wellhead.api.types.pod import Pod


def phase(pod: Pod) -> str:
    return str((pod.get("status") or {}).get("phase") or "Pending")


def is_terminal(pod: Pod) -> bool:
    """Whether all its containers have ended for good."""
    return phase(pod) in ("Succeeded", "Failed")


def is_active(pod: Pod) -> bool:
    """Whether it counts as a replica: neither ended nor on its way out."""
    return not is_terminal(pod) and not is_deleting(pod)


def is_ready(pod: Pod) -> bool:
    return is_condition_true(pod, "Ready")


def ready_changed(pod: Pod) -> str | None:
    """When it became ready, or ceased to be; None if it doesn't say."""
    return (condition(pod, "Ready") or {}).get("lastTransitionTime")


def ready_since(pod: Pod) -> datetime | None:
    """When it became ready; None while it isn't, or doesn't say."""
    entry = condition(pod, "Ready")
    if entry is None or entry.get("status") != "True" or not entry.get("lastTransitionTime"):
        return None
    return parse_time(entry["lastTransitionTime"])


def seconds_to_available(pod: Pod, min_ready_seconds: int, now: datetime) -> float | None:
    """0 if the pod is available: ready for at least so long. None if it isn't ready."""
    if not is_ready(pod):
        return None
    if min_ready_seconds == 0:
        return 0.0
    since = ready_since(pod)
    if since is None:
        return None
    return max(0.0, (since + timedelta(seconds=min_ready_seconds) - now).total_seconds())


def seconds_to_next_available(owner: AnyObj, pods: Iterable[Pod], now: datetime) -> float | None:
    """When the next ready pod of a workload becomes available by mere waiting; None if none does."""
    min_ready = owner["spec"].get("minReadySeconds", 0)
    waits = (seconds_to_available(pod, min_ready, now) for pod in pods)
    return min((wait for wait in waits if wait), default=None)
