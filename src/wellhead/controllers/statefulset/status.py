"""A StatefulSet's status: counts of pods, and between which revisions it is.

Source: upstream's pkg/controller/statefulset (updateStatus, completeRollingUpdate).
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from wellhead.api.meta import Obj, is_deleting
from wellhead.api.types.pod import Pod
from wellhead.controllers.pods import is_ready, phase, seconds_to_available
from wellhead.controllers.statefulset.identity import replicas_of, revision_of

_ALWAYS_WRITTEN = ("replicas", "availableReplicas", "observedGeneration", "collisionCount")


def status_of(statefulset: Obj, current: str, update: str, pods: Sequence[Pod], now: datetime) -> Obj:
    """The status as it should be; `current` and `update` are names of revisions."""
    ready = [pod for pod in pods if phase(pod) == "Running" and is_ready(pod)]
    min_ready = statefulset["spec"].get("minReadySeconds", 0)
    staying = [pod for pod in pods if not is_deleting(pod)]
    before = statefulset.get("status") or {}
    status: Obj = {
        "observedGeneration": statefulset["metadata"].get("generation", 0),
        "replicas": len(pods),
        "readyReplicas": len(ready),
        "availableReplicas": sum(seconds_to_available(pod, min_ready, now) == 0 for pod in ready),
        "currentReplicas": sum(revision_of(pod) == current for pod in staying),
        "updatedReplicas": sum(revision_of(pod) == update for pod in staying),
        "currentRevision": current,
        "updateRevision": update,
        "collisionCount": before.get("collisionCount", 0),
    }
    wanted = replicas_of(statefulset)
    if (statefulset["spec"].get("updateStrategy") or {}).get("type") == "RollingUpdate" and all(
        status[name] == wanted for name in ("updatedReplicas", "readyReplicas", "replicas")
    ):
        status |= {"currentReplicas": wanted, "currentRevision": update}
    status = {name: value for name, value in status.items() if value or name in _ALWAYS_WRITTEN}
    return status | ({"conditions": before["conditions"]} if before.get("conditions") else {})
