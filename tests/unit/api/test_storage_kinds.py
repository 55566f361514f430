"""PersistentVolumes, claims and classes: defaults, what is refused, what may change, columns."""

from __future__ import annotations

from copy import deepcopy
from datetime import UTC, datetime
from typing import Any

import pytest

from wellhead.api.errors import Cause
from wellhead.api.kinds.storage import claims, classes, modes, volumes
from wellhead.api.meta import Obj
from wellhead.api.strategy import Context

NOW = datetime(2026, 1, 1, tzinfo=UTC)
AFFINITY = {
    "required": {
        "nodeSelectorTerms": [
            {"matchExpressions": [{"key": "kubernetes.io/hostname", "operator": "In", "values": ["a"]}]}
        ]
    }
}


def volume(**spec: Any) -> Obj:
    base = {"capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteOnce"], "hostPath": {"path": "/x"}}
    obj: Obj = {"metadata": {"name": "v"}, "spec": base | spec}
    volumes.KIND.strategy.default(obj)
    return obj


def claim(**spec: Any) -> Obj:
    base = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
    obj: Obj = {"metadata": {"name": "c", "namespace": "n"}, "spec": base | spec}
    claims.KIND.strategy.default(obj)
    return obj


def fields(causes: list[Cause]) -> list[str]:
    return [each.field for each in causes]


def test_defaults() -> None:
    assert volume()["spec"]["persistentVolumeReclaimPolicy"] == "Retain"
    assert volume()["spec"]["volumeMode"] == claim()["spec"]["volumeMode"] == "Filesystem"
    storage_class: Obj = {"metadata": {"name": "s"}, "provisioner": "x/y"}
    classes.KIND.strategy.default(storage_class)
    assert (storage_class["reclaimPolicy"], storage_class["volumeBindingMode"]) == ("Delete", "Immediate")
    assert classes.KIND.strategy.validate(storage_class) == []


@pytest.mark.parametrize(
    ("spec", "field"),
    [
        ({"accessModes": []}, "spec.accessModes"),
        ({"accessModes": ["X"]}, "spec.accessModes"),
        ({"accessModes": ["ReadWriteOncePod", "ReadWriteOnce"]}, "spec.accessModes"),
        ({"capacity": {"storage": "0"}}, "spec.capacity[storage]"),
        ({"capacity": {"storage": "1", "x": "1"}}, "spec.capacity"),
        ({"hostPath": None}, "spec"),
        ({"nfs": {"server": "s", "path": "/p"}}, "spec.nfs"),
        ({"hostPath": {"path": "/a/../b"}}, "spec.hostPath.path"),
        ({"hostPath": None, "local": {"path": "/a"}}, "spec.nodeAffinity"),
        ({"nodeAffinity": {}}, "spec.nodeAffinity.required"),
        ({"persistentVolumeReclaimPolicy": "X"}, "spec.persistentVolumeReclaimPolicy"),
        ({"volumeMode": "X"}, "spec.volumeMode"),
        ({"storageClassName": "X"}, "spec.storageClassName"),
        ({"volumeAttributesClassName": "x"}, "spec.csi"),
    ],
)
def test_a_volume_is_refused(spec: Obj, field: str) -> None:
    assert field in fields(volumes.KIND.strategy.validate(volume(**spec)))


def test_a_volumes_source_and_affinity_stay() -> None:
    old = volume(hostPath=None, local={"path": "/a"}, nodeAffinity=AFFINITY)
    assert volumes.KIND.strategy.validate_update(deepcopy(old), old) == []
    new = deepcopy(old)
    new["spec"]["local"]["path"] = "/b"
    new["spec"]["nodeAffinity"]["required"]["nodeSelectorTerms"] *= 2
    causes = volumes.KIND.strategy.validate_update(new, old)
    assert fields(causes) == ["spec.persistentvolumesource", "nodeAffinity"]


def test_a_volumes_phase_has_a_time() -> None:
    old = volume()
    old["status"] = {"phase": "Pending", "lastPhaseTransitionTime": "2026-01-01T00:00:00Z"}
    new = deepcopy(old)
    new["status"]["phase"] = "Available"
    volumes.KIND.strategy.prepare_status_update(new, old)
    assert new["status"]["lastPhaseTransitionTime"] != "2026-01-01T00:00:00Z"
    same = deepcopy(old)
    del same["status"]["lastPhaseTransitionTime"]
    volumes.KIND.strategy.prepare_status_update(same, old)
    assert same == old


