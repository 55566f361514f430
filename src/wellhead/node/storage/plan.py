"""What the provisioner is to do about a claim or a volume. Pure.

Source: the protocol of external provisioners, sigs.k8s.io/sig-storage-lib-external-provisioner.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from wellhead.api import meta
from wellhead.api.kinds.storage import classes, modes
from wellhead.api.meta import Obj, is_deleting
from wellhead.api.names import HOSTNAME_LABEL, LOCAL_PATH
from wellhead.api.storage import PROVISIONED_BY, PROVISIONER, SELECTED_NODE, Node, allows

CLASS_NAME = "local-path"
_ACCESS = frozenset({"ReadWriteOnce", "ReadWriteOncePod"})

CLASS: Obj = {
    "apiVersion": "storage.k8s.io/v1",
    "kind": "StorageClass",
    "metadata": {"name": CLASS_NAME, "annotations": {classes.DEFAULT_ANNOTATION: "true"}},
    "provisioner": LOCAL_PATH,
    "reclaimPolicy": "Delete",
    "volumeBindingMode": "WaitForFirstConsumer",
}


def is_wanted(claim: Obj, node: str) -> bool:
    """Whether a claim waits for a volume of this node's."""
    named = meta.annotations(claim)
    return (
        named.get(PROVISIONER) == LOCAL_PATH
        and named.get(SELECTED_NODE) == node
        and not claim["spec"].get("volumeName")
        and not is_deleting(claim)
    )


def refusal(claim: Obj, storage_class: Obj | None) -> str:
    """Why a claim can't have a directory; "" if it can."""
    spec = claim["spec"]
    if storage_class is None:
        return f'storageclass.storage.k8s.io "{modes.class_of(claim)}" not found'
    if other := set(spec.get("accessModes") or ()) - _ACCESS:
        return f"access mode {sorted(other)[0]} can't be had: it is a directory of one node"
    if (spec.get("volumeMode") or "Filesystem") != "Filesystem":
        return "a block device can't be had: it is a directory"
    if spec.get("dataSource") or spec.get("dataSourceRef"):
        return "a data source can't be had: a new directory is empty"
    if spec.get("selector"):
        return "claim.spec.selector can't be had: volumes are made as they are asked for"
    return ""


def name_for(claim: Obj) -> str:
    """What the claim's volume is called."""
    return f"pvc-{claim['metadata']['uid']}"


def volume_for(claim: Obj, storage_class: Obj, node: str, path: Path) -> Obj:
    """The claim's volume, a directory at `path` of this node."""
    metadata, spec = claim["metadata"], claim["spec"]
    here = {"key": HOSTNAME_LABEL, "operator": "In", "values": [node]}
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {
            "name": name_for(claim),
            "annotations": {PROVISIONED_BY: LOCAL_PATH},
            "finalizers": [LOCAL_PATH],
        },
        "spec": {
            "capacity": {"storage": spec["resources"]["requests"]["storage"]},
            "accessModes": list(spec["accessModes"]),
            "persistentVolumeReclaimPolicy": storage_class.get("reclaimPolicy") or "Delete",
            "storageClassName": storage_class["metadata"]["name"],
            "volumeMode": "Filesystem",
            "claimRef": {
                "apiVersion": "v1",
                "kind": "PersistentVolumeClaim",
                "namespace": metadata["namespace"],
                "name": metadata["name"],
                "uid": metadata["uid"],
            },
            "nodeAffinity": {"required": {"nodeSelectorTerms": [{"matchExpressions": [here]}]}},
            "local": {"path": str(path)},
        },
    }


def is_ours(volume: Obj, node: str) -> bool:
    """Whether a volume is a directory that this node has made."""
    if meta.annotations(volume).get(PROVISIONED_BY) != LOCAL_PATH or not volume["spec"].get("local"):
        return False
    return volume["spec"].get("nodeAffinity") is not None and allows(volume, _node(node))


def _node(name: str) -> Node:
    labels: Mapping[str, str] = {HOSTNAME_LABEL: name}
    return Node(name, labels)


def step(volume: Obj) -> Literal["delete", "let go", ""]:
    """What is due for a volume of ours: it and its directory go; it goes, and the directory stays."""
    deletes = volume["spec"].get("persistentVolumeReclaimPolicy") == "Delete"
    phase = (volume.get("status") or {}).get("phase")
    if is_deleting(volume):
        if LOCAL_PATH not in (volume["metadata"].get("finalizers") or ()) or phase == "Bound":
            return ""
        return "delete" if deletes else "let go"
    return "delete" if deletes and phase in ("Released", "Failed") else ""
