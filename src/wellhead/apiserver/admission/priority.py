"""Priority: a pod has the priority of its class, and nobody gives it another.

Upstream: plugin/pkg/admission/priority.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from wellhead.api.errors import Forbidden
from wellhead.api.kinds.priorityclass import PREEMPT, PRIORITYCLASSES, SYSTEM_CLASSES
from wellhead.api.meta import Obj
from wellhead.api.well_known import PODS
from wellhead.apiserver.admission.environment import Environment
from wellhead.apiserver.admission.plugin import Plugin
from wellhead.apiserver.admission.request import Request
from wellhead.storage.encoding import decode

Lookup = Callable[[str], Obj | None]


class Priority(Plugin):
    name = "Priority"
    operations = ("CREATE", "UPDATE")
    resources = (PODS, PRIORITYCLASSES)

    def __init__(self, environment: Environment) -> None:
        self._registry = environment.registry

    async def mutate(self, request: Request) -> None:
        """Raises Forbidden."""
        if request.resource != PODS or request.subresource:
            return
        if request.operation == "CREATE":
            give_priority(request.obj, self._find, self._classes)
        else:
            keep_priority(request.obj, request.old)

    async def validate(self, request: Request) -> None:
        """Only one class is the default. Raises Forbidden."""
        if request.resource != PRIORITYCLASSES or not request.obj.get("globalDefault"):
            return
        there = default_class(self._classes())
        if there is not None and (request.operation == "CREATE" or there["metadata"]["name"] != request.name):
            name = there["metadata"]["name"]
            text = f"PriorityClass {name} is already marked as default. Only one default can exist"
            raise Forbidden.of(PRIORITYCLASSES, request.name, text)

    def _find(self, name: str) -> Obj | None:
        return self._registry.lookup(PRIORITYCLASSES, ("", name))

    def _classes(self) -> Iterable[Obj]:
        return (decode(item.data) for item in self._registry.collection(PRIORITYCLASSES).items(""))


def default_class(classes: Iterable[Obj]) -> Obj | None:
    """The class of pods that name none; of several that say so, the lowest."""
    return min(
        filter(lambda each: each.get("globalDefault"), classes), key=lambda each: each["value"], default=None
    )


def give_priority(pod: Obj, find: Lookup, classes: Callable[[], Iterable[Obj]]) -> None:
    """In place. Raises Forbidden if there is no such class, or the pod says another priority."""
    spec, name = pod["spec"], pod["metadata"].get("name", "")
    wanted = spec.get("priorityClassName") or ""
    if wanted:
        found = find(wanted) or _of_the_system(wanted)
        if found is None:
            raise Forbidden.of(PODS, name, f"no PriorityClass with name {wanted} was found")
    else:
        found = default_class(classes()) or {}
        if found:
            spec["priorityClassName"] = found["metadata"]["name"]
    priority, preemption = found.get("value", 0), found.get("preemptionPolicy", PREEMPT)
    if spec.setdefault("priority", priority) != priority:
        raise Forbidden.of(
            PODS,
            name,
            f"the integer value of priority ({spec['priority']}) must not be provided in pod spec; priority "
            f"admission controller computed {priority} from the given PriorityClass name",
        )
    policy = spec.setdefault("preemptionPolicy", preemption)
    if policy != preemption:
        raise Forbidden.of(
            PODS,
            name,
            f"the string value of PreemptionPolicy ({policy}) must not be provided in pod spec; priority "
            f"admission controller computed {preemption} from the given PriorityClass name",
        )


def keep_priority(pod: Obj, old: Obj) -> None:
    """An update that says nothing of it changes nothing of it; in place."""
    for field in ("priority", "preemptionPolicy"):
        if field not in pod["spec"] and field in (old.get("spec") or {}):
            pod["spec"][field] = old["spec"][field]


def _of_the_system(name: str) -> Obj | None:
    """Those that are there even if somebody deleted them."""
    if name not in SYSTEM_CLASSES:
        return None
    return {"metadata": {"name": name}, "value": SYSTEM_CLASSES[name][0], "preemptionPolicy": PREEMPT}
