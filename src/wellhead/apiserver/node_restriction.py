"""What a node may change: of its Node and Lease what is its own to say, of its pods their status.

Upstream's admission plugin NodeRestriction (plugin/pkg/admission/noderestriction) as of v1.36. A node that is
taken over must not draw workloads to itself, nor reach the other nodes'. Stricter in three places where no
kubelet goes: a Node may not be created with ownerReferences (CVE-2025-5187 by another door), and neither its
finalizers nor any metadata of a pod through its status may change.
"""

from __future__ import annotations

from collections.abc import Callable

from wellhead.api.errors import Forbidden, NotFound
from wellhead.api.kinds.pod.references import MIRROR_ANNOTATION, configuration, is_mirror, token_audiences
from wellhead.api.meta import Key, Obj
from wellhead.api.names import (
    ARCH_LABEL,
    BETA_ARCH_LABEL,
    BETA_OS_LABEL,
    HOSTNAME_LABEL,
    OS_LABEL,
    ZONE_LABEL,
)
from wellhead.api.resource import Resource
from wellhead.api.resources import LEASES, NODES, PODS, SERVICEACCOUNTS
from wellhead.apiserver.node_authorizer import LEASE_NAMESPACE

_OWN_LEASE = "can only access node lease with the same name as the requesting node"
_ON_ITSELF = " with spec.nodeName set to itself"
_KUBERNETES_DOMAINS = ("kubernetes.io", "k8s.io")
_RESTRICTED_DOMAIN = "node-restriction.kubernetes.io"
_KUBELET_DOMAINS = ("kubelet.kubernetes.io", "node.kubernetes.io")
_KUBELET_LABELS = frozenset(
    {
        HOSTNAME_LABEL,
        ARCH_LABEL,
        OS_LABEL,
        BETA_ARCH_LABEL,
        BETA_OS_LABEL,
        "beta.kubernetes.io/instance-type",
        "node.kubernetes.io/instance-type",
        "failure-domain.beta.kubernetes.io/region",
        "failure-domain.beta.kubernetes.io/zone",
        "topology.kubernetes.io/region",
        ZONE_LABEL,
    }
)
# Of a pod's metadata: the rest the server keeps as it is, whatever is sent.
_POD_METADATA = ("labels", "annotations", "finalizers", "ownerReferences")

Lookup = Callable[[Resource, Key], Obj | None]


