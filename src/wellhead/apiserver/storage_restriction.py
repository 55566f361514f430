"""What a node's provisioner may change: volumes of its own directories, and no other's."""

from __future__ import annotations

from wellhead.api import meta
from wellhead.api.errors import Forbidden
from wellhead.api.meta import Obj
from wellhead.api.names import HOSTNAME_LABEL, LOCAL_PATH
from wellhead.api.resource import Resource
from wellhead.api.resources import PERSISTENTVOLUMES, STORAGECLASSES
from wellhead.api.storage import PROVISIONED_BY
from wellhead.apiserver.authn import User
from wellhead.apiserver.node_identity import placed_on

_USER = "wellhead:node-storage"


def check_storage(user: User, resource: Resource, *objects: Obj) -> None:
    """Of each version of an object that there is or shall be. Raises Forbidden."""
    if user.name != _USER:
        return
    for obj in filter(None, objects):
        name = (obj.get("metadata") or {}).get("name") or ""
        if resource == STORAGECLASSES and obj.get("provisioner") != LOCAL_PATH:
            raise Forbidden.of(resource, name, f"a node's provisioner offers {LOCAL_PATH} only")
        if resource == PERSISTENTVOLUMES and not _is_of(obj, placed_on(user) or ""):
            text = "a node's provisioner may change volumes of the node that it runs on only"
            raise Forbidden.of(resource, name, text)


def _is_of(volume: Obj, node: str) -> bool:
    spec = volume.get("spec") or {}
    terms = ((spec.get("nodeAffinity") or {}).get("required") or {}).get("nodeSelectorTerms")
    here = {"key": HOSTNAME_LABEL, "operator": "In", "values": [node]}
    return (
        bool(node)
        and meta.annotations(volume).get(PROVISIONED_BY) == LOCAL_PATH
        and spec.get("local") is not None
        and terms == [{"matchExpressions": [here]}]
    )
