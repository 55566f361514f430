"""What a node may do: read what networking needs, and touch only itself and the pods bound to it.

Upstream's Node authorizer and NodeRestriction admission, as far as the resources that are served here go: a
node that is taken over must not give away the others.
"""

from __future__ import annotations

from collections.abc import Iterator

from wellhead.api.errors import Forbidden
from wellhead.api.meta import Obj
from wellhead.api.resource import Resource
from wellhead.api.resources import LEASES, NODES, PODS, SERVICEACCOUNTS
from wellhead.apiserver.authn import User
from wellhead.apiserver.policy import NODE_PREFIX
from wellhead.apiserver.policy import NODES as NODES_GROUP
from wellhead.storage.cache import WatchCache
from wellhead.storage.encoding import decode
from wellhead.storage.watcher import Item

LEASE_NAMESPACE = "kube-node-lease"

_READ = frozenset({"get", "list", "watch"})
_WRITE = frozenset({"update", "patch"})
_READABLE = frozenset(
    {
        ("", "services"),
        ("", "endpoints"),
        ("", "nodes"),
        ("", "pods"),
        ("", "namespaces"),
        ("discovery.k8s.io", "endpointslices"),
    }
)
_CREATABLE = frozenset(
    {("authentication.k8s.io", "tokenreviews"), ("authorization.k8s.io", "subjectaccessreviews")}
)


class NodeAuthorizer:
    """Decides by the pods that are bound to the node now."""

    def __init__(self, cache: WatchCache) -> None:
        self._cache = cache

    def allows(self, node: str, verb: str, group: str, resource: str, namespace: str, name: str) -> bool:
        """Whether the node of this name may do it. `resource` may be "pods/status"."""
        if (verb in _READ and (group, resource) in _READABLE) or (
            verb == "create" and (group, resource) in _CREATABLE
        ):
            return True
        match group, resource:
            case "", "nodes":
                return verb == "create" or (verb in _WRITE and name == node)
            case "", "nodes/status":
                return verb in _WRITE and name == node
            case "", "events":
                return verb == "create" or verb in _WRITE
            case "events.k8s.io", "events":
                return verb == "create" or verb in _WRITE
            case "coordination.k8s.io", "leases":
                own = namespace == LEASE_NAMESPACE and name == node
                return (verb == "create" and namespace == LEASE_NAMESPACE) or (
                    own and (verb in _WRITE or verb in ("get", "delete"))
                )
            case "", "pods":
                return verb == "delete" and self._runs(node, namespace, name)
            case "", "pods/status":
                return verb in _WRITE and self._runs(node, namespace, name)
            case "", "pods/eviction":
                return verb == "create" and self._runs(node, namespace, name)
            case "", "configmaps":
                return verb in _READ and bool(name) and self._references(node, namespace, "configMap", name)
            case "", "secrets":
                return verb in _READ and bool(name) and self._references(node, namespace, "secret", name)
            case "", "serviceaccounts":
                return verb == "get" and self._serves(node, namespace, name)
            case "", "serviceaccounts/token":
                return verb == "create" and self._serves(node, namespace, name)
        return False

    def check_created(self, user: User, resource: Resource, obj: Obj) -> None:
        """Raises Forbidden when a node creates another node's Node or Lease (its name isn't in the path)."""
        if resource not in (NODES, LEASES) or NODES_GROUP not in user.groups:
            return
        node = user.name.removeprefix(NODE_PREFIX)
        name = obj["metadata"].get("name", "")
        if name != node:
            raise Forbidden.of(
                resource, name, f'node "{node}" is not allowed to modify {resource.singular} "{name}"'
            )

    def check_token(self, user: User, pod: Obj | None) -> None:
        """Raises Forbidden when a node asks for a token that isn't bound to a pod of its own."""
        if NODES_GROUP not in user.groups:
            return
        node = user.name.removeprefix(NODE_PREFIX)
        if pod is None or pod["spec"].get("nodeName") != node:
            raise Forbidden.of(
                SERVICEACCOUNTS, "", f'node "{node}" can only ask for tokens that are bound to a pod on it'
            )

    def _pods(self, node: str, namespace: str) -> Iterator[Item]:
        for item in self._cache[PODS.storage_prefix].items(namespace):
            if _node_of(item) == node:
                yield item

    def _runs(self, node: str, namespace: str, name: str) -> bool:
        item = self._cache[PODS.storage_prefix].get(namespace, name)
        # An absent pod is nobody's secret: its node's late status update gets the honest 404.
        return item is None or _node_of(item) == node

    def _serves(self, node: str, namespace: str, account: str) -> bool:
        return any(
            (decode(item.data)["spec"].get("serviceAccountName") or "default") == account
            for item in self._pods(node, namespace)
        )

    def _references(self, node: str, namespace: str, kind: str, name: str) -> bool:
        return any(
            (kind, name) in set(_references(decode(item.data)["spec"]))
            for item in self._pods(node, namespace)
        )


def _node_of(item: Item) -> object:
    spec = item.head.get("spec")
    return spec.get("nodeName") if isinstance(spec, dict) else None


def _references(spec: Obj) -> Iterator[tuple[str, str]]:
    """The ConfigMaps and Secrets that a pod names, as (kind, name)."""
    for volume in spec.get("volumes") or ():
        if config_map := volume.get("configMap"):
            yield "configMap", config_map.get("name", "")
        if secret := volume.get("secret"):
            yield "secret", secret.get("secretName", "")
        for source in (volume.get("projected") or {}).get("sources") or ():
            for kind in ("configMap", "secret"):
                if reference := source.get(kind):
                    yield kind, reference.get("name", "")
    for reference in spec.get("imagePullSecrets") or ():
        yield "secret", reference.get("name", "")
    for container in (*(spec.get("initContainers") or ()), *(spec.get("containers") or ())):
        for variable in container.get("env") or ():
            source = variable.get("valueFrom") or {}
            if reference := source.get("configMapKeyRef"):
                yield "configMap", reference.get("name", "")
            if reference := source.get("secretKeyRef"):
                yield "secret", reference.get("name", "")
        for source in container.get("envFrom") or ():
            if reference := source.get("configMapRef"):
                yield "configMap", reference.get("name", "")
            if reference := source.get("secretRef"):
                yield "secret", reference.get("name", "")