class NodeRestriction:
    """Every method raises Forbidden; `node` is the name of the node that asks."""

    def __init__(self, lookup: Lookup) -> None:
        self._lookup = lookup

    def create(self, node: str, resource: Resource, namespace: str, obj: Obj) -> None:
        metadata = obj.get("metadata") or {}
        name = metadata.get("name") or ""
        match resource:
            case _ if resource == NODES:
                _require_own(node, name)
                if metadata.get("ownerReferences"):
                    raise _refuse(resource, name, f'node "{node}" is not allowed to set ownerReferences')
                if (obj.get("spec") or {}).get("configSource"):
                    raise _refuse(
                        resource,
                        name,
                        f'node "{node}" is not allowed to create pods with a non-nil configSource',
                    )
                if labels := _restricted(metadata.get("labels") or {}, {}):
                    text = f'node "{node}" is not allowed to set the following labels: {", ".join(labels)}'
                    raise _refuse(resource, name, text)
            case _ if resource == LEASES:
                if namespace != LEASE_NAMESPACE or name != node:
                    raise _refuse(resource, name, _OWN_LEASE)
            case _ if resource == PODS:
                self._check_new_pod(node, name, metadata, obj)

    def update(self, node: str, resource: Resource, subresource: str, new: Obj, old: Obj) -> None:
        """`new` is what was sent, before the server decides what of it counts."""
        name = old["metadata"]["name"]
        match resource:
            case _ if resource == NODES:
                _require_own(node, name)
                _check_node(node, name, new, old)
            case _ if resource == LEASES and name != node:
                raise _refuse(resource, name, _OWN_LEASE)
            case _ if resource == PODS and subresource == "status":
                if _node_of(old) != node:
                    text = f'node "{node}" can only set the status of pods{_ON_ITSELF}'
                    raise _refuse(resource, name, text)
                _check_pod_status(node, name, new, old)
            case _ if resource == PODS:
                text = f'unexpected operation "UPDATE", node "{node}" can only create and delete mirror pods'
                raise _refuse(resource, name, text)

    def delete(self, node: str, resource: Resource, obj: Obj, *, evict: bool = False) -> None:
        if resource == PODS and _node_of(obj) != node:
            verb = "evict" if evict else "delete"
            text = f'node "{node}" can only {verb} pods{_ON_ITSELF}'
            raise _refuse(resource, obj["metadata"]["name"], text)

    def request_token(self, node: str, account: str, namespace: str, spec: Obj) -> None:
        """Also raises NotFound for a pod that isn't there."""
        reference = spec.get("boundObjectRef") or {}
        name, uid = reference.get("name"), reference.get("uid")
        if not name or reference.get("apiVersion") != "v1" or reference.get("kind") != "Pod":
            raise _refuse(SERVICEACCOUNTS, account, "node requested token not bound to a pod")
        if not uid:
            text = "node requested token with a pod binding without a uid"
            raise _refuse(SERVICEACCOUNTS, account, text)
        pod = self._lookup(PODS, (namespace, name))
        if pod is None:
            raise NotFound.of(PODS, name)
        if uid != pod["metadata"]["uid"]:
            text = (
                f"the UID in the bound object reference ({uid}) does not match the UID in record."
                " The object might have been deleted and then recreated"
            )
            raise _refuse(SERVICEACCOUNTS, account, text)
        if _node_of(pod) != node:
            text = "node requested token bound to a pod scheduled on a different node"
            raise _refuse(SERVICEACCOUNTS, account, text)
        audiences = spec.get("audiences") or [""]
        if len(audiences) > 1:
            raise _refuse(SERVICEACCOUNTS, account, "node may only request 0 or 1 audiences")
        if audiences[0] not in token_audiences(pod["spec"]) or is_mirror(pod):
            text = (
                f'audience "{audiences[0]}" not found in pod spec volume,'
                f" system:node:{node} is not authorized to request tokens for this audience"
            )
            raise _refuse(SERVICEACCOUNTS, account, text)

    def _check_new_pod(self, node: str, name: str, metadata: Obj, pod: Obj) -> None:
        spec = pod.get("spec") or {}
        if not is_mirror(pod):
            text = f'node "{node}" can only create mirror pods: there is no annotation {MIRROR_ANNOTATION}'
            raise _refuse(PODS, name, text)
        if spec.get("nodeName") != node:
            text = f'node "{node}" can only create pods{_ON_ITSELF}'
            raise _refuse(PODS, name, text)
        self._check_owner(node, name, metadata.get("ownerReferences") or [])
        if spec.get("serviceAccountName") or spec.get("serviceAccount"):
            text = f'node "{node}" can not create pods that reference a service account'
            raise _refuse(PODS, name, text)
        for resource, _ in configuration(spec):
            raise _refuse(PODS, name, f'node "{node}" can not create pods that reference {resource}')
        for volume in spec.get("volumes") or ():
            if volume.get("persistentVolumeClaim"):
                text = f'node "{node}" can not create pods that reference persistentvolumeclaims'
                raise _refuse(PODS, name, text)
            for source in (volume.get("projected") or {}).get("sources") or ():
                if source.get("clusterTrustBundle"):
                    text = f'node "{node}" can not create pods that reference clustertrustbundles'
                    raise _refuse(PODS, name, text)
        if spec.get("resourceClaims"):
            raise _refuse(PODS, name, f'node "{node}" can not create pods that reference resourceclaims')

    def _check_owner(self, node: str, name: str, owners: list[Obj]) -> None:
        if len(owners) != 1:
            article = "a single" if owners else "an"
            text = f'node "{node}" can only create pods with {article} owner reference set to itself'
            raise _refuse(PODS, name, text)
        owner = owners[0]
        if (owner.get("apiVersion"), owner.get("kind"), owner.get("name")) != ("v1", "Node", node):
            text = f'node "{node}" can only create pods with an owner reference set to itself'
            raise _refuse(PODS, name, text)
        if not owner.get("controller"):
            text = f'node "{node}" can only create pods with a controller owner reference set to itself'
            raise _refuse(PODS, name, text)
        if owner.get("blockOwnerDeletion"):
            text = f'node "{node}" must not set blockOwnerDeletion on an owner reference'
            raise _refuse(PODS, name, text)
        found = self._lookup(NODES, ("", node))
        if found is None:
            raise NotFound.of(NODES, node)
        if owner.get("uid") != found["metadata"]["uid"]:
            expected, got = owner.get("uid"), found["metadata"]["uid"]
            raise _refuse(PODS, name, f"node {node} UID mismatch: expected {expected} got {got}")


