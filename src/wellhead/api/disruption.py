"""Disruption budgets: whether one lets a pod be evicted, and what it says of itself.

Source: upstream's registry/core/pod/storage/eviction.go and component-helpers/apps/poddisruptionbudget.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta

from wellhead.api.errors import ApiError, Forbidden, TooManyRequests
from wellhead.api.kinds.poddisruptionbudget import PODDISRUPTIONBUDGETS
from wellhead.api.meta import AnyObj, Obj, is_condition_true, is_deleting, labels
from wellhead.api.selectors import LabelSelector

ALLOWED = "DisruptionAllowed"
SUFFICIENT, INSUFFICIENT, FAILED = "SufficientPods", "InsufficientPods", "SyncFailed"
DELETION_TIMEOUT = timedelta(minutes=2)
"""So long after an eviction was allowed its pod counts as gone, though it isn't marked as deleted."""

_MOST_DISRUPTED = 2000
_SEVERAL = "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support."
_REFUSED = "Cannot evict pod as it would violate the pod's disruption budget."


def selector_of(budget: AnyObj) -> LabelSelector:
    """Without a selector: nothing."""
    return LabelSelector.from_object((budget.get("spec") or {}).get("selector"))


def is_unprotected(pod: AnyObj) -> bool:
    """Whether no budget speaks for the pod: it serves nobody yet, or any more."""
    phase = (pod.get("status") or {}).get("phase")
    return phase in ("Succeeded", "Failed", "Pending") or is_deleting(pod)


@dataclass(frozen=True)
class Leave:
    """That the pod may go: at the cost of `budget` if it is one, only `as_it_is` if it was unhealthy."""

    budget: str = ""
    as_it_is: str = ""
    """The name of the budget that would have protected a healthy pod."""


def leave(pod: AnyObj, budgets: Iterable[AnyObj]) -> Leave:
    """Whether the pod, which isn't unprotected, may be evicted so far as its health says.

    `budgets` are those of its namespace. Raises ApiError (500) if several protect it.
    """
    found = [each for each in budgets if selector_of(each).matches(labels(pod))]
    if not found:
        return Leave()
    if len(found) > 1:
        raise ApiError(_SEVERAL, code=500, reason="")
    budget, status = found[0], found[0].get("status") or {}
    name = str(budget["metadata"]["name"])
    if not is_condition_true(pod, "Ready"):
        healthy, desired = status.get("currentHealthy", 0), status.get("desiredHealthy", 0)
        always = budget["spec"].get("unhealthyPodEvictionPolicy") == "AlwaysAllow"
        if always or healthy >= desired > 0:
            return Leave(as_it_is=name)
    return Leave(budget=name)


def take(budget: Obj, pod: str, now: str) -> None:
    """Take one disruption from the budget, in place, for the pod of this name.

    Raises TooManyRequests if there is none left or the budget isn't counted yet, and Forbidden.
    """
    metadata, status = budget["metadata"], budget.setdefault("status", {})
    name = metadata["name"]
    if status.get("observedGeneration", 0) < metadata.get("generation", 0):
        raise still_processed(name)
    allowed = status.get("disruptionsAllowed", 0)
    if allowed < 0:
        raise Forbidden.of(PODDISRUPTIONBUDGETS, name, "pdb disruptions allowed is negative")
    disrupted = status.get("disruptedPods") or {}
    if len(disrupted) > _MOST_DISRUPTED:
        why = "DisruptedPods map too big - too many evictions not confirmed by PDB controller"
        raise Forbidden.of(PODDISRUPTIONBUDGETS, name, why)
    if allowed == 0:
        raise _refused(0, _why(name, status))
    status["disruptionsAllowed"] = allowed - 1
    status["disruptedPods"] = {**disrupted, pod: now}
    status["conditions"] = with_allowed(status, now)


def still_processed(budget: str) -> TooManyRequests:
    """What is to be said while it isn't known what the budget allows."""
    return _refused(10, f"The disruption budget {budget} is still being processed by the server.")


def _refused(seconds: int, why: str) -> TooManyRequests:
    error = TooManyRequests(_REFUSED, retry_after=seconds)
    details = {"causes": [{"reason": "DisruptionBudget", "message": why}]}
    error.status["details"] = details | ({"retryAfterSeconds": seconds} if seconds else {})
    return error


def _why(name: str, status: Obj) -> str:
    found: Obj = next((each for each in status.get("conditions") or [] if each.get("type") == ALLOWED), {})
    text = found.get("message") if found.get("status") == "False" else ""
    refused = f"The disruption budget {name} does not allow evicting pods currently"
    if text and found.get("reason") == FAILED:
        return f"{refused} because it failed sync: {text}"
    healthy, desired = status.get("currentHealthy", 0), status.get("desiredHealthy", 0)
    if healthy <= desired:
        return f"The disruption budget {name} needs {desired} healthy pods and has {healthy} currently"
    return f"{refused} ({found['reason']}): {text}" if text else refused


def with_allowed(status: Obj, now: str) -> list[Obj]:
    """The conditions of a budget's status, with the one that follows from disruptionsAllowed."""
    allowed = status.get("disruptionsAllowed", 0) > 0
    return (
        with_condition(status, now, "True", SUFFICIENT)
        if allowed
        else (with_condition(status, now, "False", INSUFFICIENT))
    )


def with_condition(status: Obj, now: str, value: str, reason: str, message: str = "") -> list[Obj]:
    """The conditions with this DisruptionAllowed; lastTransitionTime stays while the status does."""
    entry = {
        "type": ALLOWED,
        "status": value,
        "observedGeneration": status.get("observedGeneration", 0),
        "lastTransitionTime": now,
        "reason": reason,
        "message": message,
    }
    kept = list(status.get("conditions") or [])
    for position, each in enumerate(kept):
        if each.get("type") == ALLOWED:
            if each.get("status") == value:
                entry["lastTransitionTime"] = each.get("lastTransitionTime", now)
            kept[position] = entry
            return kept
    return [*kept, entry]
