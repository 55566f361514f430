"""NamespaceLifecycle: nothing is made in a namespace that isn't there or is going; some namespaces stay.

Upstream: apiserver's pkg/admission/plugin/namespace/lifecycle.
"""

from __future__ import annotations

from wellhead.api.errors import Forbidden, NotFound
from wellhead.api.resource import Resource
from wellhead.api.resources import NAMESPACES
from wellhead.apiserver.admission.environment import Environment
from wellhead.apiserver.admission.plugin import Plugin
from wellhead.apiserver.admission.request import Operation, Request

_IMMORTAL = frozenset({"default", "kube-system", "kube-public"})


class NamespaceLifecycle(Plugin):
    name = "NamespaceLifecycle"
    operations = ("CREATE", "UPDATE", "DELETE", "CONNECT")
    subresources = None

    def __init__(self, environment: Environment) -> None:
        self._namespaces = environment.registry.collection(NAMESPACES)

    def concerns(self, operation: Operation, resource: Resource, subresource: str) -> bool:
        if resource == NAMESPACES:
            return operation == "DELETE"
        asks = resource.group == "authorization.k8s.io"  # about a namespace, whether it is there or not
        return resource.namespaced and operation != "DELETE" and not asks

    async def mutate(self, request: Request) -> None:
        """Raises NotFound, Forbidden."""
        if request.resource == NAMESPACES:
            if request.name in _IMMORTAL:
                raise Forbidden.of(NAMESPACES, request.name, "this namespace may not be deleted")
            return
        name = request.namespace
        item = self._namespaces.get("", name)
        if item is None:
            raise NotFound.of(NAMESPACES, name)
        status = item.head.get("status")
        if request.operation != "CREATE" or not isinstance(status, dict):
            return
        if status.get("phase") == "Terminating":
            raise _terminating(request.resource, request.name, name)


def _terminating(resource: Resource, name: str, namespace: str) -> Forbidden:
    error = Forbidden.of(
        resource,
        name,
        f"unable to create new content in namespace {namespace} because it is being terminated",
    )
    error.status["details"]["causes"] = [
        {
            "reason": "NamespaceTerminating",
            "message": f"namespace {namespace} is being terminated",
            "field": "metadata.namespace",
        }
    ]
    return error
