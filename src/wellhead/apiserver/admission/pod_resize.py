"""PodResizeValidator: a pod isn't resized to what its node doesn't have at all.

Upstream: plugin/pkg/admission/podresize.
"""

from __future__ import annotations

from wellhead.api.errors import Forbidden
from wellhead.api.meta import Obj, labels
from wellhead.api.names import OS_LABEL
from wellhead.api.quantity import Quantity
from wellhead.api.quota.pods import pod_amounts
from wellhead.api.well_known import NODES, PODS
from wellhead.apiserver.admission.environment import Environment
from wellhead.apiserver.admission.plugin import Plugin
from wellhead.apiserver.admission.request import Request

_ZERO = Quantity.parse("0")


class PodResizeValidator(Plugin):
    name = "PodResizeValidator"
    operations = ("UPDATE",)
    resources = (PODS,)

    def __init__(self, environment: Environment) -> None:
        self._lookup = environment.registry.lookup

    async def validate(self, request: Request) -> None:
        """Raises Forbidden."""
        name = request.obj["spec"].get("nodeName") if request.subresource == "resize" else ""
        if not name or request.obj["spec"] == request.old.get("spec"):
            return
        node = self._lookup(NODES, ("", name))
        if node is None:
            raise Forbidden.of(PODS, request.name, f'node "{name}" not found')
        system = labels(node).get(OS_LABEL, "linux")
        if system != "linux":
            text = f'pod resize is only supported on linux nodes, node "{name}" is "{system}"'
            raise _refusal(request.name, text, "UnsupportedPlatform")
        if lacking := beyond(request.obj, (node.get("status") or {}).get("allocatable") or {}):
            text = f"node didn't have enough allocatable resources: {'; '.join(lacking)}"
            raise _refusal(request.name, text, "NodeCapacity")


def beyond(pod: Obj, allocatable: Obj) -> list[str]:
    """What the pod asks for and the node doesn't have at all."""
    asked = pod_amounts({"spec": pod["spec"]}, "requests")
    found = []
    for name in ("cpu", "memory"):
        wanted, has = asked.get(name, _ZERO), Quantity.parse(str(allocatable.get(name, "0")))
        if wanted.nanos > has.nanos:
            shown = [each.milli_value if name == "cpu" else each.value for each in (wanted, has)]
            found.append(f"{name}, requested: {shown[0]}, allocatable: {shown[1]}")
    return found


def _refusal(name: str, text: str, reason: str) -> Forbidden:
    refused = Forbidden.of(PODS, name, text)
    refused.status["details"]["causes"] = [{"reason": reason}]
    return refused
