"""Whose processes the kernel kills first when the machine has no memory left: oom_score_adj(5).

Source: pkg/kubelet/qos/policy.go of v1.36. Pure.
"""

from __future__ import annotations

from wellhead.api.meta import Obj
from wellhead.api.quantity import Quantity
from wellhead.node.pods import room, spec

_SAFEST, _FIRST = -997, 1000
_NODE_CRITICAL = 2_000_001_000  # the priority of system-node-critical


def score(pod: Obj, container: Obj, capacity: int) -> int:
    """A container's, of a pod as the node has granted it; `capacity` are the machine's bytes of memory."""
    kind = spec.qos_class(pod)
    if kind == "Guaranteed" or int(pod["spec"].get("priority") or 0) >= _NODE_CRITICAL:
        return _SAFEST
    if kind == "BestEffort":
        return _FIRST
    asked, more = _requested(container), _share(pod)
    if spec.is_sidecar(container):
        # No sooner than those whom it serves.
        asked = max(asked, min(map(_requested, spec.containers(pod))))
    found = _FIRST - _FIRST * (asked + more) // capacity
    return min(max(found, _FIRST + _SAFEST), _FIRST - 1)


def _share(pod: Obj) -> int:
    """Each container's part of what the pod asks for beyond them."""
    whole = pod["spec"].get("resources") or {}
    if not (whole.get("requests") or {}).keys() & {"cpu", "memory"}:
        return 0
    everyone = [*filter(spec.is_sidecar, spec.init_containers(pod)), *spec.containers(pod)]
    bare = {**pod, "spec": {**pod["spec"], "resources": {}}}
    left = room.requests(pod).get("memory", 0) - room.requests(bare).get("memory", 0)
    return max(left, 0) // len(everyone)


def _requested(container: Obj) -> int:
    text = ((container.get("resources") or {}).get("requests") or {}).get("memory")
    return Quantity.parse(str(text)).value if text is not None else 0