def _require_own(node: str, name: str) -> None:
    if name != node:
        raise _refuse(NODES, name, f'node "{node}" is not allowed to modify node "{name}"')


def _check_node(node: str, name: str, new: Obj, old: Obj) -> None:
    after, before = new.get("spec") or {}, old.get("spec") or {}
    source = after.get("configSource")
    if source and source != before.get("configSource"):
        text = f'node "{node}" is not allowed to update configSource to a new non-nil configSource'
        raise _refuse(NODES, name, text)
    if (after.get("taints") or []) != (before.get("taints") or []):
        raise _refuse(NODES, name, f'node "{node}" is not allowed to modify taints')
    metadata = new.get("metadata") or {}
    for field in ("ownerReferences", "finalizers"):
        if (metadata.get(field) or []) != (old["metadata"].get(field) or []):
            raise _refuse(NODES, name, f'node "{node}" is not allowed to modify {field}')
    if labels := _restricted(metadata.get("labels") or {}, old["metadata"].get("labels") or {}):
        raise _refuse(NODES, name, f"is not allowed to modify labels: {', '.join(labels)}")


def _check_pod_status(node: str, name: str, new: Obj, old: Obj) -> None:
    metadata = new.get("metadata") or {}
    for field in _POD_METADATA:
        if (metadata.get(field) or None) != (old["metadata"].get(field) or None):
            raise _refuse(PODS, name, f'node "{node}" cannot update {field} through pod status')
    claims = [(each.get("status") or {}).get("resourceClaimStatuses") or [] for each in (new, old)]
    if claims[0] != claims[1]:
        raise _refuse(PODS, name, f'node "{node}" cannot update resource claim statues')


def _restricted(after: Obj, before: Obj) -> list[str]:
    """The labels that differ and that a node may not give itself."""
    changed = {key for key in {*after, *before} if after.get(key) != before.get(key)}
    return sorted(filter(_is_restricted, changed))


def _is_restricted(label: str) -> bool:
    domain = label.partition("/")[0] if "/" in label else ""
    if _within(domain, (_RESTRICTED_DOMAIN,)):
        return True
    allowed = label in _KUBELET_LABELS or _within(domain, _KUBELET_DOMAINS)
    return _within(domain, _KUBERNETES_DOMAINS) and not allowed


def _within(domain: str, parents: tuple[str, ...]) -> bool:
    return any(domain == parent or domain.endswith(f".{parent}") for parent in parents)


def _node_of(pod: Obj) -> str:
    return (pod.get("spec") or {}).get("nodeName") or ""


def _refuse(resource: Resource, name: str, why: str) -> Forbidden:
    return Forbidden.of(resource, name, why)
