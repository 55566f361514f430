"""What a service proxy may change: on its own Node the announcement that it returns symmetrically.

In other clusters the ValidatingAdmissionPolicy of deploy/kube-proxy-replacement says the same.
"""

from __future__ import annotations

from wellhead.api.errors import Forbidden
from wellhead.api.kinds.node import SYMMETRIC_RETURN_ANNOTATION
from wellhead.api.meta import Obj
from wellhead.api.resource import Resource
from wellhead.api.resources import NODES
from wellhead.apiserver.authn import User
from wellhead.apiserver.node_identity import placed_on

_USER = "system:kube-proxy"
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


def _rest(node: Obj) -> Obj:
    metadata = {name: value for name, value in node["metadata"].items() if name not in _SERVERS and value}
    annotations = dict(metadata.pop("annotations", {}))
    annotations.pop(SYMMETRIC_RETURN_ANNOTATION, None)
    return node | {"metadata": metadata, "annotations": annotations}
