"""A Deployment's status: counts, and the conditions Available, Progressing and ReplicaFailure.

Source: upstream's pkg/controller/deployment (progress.go, sync.go).
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from wellhead.api.meta import Obj, condition, format_time, parse_time
from wellhead.controllers import conditions
from wellhead.controllers.deployment.rolling import Bounds

_COMPLETE = "NewReplicaSetAvailable"
_TIMED_OUT = "ProgressDeadlineExceeded"


def status_of(
    deployment: Obj,
    new: Obj | None,
    old: Sequence[Obj],
    limits: Bounds,
    now: datetime,
    *,
    created: bool = False,
) -> Obj:
    """The status as it should be. `created` says that `new` was made just now."""
    before = deployment.get("status") or {}
    status = _counts(deployment, new, old, limits)
    entries = list(before.get("conditions") or [])
    entries = conditions.put(entries, _available(status, limits, now))
    if _deadline(deployment) is None:
        entries = conditions.without(entries, "Progressing")
    else:
        entries = _with_pause(deployment, entries, now)
        if not deployment["spec"].get("paused"):
            entries = _with_progress(deployment, before, status, entries, new, now, created=created)
    failure = _failure([*([new] if new else []), *old])
    if failure is not None:
        entries = conditions.put(entries, failure)
    else:
        entries = conditions.without(entries, "ReplicaFailure")
    return status | {"conditions": entries}


def without_replicaset(deployment: Obj, message: str, now: datetime) -> Obj:
    """The status of a Deployment whose new ReplicaSet could not be created."""
    status = deployment.get("status") or {}
    if _deadline(deployment) is None:
        return status
    entry = _condition("Progressing", "False", "ReplicaSetCreateError", message, now)
    return status | {"conditions": conditions.put(status.get("conditions") or [], entry)}


def is_complete(deployment: Obj, status: Obj) -> bool:
    """Whether all replicas are of the new template, available, and no others exist."""
    desired = deployment["spec"].get("replicas", 1)
    counts = (status.get(name, 0) for name in ("updatedReplicas", "replicas", "availableReplicas"))
    return all(count == desired for count in counts) and (
        status.get("observedGeneration", 0) >= deployment["metadata"].get("generation", 0)
    )


def seconds_to_deadline(deployment: Obj, status: Obj, now: datetime) -> float | None:
    """When to look again whether the rollout has timed out; None if it can't."""
    deadline = _deadline(deployment)
    progressing = conditions.find(status.get("conditions") or [], "Progressing")
    if deadline is None or progressing is None or deployment["spec"].get("paused"):
        return None
    if progressing.get("reason") in (_COMPLETE, _TIMED_OUT) or is_complete(deployment, status):
        return None
    # A second more, since times are written in whole seconds.
    return max(0.0, (_updated(progressing) + deadline - now).total_seconds()) + 1


def _counts(deployment: Obj, new: Obj | None, old: Sequence[Obj], limits: Bounds) -> Obj:
    everything = [*([new] if new else []), *old]

    def total(name: str) -> int:
        return sum((each.get("status") or {}).get(name, 0) for each in everything)

    available = total("availableReplicas")
    status: Obj = {
        "observedGeneration": deployment["metadata"].get("generation", 0),
        "replicas": total("replicas"),
        "updatedReplicas": (new.get("status") or {}).get("replicas", 0) if new else 0,
        "readyReplicas": total("readyReplicas"),
        "availableReplicas": available,
        "unavailableReplicas": max(
            0, sum(each["spec"].get("replicas", 1) for each in everything) - available
        ),
        "terminatingReplicas": total("terminatingReplicas"),
    }
    # Upstream leaves zeros out, except terminatingReplicas, where absent means unknown.
    status = {name: count for name, count in status.items() if count or name == "terminatingReplicas"}
    collisions = (deployment.get("status") or {}).get("collisionCount")
    return status | ({"collisionCount": collisions} if collisions is not None else {})


def _available(status: Obj, limits: Bounds, now: datetime) -> Obj:
    if status.get("availableReplicas", 0) >= limits.least_available:
        return _condition(
            "Available", "True", "MinimumReplicasAvailable", "Deployment has minimum availability.", now
        )
    return _condition(
        "Available",
        "False",
        "MinimumReplicasUnavailable",
        "Deployment does not have minimum availability.",
        now,
    )


