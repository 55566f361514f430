"""What a node may ask for at all: itself, the pods that are bound to it, and what those refer to.

Upstream's Node authorizer (plugin/pkg/auth/authorizer/node) as of v1.36, where its selectors are GA, for the
resources that are served here. What a request that is let through may change, `node_restriction` says.
"""

from __future__ import annotations

from wellhead.api.resources import PERSISTENTVOLUMES, PODS
from wellhead.apiserver.attributes import Attributes
from wellhead.apiserver.node_references import NodeReferences, node_of
from wellhead.storage.cache import WatchCache
from wellhead.storage.encoding import decode

LEASE_NAMESPACE = "kube-node-lease"

_READ = ("get", "list", "watch")
_WRITE = ("update", "patch")
_ANYWHERE = {
    ("", "services"): _READ,
    ("", "events"): ("create", *_WRITE),
    ("authentication.k8s.io", "tokenreviews"): ("create",),
    ("authorization.k8s.io", "subjectaccessreviews"): ("create",),
    # Of these, the restriction lets only the node's own through.
    ("", "nodes"): ("create", *_WRITE),
    ("", "nodes/status"): _WRITE,
    ("", "pods"): ("create", "delete"),
    ("", "pods/status"): _WRITE,
    ("", "pods/eviction"): ("create",),
}
"""What doesn't depend on which node asks."""


class NodeAuthorizer:
    """Decides by the pods that are bound to the node now. `cache` has started."""

    def __init__(self, cache: WatchCache) -> None:
        self._pods = cache[PODS.storage_prefix]
        self._volumes = cache[PERSISTENTVOLUMES.storage_prefix]
        self._references = NodeReferences(self._pods)

    def allows(self, node: str, action: Attributes) -> bool:
        """Whether the node of this name may do it; nobody has the name ""."""
        if not node:
            return False
        verb, namespace, name = action.verb, action.namespace, action.name
        if verb in _ANYWHERE.get((action.group, action.full_resource), ()):
            return True
        match action.group, action.full_resource:
            case "", "nodes":
                return verb in _READ and name == node
            case "", "pods":
                selected = verb in ("list", "watch") and action.fields.exact("spec.nodeName") == node
                return selected or (verb in _READ and self._runs(node, namespace, name))
            case "", "configmaps" | "secrets":
                return verb in _READ and self._references.has(node, namespace, action.resource, name)
            case "", "persistentvolumeclaims":
                return verb == "get" and self._references.has(node, namespace, action.resource, name)
            case "", "persistentvolumes":
                return verb == "get" and self._has_claim_to(node, name)
            case "", "serviceaccounts":
                return verb == "get" and self._references.has(node, namespace, action.resource, name)
            case "", "serviceaccounts/token":
                return verb == "create" and self._references.has(node, namespace, action.resource, name)
            case "node.k8s.io", "runtimeclasses":
                return verb in _READ
            case "coordination.k8s.io", "leases":
                if namespace != LEASE_NAMESPACE:
                    return False
                return verb == "create" or (name == node and verb in ("get", "delete", *_WRITE))
        return False

    def _has_claim_to(self, node: str, volume: str) -> bool:
        """Whether a pod of the node uses the claim that the volume is bound to."""
        item = self._volumes.get("", volume)
        reference = decode(item.data)["spec"].get("claimRef") if item is not None else None
        if not reference:
            return False
        claim = reference.get("namespace") or "", "persistentvolumeclaims", reference.get("name") or ""
        return self._references.has(node, *claim)

    def _runs(self, node: str, namespace: str, name: str) -> bool:
        item = self._pods.get(namespace, name)
        return item is not None and node_of(item) == node
