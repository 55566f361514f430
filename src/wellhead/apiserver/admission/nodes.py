"""NodeRestriction, and the same for service proxies and policies: what each may change of what it runs on."""

from __future__ import annotations

from wellhead.api.errors import NotFound
from wellhead.api.resources import LEASES, NODES, PERSISTENTVOLUMES, PODS, SERVICEACCOUNTS, STORAGECLASSES
from wellhead.apiserver.admission.environment import Environment
from wellhead.apiserver.admission.plugin import Plugin
from wellhead.apiserver.admission.request import Request
from wellhead.apiserver.node_identity import node_of
from wellhead.apiserver.node_restriction import NodeRestriction
from wellhead.apiserver.proxy_restriction import check_policies, check_proxy
from wellhead.apiserver.storage_restriction import check_storage


class NodeRestrictionPlugin(Plugin):
    """Looks at what was sent, before the server decides what of it counts: hence among the mutating ones."""

    name = "NodeRestriction"
    operations = ("CREATE", "UPDATE", "DELETE")
    resources = (NODES, PODS, LEASES, SERVICEACCOUNTS)
    subresources = None

    def __init__(self, environment: Environment) -> None:
        self._lookup = environment.registry.lookup
        self._nodes = NodeRestriction(environment.registry.lookup)

    async def mutate(self, request: Request) -> None:
        """Raises Forbidden, NotFound."""
        node = node_of(request.user)
        if node is None:
            return
        match request.operation, request.subresource:
            case "CREATE", "":
                self._nodes.create(node, request.resource, request.namespace, request.obj)
            case "CREATE", "token":
                spec = request.obj.get("spec") or {}
                self._nodes.request_token(node, request.name, request.namespace, spec)
            case "CREATE", "eviction":
                pod = self._lookup(PODS, (request.namespace, request.name))
                if pod is None:
                    raise NotFound.of(PODS, request.name)
                self._nodes.delete(node, request.resource, pod, evict=True)
            case "UPDATE", subresource:
                self._nodes.update(node, request.resource, subresource, request.obj, request.old)
            case "DELETE", _:
                self._nodes.delete(node, request.resource, request.old)


class StorageRestriction(Plugin):
    name = "StorageRestriction"
    operations = ("CREATE", "UPDATE", "DELETE")
    resources = (PERSISTENTVOLUMES, STORAGECLASSES)
    subresources = None

    async def mutate(self, request: Request) -> None:
        """Raises Forbidden."""
        check_storage(request.user, request.resource, request.obj, request.old)


class ProxyRestriction(Plugin):
    name = "ProxyRestriction"
    operations = ("UPDATE",)
    resources = (NODES,)
    subresources = None

    async def mutate(self, request: Request) -> None:
        """Raises Forbidden."""
        check_proxy(request.user, request.resource, request.obj, request.old)
        check_policies(request.user, request.resource, request.obj, request.old)
