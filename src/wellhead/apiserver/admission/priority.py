"""Priority: a pod has the priority of its class, and nobody gives it another.

Upstream: plugin/pkg/admission/priority.
"""

from __future__ import annotations

from wellhead.api.errors import Forbidden
from wellhead.api.kinds.pod.resource import PODS
from wellhead.api.meta import Obj
from wellhead.apiserver.admission.plugin import Plugin
from wellhead.apiserver.admission.request import Request

_PREEMPTION = "PreemptLowerPriority"
# Those that every cluster has; others can't be made here.
_PRIORITY_CLASSES = {"system-cluster-critical": 2_000_000_000, "system-node-critical": 2_000_001_000}


class Priority(Plugin):
    name = "Priority"
    operations = ("CREATE",)
    resources = (PODS,)

    async def mutate(self, request: Request) -> None:
        """Raises Forbidden."""
        give_priority(request.obj)


def give_priority(pod: Obj) -> None:
    """In place. Raises Forbidden if there is no such class, or the pod says another priority."""
    spec, name = pod["spec"], pod["metadata"].get("name", "")
    kind = spec.get("priorityClassName") or ""
    if kind and kind not in _PRIORITY_CLASSES:
        raise Forbidden.of(PODS, name, f"no PriorityClass with name {kind} was found")
    priority = _PRIORITY_CLASSES.get(kind, 0)
    if spec.setdefault("priority", priority) != priority:
        raise Forbidden.of(
            PODS,
            name,
            f"the integer value of priority ({spec['priority']}) must not be provided in pod spec; priority "
            f"admission controller computed {priority} from the given PriorityClass name",
        )
    policy = spec.setdefault("preemptionPolicy", _PREEMPTION)
    if policy != _PREEMPTION:
        raise Forbidden.of(
            PODS,
            name,
            f"the string value of PreemptionPolicy ({policy}) must not be provided in pod spec; priority "
            f"admission controller computed {_PREEMPTION} from the given PriorityClass name",
        )
