"""Other resources for a running pod: which containers must restart for them, and whether they can be had.

Source: KEP-1287; pkg/kubelet/allocation and pkg/kubelet/kuberuntime of v1.36. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping

from wellhead.api.meta import Obj
from wellhead.api.quantity import Quantity
from wellhead.node.pods import spec

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


def problem(pod: Obj, allocatable: Mapping[str, str]) -> str:
    """Why the node can never give the pod what it asks for; "" if it can."""
    for name in _RESIZED:
        asked = sum(
            _amount(each.get("resources"), "requests", name)
            for each in (*spec.containers(pod), *filter(spec.is_sidecar, spec.init_containers(pod)))
        )
        capacity = _parsed(allocatable.get(name))
        if name in allocatable and asked > capacity:
            milli = name == "cpu"
            shown = [str(each // 10**6 if milli else each // 10**9) for each in (asked, capacity)]
            return f"Node didn't have enough capacity: {name}, requested: {shown[0]}, capacity: {shown[1]}"
    return ""


def _amount(resources: Obj | None, kind: str, name: str) -> int:
    return _parsed(((resources or {}).get(kind) or {}).get(name))


def _parsed(text: object) -> int:
    return Quantity.parse(str(text)).nanos if text is not None else 0
