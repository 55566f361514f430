"""RuntimeClass: what a pod's class costs, and where its nodes are.

Upstream: plugin/pkg/admission/runtimeclass, pkg/util/tolerations.
"""

from __future__ import annotations

from wellhead.api.errors import Forbidden
from wellhead.api.kinds.runtimeclass import RUNTIMECLASSES
from wellhead.api.meta import Obj
from wellhead.api.quota.pods import amounts
from wellhead.api.well_known import PODS
from wellhead.apiserver.admission.environment import Environment
from wellhead.apiserver.admission.plugin import Plugin
from wellhead.apiserver.admission.request import Request

_OTHER = "pod rejected: Pod's Overhead doesn't match RuntimeClass's defined Overhead"
_NONE = "pod rejected: Pod Overhead set without corresponding RuntimeClass defined Overhead"


class RuntimeClass(Plugin):
    name = "RuntimeClass"
    operations = ("CREATE",)
    resources = (PODS,)

    def __init__(self, environment: Environment) -> None:
        self._lookup = environment.registry.lookup

    async def mutate(self, request: Request) -> None:
        """Raises Forbidden."""
        if (kind := self._class(request)) is not None:
            put_into_class(request.obj, kind)

    async def validate(self, request: Request) -> None:
        """Raises Forbidden."""
        kind = self._class(request)
        defined = ((kind or {}).get("overhead") or {}).get("podFixed")
        overhead = request.obj["spec"].get("overhead")
        if (kind or {}).get("overhead") is not None:
            if amounts(defined) != amounts(overhead):
                raise Forbidden.of(PODS, request.name, _OTHER)
        elif overhead is not None:
            raise Forbidden.of(PODS, request.name, _NONE)

    def _class(self, request: Request) -> Obj | None:
        name = request.obj["spec"].get("runtimeClassName")
        if name is None:
            return None
        found = self._lookup(RUNTIMECLASSES, ("", name))
        if found is None:
            raise Forbidden.of(PODS, request.name, f'pod rejected: RuntimeClass "{name}" not found')
        return found


def put_into_class(pod: Obj, kind: Obj) -> None:
    """In place. Raises Forbidden if the pod wants what its class doesn't have."""
    spec, name = pod["spec"], pod["metadata"].get("name", "")
    if kind.get("overhead") is not None:
        fixed = kind["overhead"].get("podFixed") or {}
        if spec.get("overhead") and amounts(spec["overhead"]) != amounts(fixed):
            raise Forbidden.of(PODS, name, _OTHER)
        spec["overhead"] = dict(fixed)
    scheduling = kind.get("scheduling")
    if scheduling is None:
        return
    selector = dict(spec.get("nodeSelector") or {})
    for key, value in (scheduling.get("nodeSelector") or {}).items():
        if selector.setdefault(key, value) != value:
            text = (
                f"conflict: runtimeClass.scheduling.nodeSelector[{key}] = {value};"
                f" pod.spec.nodeSelector[{key}] = {selector[key]}"
            )
            raise Forbidden.of(PODS, name, text)
    if selector:
        spec["nodeSelector"] = selector
    tolerations = merged([*(spec.get("tolerations") or ()), *(scheduling.get("tolerations") or ())])
    if tolerations:
        spec["tolerations"] = tolerations


def merged(tolerations: list[Obj]) -> list[Obj]:
    """Those that no other of them covers; of equal ones the first."""
    kept: list[Obj] = []
    for index, each in enumerate(tolerations):
        rest = [other for other in tolerations[index + 1 :] if other != each]
        if not any(_covers(other, each) for other in (*kept, *rest)):
            kept.append(each)
    return kept


def _covers(wide: Obj, narrow: Obj) -> bool:
    """Whether what `narrow` tolerates is tolerated by `wide` anyway."""
    if wide == narrow:
        return True
    if wide.get("key") != narrow.get("key") and not (
        not wide.get("key") and wide.get("operator") == "Exists"
    ):
        return False
    if wide.get("effect") and wide.get("effect") != narrow.get("effect"):
        return False
    if wide.get("effect") == "NoExecute" and wide.get("tolerationSeconds") is not None:
        seconds = narrow.get("tolerationSeconds")
        if seconds is None or wide["tolerationSeconds"] < seconds:
            return False
    match wide.get("operator") or "Equal":
        case "Exists":
            return True
        case "Equal":
            return (narrow.get("operator") or "Equal") == "Equal" and (
                (wide.get("value") or "") == (narrow.get("value") or "")
            )
    return False
