"""Which claims a node's provisioner serves, what it makes, and what becomes of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from wellhead.api.kinds.storage import volumes
from wellhead.api.meta import Obj
from wellhead.api.names import LOCAL_PATH
from wellhead.api.storage import PROVISIONER, SELECTED_NODE
from wellhead.node.storage import plan
from wellhead.node.volumes import claims


def claim(node: str = "node-1", **spec: Any) -> Obj:
    annotations = {PROVISIONER: LOCAL_PATH, SELECTED_NODE: node}
    base = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
    metadata = {"name": "c", "namespace": "n", "uid": "u", "annotations": annotations}
    return {"metadata": metadata, "spec": base | {"storageClassName": "local-path"} | spec}


def volume(phase: str = "Bound", *, deleting: bool = False, policy: str = "Delete") -> Obj:
    made = plan.volume_for(claim(), plan.CLASS, "node-1", Path("/x/pvc-u"))
    made["spec"]["persistentVolumeReclaimPolicy"] = policy
    if deleting:
        made["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    return made | {"status": {"phase": phase}}


def test_a_claim_is_served_by_the_node_that_was_chosen() -> None:
    assert plan.is_wanted(claim(), "node-1")
    assert not plan.is_wanted(claim(), "node-2")
    assert not plan.is_wanted(claim(volumeName="v"), "node-1")


@pytest.mark.parametrize(
    "spec",
    [
        {"accessModes": ["ReadWriteMany"]},
        {"volumeMode": "Block"},
        {"dataSource": {"kind": "PersistentVolumeClaim", "name": "x"}},
        {"selector": {} | {"matchLabels": {"a": "b"}}},
    ],
)
def test_what_a_directory_cannot_be_is_refused(spec: Obj) -> None:
    assert plan.refusal(claim(**spec), plan.CLASS)
    assert not plan.refusal(claim(), plan.CLASS)


def test_the_volume_is_valid_and_of_this_node() -> None:
    made = volume()
    assert volumes.KIND.strategy.validate(made) == []
    assert plan.is_ours(made, "node-1")
    assert not plan.is_ours(made, "node-2")


@pytest.mark.parametrize(
    ("obj", "step"),
    [
        (volume("Bound"), ""),
        (volume("Available"), ""),
        (volume("Released"), "delete"),
        (volume("Released", policy="Retain"), ""),
        (volume("Bound", deleting=True), ""),
        (volume("Released", deleting=True), "delete"),
        (volume("Released", deleting=True, policy="Retain"), "let go"),
    ],
)
def test_what_is_due(obj: Obj, step: str) -> None:
    assert plan.step(obj) == step


def test_fsgroup_owns_a_tree_and_follows_no_link(tmp_path: Path) -> None:
    top, outside = tmp_path / "top", tmp_path / "outside"
    (top / "d").mkdir(parents=True)
    (top / "d/f").write_text("x")
    outside.write_text("x")
    (top / "l").symlink_to(outside)
    claims.give_to_group(top, 1234, only_if_other=False)
    assert [path.stat().st_gid for path in (top, top / "d", top / "d/f")] == [1234] * 3
    assert top.stat().st_mode & 0o2070 == 0o2070
    assert outside.stat().st_gid != 1234
    (top / "d/f").chmod(0o400)
    claims.give_to_group(top, 1234, only_if_other=True)
    assert (top / "d/f").stat().st_mode & 0o777 == 0o400
