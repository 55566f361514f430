"""LimitRanger: containers get what they don't ask for, and nobody asks for more or less than there may be.

Upstream: plugin/pkg/admission/limitranger.
"""

from __future__ import annotations

from collections.abc import Iterator

from wellhead.api.errors import Forbidden
from wellhead.api.kinds.limitrange import LIMITRANGES
from wellhead.api.meta import Obj, is_deleting
from wellhead.api.quota.pods import Amounts, amounts, pod_amounts
from wellhead.api.resource import Resource
from wellhead.api.resources import PODS
from wellhead.apiserver.admission.environment import Environment
from wellhead.apiserver.admission.plugin import Plugin
from wellhead.apiserver.admission.request import Operation, Request

_ANNOTATION = "kubernetes.io/limit-ranger"


class LimitRanger(Plugin):
    name = "LimitRanger"

    def __init__(self, environment: Environment) -> None:
        self._registry = environment.registry
        self._ranges = environment.registry.collection(LIMITRANGES)

    def concerns(self, operation: Operation, resource: Resource, subresource: str) -> bool:
        match resource.group_resource, subresource, operation:
            case ("pods", "", "CREATE") | ("pods", "resize", "UPDATE"):
                return True
            case "persistentvolumeclaims", "", "CREATE" | "UPDATE":
                return True
        return False

    async def mutate(self, request: Request) -> None:
        if request.resource == PODS and not is_going(request.old):
            for limits in self._limits(request.namespace):
                fill_in(request.obj, limits)

    async def validate(self, request: Request) -> None:
        """Raises Forbidden, with all that the first of several ranges says."""
        if is_going(request.old):
            return
        for limits in self._limits(request.namespace):
            problems = list(broken(request.resource, request.obj, limits))
            if problems:
                text = problems[0] if len(problems) == 1 else f"[{', '.join(problems)}]"
                raise Forbidden.of(request.resource, request.name, text)

    def _limits(self, namespace: str) -> list[Obj]:
        items = self._ranges.items(namespace)
        return [self._registry.decoded(LIMITRANGES, item) for item in items]


def is_going(old: Obj) -> bool:
    return bool(old) and is_deleting(old)


def fill_in(pod: Obj, limits: Obj) -> None:
    """Give containers the defaults, in place, and say so in an annotation."""
    said: list[str] = []
    defaults: dict[str, Obj] = {"requests": {}, "limits": {}}
    for item in limits["spec"]["limits"]:
        if item.get("type") == "Container":
            defaults["requests"] |= item.get("defaultRequest") or {}
            defaults["limits"] |= item.get("default") or {}
    for field, what in (("containers", "container"), ("initContainers", "init container")):
        for container in (pod.get("spec") or {}).get(field) or ():
            said += [
                f"{', '.join(names)} {kind[:-1]} for {what} {container['name']}"
                for kind in ("requests", "limits")
                if (names := _merge(container, kind, defaults[kind]))
            ]
    if said:
        annotations = pod["metadata"].setdefault("annotations", {})
        annotations[_ANNOTATION] = f"LimitRanger plugin set: {'; '.join(said)}"


def _merge(container: Obj, kind: str, defaults: Obj) -> list[str]:
    given = (container.get("resources") or {}).get(kind) or {}
    missing = sorted(set(defaults) - set(given))
    if missing:
        resources = container.setdefault("resources", {})
        resources[kind] = {**given, **{name: defaults[name] for name in missing}}
    return missing


def broken(resource: Resource, obj: Obj, limits: Obj) -> Iterator[str]:
    """What of these limits the object breaks."""
    spec = obj.get("spec") or {}
    for item in limits["spec"]["limits"]:
        match resource.plural, item.get("type"):
            case "persistentvolumeclaims", "PersistentVolumeClaim":
                requests = amounts((spec.get("resources") or {}).get("requests"))
                yield from _too_little(item, requests, {})
                yield from _too_much_asked(item, requests)
            case "pods", "Container":
                for container in (*(spec.get("containers") or ()), *(spec.get("initContainers") or ())):
                    resources = container.get("resources") or {}
                    of = amounts(resources.get("requests")), amounts(resources.get("limits"))
                    yield from _of_compute(item, *of)
            case "pods", "Pod":
                # As the pod is meant to be: neither what it has now, nor overhead, counts.
                bare = {"spec": {**spec, "overhead": {}}, "metadata": obj["metadata"]}
                yield from _of_compute(item, pod_amounts(bare, "requests"), pod_amounts(bare, "limits"))


def _of_compute(item: Obj, requests: Amounts, limits: Amounts) -> Iterator[str]:
    yield from _too_little(item, requests, limits)
    yield from _too_much(item, requests, limits)
    yield from _too_far_apart(item, requests, limits)


def _too_little(item: Obj, requests: Amounts, limits: Amounts) -> Iterator[str]:
    for name, least in amounts(item.get("min")).items():
        rule = f"minimum {name} usage per {item['type']} is {least}"
        if name not in requests:
            yield f"{rule}.  No request is specified"
        elif requests[name] < least:
            yield f"{rule}, but request is {requests[name]}"
        elif name in limits and limits[name] < least:
            yield f"{rule}, but limit is {limits[name]}"


def _too_much(item: Obj, requests: Amounts, limits: Amounts) -> Iterator[str]:
    for name, most in amounts(item.get("max")).items():
        rule = f"maximum {name} usage per {item['type']} is {most}"
        if name not in limits:
            yield f"{rule}.  No limit is specified"
        elif limits[name] > most:
            yield f"{rule}, but limit is {limits[name]}"
        elif name in requests and requests[name] > most:
            yield f"{rule}, but request is {requests[name]}"


def _too_much_asked(item: Obj, requests: Amounts) -> Iterator[str]:
    for name, most in amounts(item.get("max")).items():
        rule = f"maximum {name} usage per {item['type']} is {most}"
        if name not in requests:
            yield f"{rule}.  No request is specified"
        elif requests[name] > most:
            yield f"{rule}, but request is {requests[name]}"


def _too_far_apart(item: Obj, requests: Amounts, limits: Amounts) -> Iterator[str]:
    for name, most in amounts(item.get("maxLimitRequestRatio")).items():
        rule = f"{name} max limit to request ratio per {item['type']} is {most}"
        request, limit = requests.get(name), limits.get(name)
        if request is None or not request.nanos:
            yield f"{rule}, but no request is specified or request is 0"
        elif limit is None or not limit.nanos:
            yield f"{rule}, but no limit is specified or limit is 0"
        elif limit.nanos * 1000 > request.nanos * most.milli_value:
            yield f"{rule}, but provided ratio is {limit.nanos / request.nanos:f}"
