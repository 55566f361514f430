"""The status of a ReplicaSet or ReplicationController: counts, and the condition ReplicaFailure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from wellhead.api.meta import Obj, format_time, is_deleting, labels
from wellhead.api.types.pod import Pod
from wellhead.controllers import conditions
from wellhead.controllers.pods import is_active, is_ready, is_terminal, seconds_to_available


def status_of(replicaset: Obj, pods: Sequence[Pod], now: datetime, failure: tuple[str, str] | None) -> Obj:
    """The status as it should be. `failure` is (reason, message) of creating or deleting pods."""
    spec = replicaset["spec"]
    template_labels = ((spec["template"].get("metadata") or {}).get("labels") or {}).items()
    active = [pod for pod in pods if is_active(pod)]
    min_ready = spec.get("minReadySeconds", 0)
    status: Obj = {
        "replicas": len(active),
        "fullyLabeledReplicas": sum(template_labels <= labels(pod).items() for pod in active),
        "readyReplicas": sum(map(is_ready, active)),
        "availableReplicas": sum(seconds_to_available(pod, min_ready, now) == 0 for pod in active),
        "observedGeneration": replicaset["metadata"].get("generation", 0),
    }
    if replicaset["kind"] == "ReplicaSet":
        status["terminatingReplicas"] = sum(is_deleting(pod) and not is_terminal(pod) for pod in pods)
    # Upstream leaves zeros out, except these two.
    kept = ("replicas", "terminatingReplicas")
    status = {name: count for name, count in status.items() if count or name in kept}
    entries = (replicaset.get("status") or {}).get("conditions") or []
    if failure is None:
        entries = conditions.without(entries, "ReplicaFailure")
    else:
        reason, message = failure
        time = format_time(now)
        entry = {"type": "ReplicaFailure", "status": "True", "lastTransitionTime": time}
        entries = conditions.put(entries, {**entry, "reason": reason, "message": message})
    return status | ({"conditions": entries} if entries else {})
