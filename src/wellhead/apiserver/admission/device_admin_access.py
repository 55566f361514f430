"""Only in namespaces that are labelled for it do claims of devices get an administrator's access.

Upstream asks this in the registry of claims and templates (pkg/registry/resource, AuthorizedForAdmin).
"""

from __future__ import annotations

from wellhead.api.errors import Cause, Invalid
from wellhead.api.kinds.devices import RESOURCECLAIMS, RESOURCECLAIMTEMPLATES
from wellhead.api.meta import Obj
from wellhead.api.resources import NAMESPACES
from wellhead.apiserver.admission.environment import Environment
from wellhead.apiserver.admission.plugin import Plugin
from wellhead.apiserver.admission.request import Request

LABEL = "resource.kubernetes.io/admin-access"
_REFUSED = f"admin access to devices requires the `{LABEL}: true` label on the containing namespace"


class DeviceAdminAccess(Plugin):
    """The spec can't change, so updates are looked at for the status alone."""

    name = "DeviceAdminAccess"
    resources = (RESOURCECLAIMS, RESOURCECLAIMTEMPLATES)
    subresources = ("", "status")

    def __init__(self, environment: Environment) -> None:
        self._lookup = environment.registry.lookup

    async def validate(self, request: Request) -> None:
        """Raises Invalid."""
        field = _granted_by_status(request) if request.subresource else _asked_for(request)
        if not field:
            return
        namespace = self._lookup(NAMESPACES, ("", request.namespace)) or {"metadata": {}}
        if (namespace["metadata"].get("labels") or {}).get(LABEL) != "true":
            causes = [Cause.forbidden(field, _REFUSED)]
            raise Invalid.for_object(request.resource, request.obj, causes)


def _asked_for(request: Request) -> str:
    """The first request of a new claim or template that asks; "" if none does."""
    if request.operation != "CREATE":
        return ""
    spec = request.obj["spec"]
    if request.resource == RESOURCECLAIMTEMPLATES:
        spec = spec.get("spec") or {}
    for index, each in enumerate((spec.get("devices") or {}).get("requests") or ()):
        if (each.get("exactly") or {}).get("adminAccess"):
            # Of a template upstream names it so, too.
            return f"spec.devices.requests[{index}].adminAccess"
    return ""


def _granted_by_status(request: Request) -> str:
    """The first device that is given so, if none was before."""
    if _first_given(request.old) is not None:
        return ""
    index = _first_given(request.obj)
    return "" if index is None else f"status.allocation.devices.results[{index}].adminAccess"


def _first_given(claim: Obj) -> int | None:
    devices = ((claim.get("status") or {}).get("allocation") or {}).get("devices") or {}
    results = devices.get("results") or ()
    return next((index for index, each in enumerate(results) if each.get("adminAccess")), None)
