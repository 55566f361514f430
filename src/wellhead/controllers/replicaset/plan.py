"""How many pods a ReplicaSet or ReplicationController lacks, or which of its pods go first.

Source: upstream's pkg/controller/replicaset and the ActivePodsWithRanks order of pkg/controller.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from wellhead.api.meta import Obj, parse_time
from wellhead.api.meta import annotations as annotations_of
from wellhead.api.names import DELETION_COST_ANNOTATION
from wellhead.api.types.pod import Pod
from wellhead.controllers.pods import is_ready, phase, ready_changed

BURST = 500
"""The most pods that are created or deleted in one go."""

_PHASE_ORDER = {"Pending": 0, "Unknown": 1, "Running": 2}


def missing(replicaset: Obj, active: Sequence[Pod]) -> int:
    """Pods to create now; negative: pods to delete now."""
    return max(-BURST, min(BURST, int(replicaset["spec"].get("replicas", 1)) - len(active)))


def first_to_go(active: Iterable[Pod], count: int, crowd: Mapping[str, int], now: datetime) -> list[Pod]:
    """The `count` pods that are missed least.

    `crowd` counts, per node, the related pods (of all ReplicaSets of the same Deployment): pods of
    crowded nodes go earlier.
    """
    return sorted(active, key=lambda pod: _worth(pod, crowd, now))[:count]


def _worth(pod: Pod, crowd: Mapping[str, int], now: datetime) -> tuple[object, ...]:
    node = pod["spec"].get("nodeName") or ""
    ready = is_ready(pod)
    return (
        bool(node),
        _PHASE_ORDER.get(phase(pod), 0),
        ready,
        _deletion_cost(pod),
        -crowd.get(node, 0),
        # Ages count by order of magnitude, so that it isn't always the pods of one moment that go (KEP-2185).
        _magnitude(ready_changed(pod), now) if ready else 0,
        *_restarts(pod),
        _magnitude(pod["metadata"].get("creationTimestamp"), now),
        pod["metadata"].get("uid", ""),
    )


def _deletion_cost(pod: Pod) -> int:
    try:
        return int(annotations_of(pod).get(DELETION_COST_ANNOTATION, "0"))
    except ValueError:
        return 0


def _magnitude(time: str | None, now: datetime) -> int:
    if not time:
        return 0
    return int(math.log2(max(1.0, (now - parse_time(time)).total_seconds())))


def _restarts(pod: Pod) -> tuple[int, int]:
    """The most of a container, and of a sidecar; both negative, as pods that restart often go first."""
    status: Any = pod.get("status") or {}
    spec: Any = pod["spec"]
    sidecars = {
        each["name"] for each in spec.get("initContainers") or [] if each.get("restartPolicy") == "Always"
    }
    main, started = status.get("containerStatuses") or [], status.get("initContainerStatuses") or []
    return (
        -max((each.get("restartCount", 0) for each in main), default=0),
        -max((each.get("restartCount", 0) for each in started if each["name"] in sidecars), default=0),
    )
