"""Other resources for a running pod: which containers must restart for them, whose turn it is, what is said.

Source: KEP-1287; pkg/kubelet/allocation and pkg/kubelet/events/resize.go of v1.36. Pure.
"""

from __future__ import annotations

import msgspec

from wellhead.api.meta import Obj
from wellhead.api.quantity import Quantity
from wellhead.node.pods import room, spec
from wellhead.node.pods.record import PodRecord, Resize

_RESIZED = ("cpu", "memory")


def changed(old: Obj | None, new: Obj | None) -> set[str]:
    """Which of cpu and memory are others."""
    return {
        name
        for name in _RESIZED
        for kind in ("requests", "limits")
        if _amount(old, kind, name) != _amount(new, kind, name)
    }


def must_restart(container: Obj, names: set[str]) -> bool:
    """Whether a container wants to be started anew for other amounts of these."""
    return any(
        each.get("resourceName") in names and each.get("restartPolicy") == "RestartContainer"
        for each in container.get("resizePolicy") or ()
    )


def beyond(pod: Obj, allocatable: room.Amounts) -> str:
    """Why the node could not even give it if nobody else was there; "" if it could."""
    lacking = [each for each in room.shortages(pod, (), allocatable) if each.resource in _RESIZED]
    return "; ".join(
        f"Node didn't have enough capacity: {each.resource}, requested: {each.requested}, "
        f"capacity: {each.capacity}"
        for each in lacking[:1]
    )


def asks(record: PodRecord) -> bool:
    """Whether the pod asks for other resources than it was granted."""
    return any(
        changed(record.allocated.get(name), wanted)
        for name, wanted in room.asked(record.pod).items()
        if name in record.allocated or name == room.WHOLE
    )


def under_way(record: PodRecord) -> bool:
    """Whether a container that runs, or the pod as a whole, has other resources than it was granted."""
    granted = room.granted(record.pod, record.allocated)
    if record.whole is not None and record.whole != room.together(granted):
        return True
    return any(
        bool(changed(mine.resources, record.allocated[name]))
        for name, mine in record.containers.items()
        if name in record.allocated and mine.current is not None and mine.current.running
    )


def turn(record: PodRecord, since: str) -> tuple[bool, int, bool, str]:
    """Whose turn comes first: who wants no more, the higher priority, the Guaranteed, who waits longer.

    `since` is when the condition came (RFC 3339); "": it isn't there yet.
    """
    before = room.requests(room.granted(record.pod, record.allocated))
    wanted = room.requests(room.granted(record.pod, {}))
    grows = any(wanted.get(name, 0) > before.get(name, 0) for name in _RESIZED)
    priority = int(record.pod["spec"].get("priority") or 0)
    return grows, -priority, spec.qos_class(record.pod) != "Guaranteed", since or "~"


def fail(record: PodRecord, why: str) -> bool:
    """Note that what was granted can't be had now: whether that is news."""
    if record.progress is None:
        record.progress = Resize(record.pod["metadata"].get("generation") or 0)
    news = record.progress.message != why
    record.progress.reason, record.progress.message = "Error", why
    return news


def summary(pod: Obj, what: str, error: str = "") -> str:
    """An event's words: what became of it, and what was asked for."""
    said: dict[str, object] = {}
    if whole := pod["spec"].get("resources"):
        said["resources"] = whole
    for kind in ("initContainers", "containers"):
        if listed := pod["spec"].get(kind):
            said[kind] = [{"name": each["name"], "resources": each.get("resources") or {}} for each in listed]
    said["generation"] = pod["metadata"].get("generation") or 0
    if error:
        said["error"] = error
    return f"Pod resize {what}: {msgspec.json.encode(said).decode()}"


def _amount(resources: Obj | None, kind: str, name: str) -> int:
    return _parsed(((resources or {}).get(kind) or {}).get(name))


def _parsed(text: object) -> int:
    return Quantity.parse(str(text)).nanos if text is not None else 0