@pytest.mark.parametrize(
    ("spec", "field"),
    [
        ({"accessModes": []}, "spec.accessModes"),
        ({"resources": {}}, "spec.resources[storage]"),
        ({"resources": {"requests": {"storage": "-1"}}}, "spec.resources[storage]"),
        ({"dataSource": {"kind": "X", "name": "y"}}, "spec.dataSource"),
        ({"dataSourceRef": {"apiGroup": "g.k", "kind": "X"}}, "spec.dataSourceRef.name"),
        ({"selector": {"matchLabels": {"a b": "c"}}}, "spec.selector.matchLabels"),
    ],
)
def test_a_claim_is_refused(spec: Obj, field: str) -> None:
    assert field in fields(claims.KIND.strategy.validate(claim(**spec)))


def changed(old: Obj, **spec: Any) -> list[Cause]:
    new = deepcopy(old)
    new["spec"].update(spec)
    return claims.KIND.strategy.validate_update(new, old)


def test_a_claim_stays_but_for_its_volume_and_a_bound_ones_size() -> None:
    old = claim()
    bigger = {"requests": {"storage": "2Gi"}}
    assert changed(old, volumeName="v") == []
    assert fields(changed(old, resources=bigger)) == ["spec"]
    assert fields(changed(old, accessModes=["ReadWriteMany"])) == ["spec"]
    old["status"] = {"phase": "Bound", "capacity": {"storage": "1Gi"}}
    old["spec"]["volumeName"] = "v"
    assert changed(old, resources=bigger) == []
    assert fields(changed(old, volumeName="w")) == ["spec"]
    smaller = {"requests": {"storage": "1Mi"}}
    assert fields(changed(old, resources=smaller)) == ["spec.resources.requests.storage"]


def test_a_class_may_come_but_not_change() -> None:
    assert changed(claim(), storageClassName="a") == []
    assert fields(changed(claim(storageClassName="a"), storageClassName="b")) == ["spec"]
    assert fields(changed(claim(storageClassName=""), storageClassName="b")) == ["spec"]


def test_both_fields_of_a_data_source_say_the_same() -> None:
    obj = claim(dataSource={"kind": "PersistentVolumeClaim", "name": "other"})
    claims.KIND.strategy.prepare_create(obj, Context())
    assert obj["spec"]["dataSourceRef"] == obj["spec"]["dataSource"]
    odd = claim(dataSource={"apiGroup": "x.y", "kind": "Z", "name": "other"})
    claims.KIND.strategy.prepare_create(odd, Context())
    assert "dataSource" not in odd["spec"]


def test_the_newest_default_class_counts() -> None:
    def made(name: str, at: str, default: str = "true") -> Obj:
        annotations = {classes.DEFAULT_ANNOTATION: default}
        return {"metadata": {"name": name, "creationTimestamp": at, "annotations": annotations}}

    found = [made("b", "2026-01-02"), made("a", "2026-01-02"), made("c", "2026-01-01")]
    assert classes.default_of(found) == "a"
    assert classes.default_of([made("x", "2026-01-02", "false")]) is None


def test_a_class_stays_as_it_is() -> None:
    old: Obj = {"metadata": {"name": "s"}, "provisioner": "x/y", "reclaimPolicy": "Delete"}
    classes.KIND.strategy.default(old)
    new = old | {"provisioner": "x/z", "parameters": {"a": "b"}, "allowVolumeExpansion": True}
    assert fields(classes.KIND.strategy.validate_update(new, old)) == ["parameters", "provisioner"]


def test_columns() -> None:
    bound = claim(volumeName="v", storageClassName="s")
    bound["status"] = {"phase": "Bound", "capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteOnce"]}
    cells = claims.KIND.printer.cells(bound, NOW)
    assert cells[:7] == ["c", "Bound", "v", "1Gi", "RWO", "s", "<unset>"]
    owned = volume(claimRef={"namespace": "n", "name": "c"})
    assert volumes.KIND.printer.cells(owned, NOW)[:8] == [
        *("v", "1Gi", "RWO", "Retain", "Pending", "n/c", "", "<unset>")
    ]
    storage_class: Obj = {
        "metadata": {"name": "s", "annotations": {classes.DEFAULT_ANNOTATION: "true"}},
        "provisioner": "x/y",
    }
    assert classes.KIND.printer.cells(storage_class, NOW)[:5] == [
        *("s (default)", "x/y", "Delete", "Immediate", False)
    ]
    assert modes.short(["ReadWriteMany", "ReadOnlyMany"]) == "ROX,RWX"
