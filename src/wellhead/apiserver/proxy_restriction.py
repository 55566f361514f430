"""What a service proxy may change: on its own Node the announcement that it returns symmetrically. And what
enforces policies: on its own Node the condition that says whether it can.

In other clusters the ValidatingAdmissionPolicies of deploy/kube-proxy-replacement and deploy/network-policy
say the same.
"""

from __future__ import annotations

from wellhead.api.errors import Forbidden
from wellhead.api.meta import Obj
from wellhead.api.names import SYMMETRIC_RETURN_ANNOTATION
from wellhead.api.resource import Resource
from wellhead.api.resources import NODES
from wellhead.apiserver.authn import User
from wellhead.apiserver.node_identity import placed_on

_USER = "system:kube-proxy"
_POLICIES, _CONDITION = "wellhead:policy", "NetworkPolicyUnavailable"
# What the server itself keeps or counts.
_SERVERS = ("resourceVersion", "generation", "managedFields")


def check_proxy(user: User, resource: Resource, new: Obj, old: Obj) -> None:
    """Raises Forbidden."""
    if user.name != _USER or resource != NODES:
        return
    name = old["metadata"]["name"]
    if placed_on(user) != name:
        raise Forbidden.of(NODES, name, "a proxy may change the Node that it runs on only")
    if _rest(new) != _rest(old):
        text = f"a proxy may change the annotation {SYMMETRIC_RETURN_ANNOTATION} only"
        raise Forbidden.of(NODES, name, text)


def check_policies(user: User, resource: Resource, new: Obj, old: Obj) -> None:
    """Raises Forbidden."""
    if user.name != _POLICIES or resource != NODES:
        return
    name = old["metadata"]["name"]
    if placed_on(user) != name:
        raise Forbidden.of(NODES, name, "who enforces policies may change the Node that it runs on only")
    if _without_condition(new) != _without_condition(old):
        raise Forbidden.of(NODES, name, f"who enforces policies may say the condition {_CONDITION} only")


def _without_condition(node: Obj) -> Obj:
    metadata = {name: value for name, value in node["metadata"].items() if name not in _SERVERS and value}
    status = dict(node.get("status") or {})
    conditions = [each for each in status.pop("conditions", ()) if each.get("type") != _CONDITION]
    return node | {"metadata": metadata, "status": status, "conditions": conditions}


def _rest(node: Obj) -> Obj:
    metadata = {name: value for name, value in node["metadata"].items() if name not in _SERVERS and value}
    annotations = dict(metadata.pop("annotations", {}))
    annotations.pop(SYMMETRIC_RETURN_ANNOTATION, None)
    return node | {"metadata": metadata, "annotations": annotations}
