"""What those of our components that write a pod's status, and not the pod, may change by it.

Upstream's scheduler may label pods through their status, and so make one an endpoint of any Service.
"""

from __future__ import annotations

from wellhead.api.errors import Forbidden
from wellhead.api.meta import Obj
from wellhead.api.resources import PODS
from wellhead.apiserver.admission.plugin import Plugin
from wellhead.apiserver.admission.request import Request

_FIELDS = {
    "wellhead:scheduler": frozenset({"conditions", "nominatedNodeName"}),
    "wellhead:image-puller": frozenset({"conditions"}),
}
"""By a user's name, of the status."""
# What the server itself keeps or counts.
_SERVERS = ("resourceVersion", "generation", "managedFields")


class StatusRestriction(Plugin):
    """For upstream's scheduler, by its name, upstream's rules are in force."""

    name = "StatusRestriction"
    operations = ("UPDATE",)
    resources = (PODS,)
    subresources = ("status",)

    async def validate(self, request: Request) -> None:
        """Raises Forbidden."""
        fields = _FIELDS.get(request.user.name)
        if fields is None:
            return
        if _metadata(request.obj) != _metadata(request.old):
            raise Forbidden.of(
                PODS, request.name, "who may write a pod's status only can't change its metadata"
            )
        before, after = (each.get("status") or {} for each in (request.old, request.obj))
        changed = {name for name in before.keys() | after.keys() if before.get(name) != after.get(name)}
        if foreign := sorted(changed - fields):
            named = ", ".join(foreign)
            raise Forbidden.of(PODS, request.name, f"{request.user.name} may not change status.{named}")


def _metadata(pod: Obj) -> Obj:
    return {name: value for name, value in pod["metadata"].items() if name not in _SERVERS and value}
