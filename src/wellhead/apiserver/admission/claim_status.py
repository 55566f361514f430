"""Who may write what of a ResourceClaim's status: whoever binds claims, and the drivers of their devices.

The right to update the status isn't enough (KEP-4817, beta in Kubernetes 1.36). Upstream asks this in the
registry: AuthorizedForBinding and AuthorizedForDeviceStatus in pkg/registry/resource/utils.go.
"""

from __future__ import annotations

from wellhead.api.errors import Cause, Invalid
from wellhead.api.kinds.devices import RESOURCECLAIMS
from wellhead.api.meta import Obj
from wellhead.apiserver.admission.environment import Environment
from wellhead.apiserver.admission.plugin import Plugin
from wellhead.apiserver.admission.request import Request
from wellhead.apiserver.attributes import Attributes
from wellhead.apiserver.node_identity import placed_on

_BOUND = ("allocation", "reservedFor")
_DEVICE = ("driver", "pool", "device", "shareID")


class ClaimStatusAuthorization(Plugin):
    name = "ClaimStatusAuthorization"
    operations = ("UPDATE",)
    resources = (RESOURCECLAIMS,)
    subresources = ("status",)

    def __init__(self, environment: Environment) -> None:
        self._authorizer = environment.authorizer

    async def validate(self, request: Request) -> None:
        """Raises Invalid."""
        after, before = (each.get("status") or {} for each in (request.obj, request.old))
        verb, causes = request.verb, []
        binds = any((after.get(field) or None) != (before.get(field) or None) for field in _BOUND)
        if binds and not self._allows(request, verb, "binding"):
            text = (
                "changing status.allocation or status.reservedFor requires "
                f'resource="resourceclaims/binding", verb="{verb}" permission'
            )
            causes.append(Cause.forbidden("status", text))
        node = _node_of(after.get("allocation") or {})
        nearby = [f"associated-node:{verb}"] if node and placed_on(request.user) == node else []
        verbs = [*nearby, f"arbitrary-node:{verb}"]
        for driver in _changed_drivers(after.get("devices") or [], before.get("devices") or []):
            if not any(self._allows(request, each, "driver", request.namespace, driver) for each in verbs):
                text = (
                    'changing status.devices requires resource="resourceclaims/driver", '
                    f'verb="[{" ".join(verbs)}]" permission for {driver}'
                )
                causes.append(Cause.forbidden("status", text))
        if causes:
            raise Invalid.for_object(request.resource, request.obj, causes)

    def _allows(self, request: Request, verb: str, part: str, namespace: str = "", name: str = "") -> bool:
        resource = RESOURCECLAIMS
        action = Attributes(verb, resource.group, resource.plural, part, namespace, name)
        return self._authorizer.allows(request.user, action)


def _node_of(allocation: Obj) -> str:
    """The node that alone can use what was allocated, if it is one."""
    match (allocation.get("nodeSelector") or {}).get("nodeSelectorTerms"):
        case [{"matchFields": [{"key": "metadata.name", "operator": "In", "values": [str(node)]}]} as term]:
            return "" if term.get("matchExpressions") else node
    return ""


def _changed_drivers(after: list[Obj], before: list[Obj]) -> list[str]:
    """Those with a device of which another thing is said, or nothing any more."""
    new, old = map(_by_device, (after, before))
    return sorted({key[0] for key in new.keys() | old.keys() if new.get(key) != old.get(key)})


def _by_device(statuses: list[Obj]) -> dict[tuple[str, ...], Obj]:
    return {tuple(each.get(field) or "" for field in _DEVICE): each for each in statuses}
