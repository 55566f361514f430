"""The defaults in OpenAPI 3: what a value is where nothing was sent, as Go has it. Version 2 leaves them out.

What Go holds by value and writes always has its zero for a default. Beside those are the few that upstream's
types name.
"""

from __future__ import annotations

from typing import Any

from wellhead.api import go_values
from wellhead.api.definitions import INT_OR_STRING, META_PREFIX, QUANTITY, definition
from wellhead.api.meta import Obj

_LIST_META = META_PREFIX + "ListMeta"
_NO_ZERO = (INT_OR_STRING, QUANTITY, "io.k8s.apimachinery.pkg.runtime.RawExtension", "byte")
"""Types whose zero upstream's documents don't show."""
_RBD = {"keyring": "/etc/ceph/keyring", "pool": "rbd", "user": "admin"}
_SCALE_IO = {"fsType": "xfs", "storageMode": "ThinProvisioned"}
_NAMED: dict[str, dict[str, Any]] = {
    "apps.v1.ReplicaSetSpec": {"template": {}},
    "authentication.v1.SelfSubjectReviewStatus": {"userInfo": {}},
    "authentication.v1.TokenRequestStatus": {"token": ""},
    "authentication.v1.TokenReviewStatus": {"user": {}},
    "autoscaling.v1.ScaleSpec": {"replicas": 0},
    "batch.v1.PodFailurePolicyOnPodConditionsPattern": {"status": ""},
    "core.v1.AzureDiskVolumeSource": {
        "cachingMode": "ReadWrite",
        "fsType": "ext4",
        "kind": "Shared",
        "readOnly": False,
    },
    "core.v1.ConfigMapEnvSource": {"name": ""},
    "core.v1.ConfigMapKeySelector": {"name": ""},
    "core.v1.ConfigMapProjection": {"name": ""},
    "core.v1.ConfigMapVolumeSource": {"name": ""},
    "core.v1.ContainerPort": {"protocol": "TCP"},
    "core.v1.FileKeySelector": {"optional": False},
    "core.v1.GRPCAction": {"service": ""},
    "core.v1.ISCSIPersistentVolumeSource": {"iscsiInterface": "default"},
    "core.v1.ISCSIVolumeSource": {"iscsiInterface": "default"},
    "core.v1.LocalObjectReference": {"name": ""},
    "core.v1.RBDPersistentVolumeSource": _RBD,
    "core.v1.RBDVolumeSource": _RBD,
    "core.v1.ReplicationControllerSpec": {"minReadySeconds": 0, "replicas": 1},
    "core.v1.ScaleIOPersistentVolumeSource": _SCALE_IO,
    "core.v1.ScaleIOVolumeSource": _SCALE_IO,
    "core.v1.SecretEnvSource": {"name": ""},
    "core.v1.SecretKeySelector": {"name": ""},
    "core.v1.SecretProjection": {"name": ""},
    "core.v1.ServicePort": {"protocol": "TCP"},
    "resource.v1.DeviceToleration": {"operator": "Equal"},
}


def add_defaults(name: str, schema: Obj, written: Obj) -> None:
    """In place: to the properties of a definition, `written` in OpenAPI's form."""
    properties = written.get("properties") or {}
    known = definition(name, schema)
    defaults = {
        field: nothing
        for field, nothing in known.always
        if nothing is not None and known.fields[field].type not in _NO_ZERO
    }
    defaults |= {field: {} for field, each in known.fields.items() if each.type == _LIST_META}
    defaults |= _NAMED.get(go_values.short_name(name), {})
    for field, default in defaults.items():
        properties[field]["default"] = default