def _with_pause(deployment: Obj, entries: list[Obj], now: datetime) -> list[Obj]:
    progressing = conditions.find(entries, "Progressing")
    if progressing is not None and progressing.get("reason") == _TIMED_OUT:
        return entries
    paused = progressing is not None and progressing.get("reason") == "DeploymentPaused"
    wanted = bool(deployment["spec"].get("paused"))
    if wanted and not paused:
        entry = _condition("Progressing", "Unknown", "DeploymentPaused", "Deployment is paused", now)
        return conditions.put(entries, entry)
    if paused and not wanted:
        entry = _condition("Progressing", "Unknown", "DeploymentResumed", "Deployment is resumed", now)
        return conditions.put(entries, entry)
    return entries


def _with_progress(
    deployment: Obj,
    before: Obj,
    status: Obj,
    entries: list[Obj],
    new: Obj | None,
    now: datetime,
    *,
    created: bool,
) -> list[Obj]:
    subject = (
        f'ReplicaSet "{new["metadata"]["name"]}"' if new else f'Deployment "{deployment["metadata"]["name"]}"'
    )
    current = conditions.find(entries, "Progressing")
    if created and new is not None:
        message = f'Created new replica set "{new["metadata"]["name"]}"'
        current = _condition("Progressing", "True", "NewReplicaSetCreated", message, now)
        entries = _replace(entries, current)
    elif new is not None and current is None:
        message = f'Found new replica set "{new["metadata"]["name"]}"'
        current = _condition("Progressing", "True", "FoundNewReplicaSet", message, now)
        entries = conditions.put(entries, current)
    settled = current is not None and current.get("reason") == _COMPLETE
    if settled and status.get("replicas", 0) == status.get("updatedReplicas", 0):
        return entries
    if is_complete(deployment, status):
        message = f"{subject} has successfully progressed."
        return conditions.put(entries, _condition("Progressing", "True", _COMPLETE, message, now))
    if _has_progressed(before, status):
        entry = _condition("Progressing", "True", "ReplicaSetUpdated", f"{subject} is progressing.", now)
        return _replace(entries, entry)
    if _has_timed_out(deployment, current, now):
        message = f"{subject} has timed out progressing."
        return conditions.put(entries, _condition("Progressing", "False", _TIMED_OUT, message, now))
    return entries


def _replace(entries: list[Obj], new: Obj) -> list[Obj]:
    """With `new` in place even if only its time is new: progress pushes the deadline back."""
    current = conditions.find(entries, new["type"])
    if current is None:
        return [*entries, new]
    if current.get("status") == new["status"]:
        new = {**new, "lastTransitionTime": current["lastTransitionTime"]}
    return [new if entry is current else entry for entry in entries]


def _has_progressed(before: Obj, after: Obj) -> bool:
    def old_replicas(status: Obj) -> int:
        return int(status.get("replicas", 0) - status.get("updatedReplicas", 0))

    grown = ("updatedReplicas", "readyReplicas", "availableReplicas")
    return old_replicas(after) < old_replicas(before) or any(
        after.get(name, 0) > before.get(name, 0) for name in grown
    )


def _has_timed_out(deployment: Obj, progressing: Obj | None, now: datetime) -> bool:
    deadline = _deadline(deployment)
    if deadline is None or progressing is None or progressing.get("reason") == _COMPLETE:
        return False
    return progressing.get("reason") == _TIMED_OUT or _updated(progressing) + deadline < now


def _deadline(deployment: Obj) -> timedelta | None:
    seconds = deployment["spec"].get("progressDeadlineSeconds")
    # The largest int32 is what clients write who want none.
    return None if seconds is None or seconds == 2**31 - 1 else timedelta(seconds=seconds)


def _updated(progressing: Obj) -> datetime:
    return parse_time(progressing.get("lastUpdateTime") or progressing["lastTransitionTime"])


def _failure(replicasets: Sequence[Obj]) -> Obj | None:
    for each in replicasets:
        entry = condition(each, "ReplicaFailure")
        if entry is not None:
            return {"lastUpdateTime": entry.get("lastTransitionTime"), **entry}
    return None


def _condition(type: str, status: str, reason: str, message: str, now: datetime) -> Obj:
    time = format_time(now)
    return {
        "type": type,
        "status": status,
        "lastUpdateTime": time,
        "lastTransitionTime": time,
        "reason": reason,
        "message": message,
    }
