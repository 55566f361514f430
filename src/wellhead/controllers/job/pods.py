"""What a Job asks of its pods: are they counted, have they failed, when did they end, what is their index."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from wellhead.api.meta import Obj, condition, is_deleting, parse_time
from wellhead.api.meta import annotations as annotations_of
from wellhead.api.types.pod import Pod
from wellhead.controllers.pods import is_ready, phase, ready_since

FINALIZER = "batch.kubernetes.io/job-tracking"
INDEX = "batch.kubernetes.io/job-completion-index"
FAILURES = "batch.kubernetes.io/job-index-failure-count"
IGNORED_FAILURES = "batch.kubernetes.io/job-index-ignored-failure-count"
_MAX_INT32 = 2**31 - 1
_PHASE_ORDER = {"Pending": 0, "Unknown": 1, "Running": 2}


def uid(pod: Pod) -> str:
    return str(pod["metadata"].get("uid") or "")


def is_tracked(pod: Pod) -> bool:
    """Whether it carries the finalizer that says it isn't counted."""
    return FINALIZER in (pod["metadata"].get("finalizers") or ())


def is_terminating(pod: Pod) -> bool:
    """Whether it is on its way out, and hasn't ended."""
    return is_deleting(pod) and phase(pod) not in ("Succeeded", "Failed")


def completion_index(pod: Pod) -> int | None:
    """The pod's index, if it has one."""
    text = annotations_of(pod).get(INDEX, "")
    return int(text) if text.isascii() and text.isdigit() else None


def replaces_only_failed(job: Obj) -> bool:
    """Whether a pod on its way out counts until it has ended (podReplacementPolicy Failed)."""
    spec = job["spec"]
    return spec.get("podReplacementPolicy") == "Failed" or "podFailurePolicy" in spec


def has_failed(pod: Pod, job: Obj) -> bool:
    """A deleted pod has failed, too, unless the Job waits for how it ends: it may never get to say so."""
    if phase(pod) == "Failed":
        return True
    return not replaces_only_failed(job) and is_deleting(pod) and phase(pod) != "Succeeded"


def failures(pod: Pod, *, ignored: bool = False) -> int:
    """Failures of the pod's index before it, as its annotation says; `ignored` counts those too."""
    names = (FAILURES, IGNORED_FAILURES) if ignored else (FAILURES,)
    return sum(_count(annotations_of(pod).get(name, "")) for name in names)


def ignored_failures(pod: Pod) -> int:
    return _count(annotations_of(pod).get(IGNORED_FAILURES, ""))


def _count(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() and int(text) <= _MAX_INT32 else 0


def end_of(pod: Pod) -> datetime:
    """When its containers ended; else since when it isn't ready; else when it was deleted, or created."""
    if (time := _end_of_containers(pod)) is not None:
        return time
    entry = condition(pod, "Ready")
    if entry is not None and entry.get("status") == "False" and entry.get("lastTransitionTime"):
        return parse_time(entry["lastTransitionTime"])
    metadata = pod["metadata"]
    if deletion := metadata.get("deletionTimestamp"):
        grace = metadata.get("deletionGracePeriodSeconds") or 0
        return parse_time(deletion) - timedelta(seconds=grace)
    return parse_time(metadata["creationTimestamp"])


def _end_of_containers(pod: Pod) -> datetime | None:
    spec: Mapping[str, Any] = pod["spec"]
    status: Mapping[str, Any] = pod.get("status") or {}
    sidecars = {
        each["name"] for each in spec.get("initContainers") or () if each.get("restartPolicy") == "Always"
    }
    statuses: list[Obj] = [
        *(status.get("containerStatuses") or ()),
        *(each for each in status.get("initContainerStatuses") or () if each.get("name") in sidecars),
    ]
    ended = [(each.get("state") or {}).get("terminated") or {} for each in statuses]
    times = [str(each.get("finishedAt") or "") for each in ended]
    if not times or not all(times):
        return None
    return max(map(parse_time, times))


def restarts(pod: Pod) -> int:
    """Of all its containers."""
    status: Mapping[str, Any] = pod.get("status") or {}
    fields = ("initContainerStatuses", "containerStatuses")
    return sum(each.get("restartCount", 0) for field in fields for each in status.get(field) or ())


def least_missed(pods: Iterable[Pod]) -> list[Pod]:
    """The pods in the order in which they go: least far got first (ActivePods of pkg/controller)."""
    return sorted(pods, key=_advance)


def _advance(pod: Pod) -> tuple[object, ...]:
    status: Mapping[str, Any] = pod.get("status") or {}
    since = ready_since(pod)
    most = max((each.get("restartCount", 0) for each in status.get("containerStatuses") or ()), default=0)
    return (
        bool(pod["spec"].get("nodeName")),
        _PHASE_ORDER.get(phase(pod), 0),
        is_ready(pod),
        -since.timestamp() if since else float("-inf"),
        -most,
        -parse_time(pod["metadata"]["creationTimestamp"]).timestamp(),
        uid(pod),
    )


def repeated(pods: Sequence[Pod], completions: int) -> tuple[list[Pod], list[Pod]]:
    """(pods without a valid index or with one that a better pod has, the others)."""
    by_index: dict[int, list[Pod]] = {}
    surplus: list[Pod] = []
    for pod in pods:
        index = completion_index(pod)
        if index is None or index >= completions:
            surplus.append(pod)
        else:
            by_index.setdefault(index, []).append(pod)
    kept = []
    for _, same in sorted(by_index.items()):
        *worse, best = least_missed(same)
        surplus += worse
        kept.append(best)
    return surplus, kept
