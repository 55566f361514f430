"""Kinds with few rules: of CSI, of devices, of flow control."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.api.objects import create, named, problems, update
from wellhead.api.errors import Invalid
from wellhead.api.kinds.devices import RESOURCECLAIMS, RESOURCESLICES
from wellhead.api.kinds.flowcontrol import FLOWSCHEMAS, PRIORITYLEVELS
from wellhead.api.kinds.storage.csi import CSIDRIVERS, CSINODES, VOLUMEATTACHMENTS
from wellhead.api.meta import Obj
from wellhead.api.resource import Resource
from wellhead.api.tables import to_table

CLAIM: Obj = {"devices": {"requests": [{"name": "r", "exactly": {"deviceClassName": "gpu"}}]}}


def shown(resource: Resource, obj: Obj) -> list[Any]:
    cells: list[Any] = to_table(resource, [obj])["rows"][0]["cells"]
    return cells


@pytest.mark.parametrize(
    ("resource", "obj", "said"),
    [
        (
            VOLUMEATTACHMENTS,
            named(spec={"attacher": "a.b", "nodeName": "n", "source": {}}),
            [
                "spec.source: Required value: must specify exactly one of inlineVolumeSpec and "
                "persistentVolumeName"
            ],
        ),
        (
            CSINODES,
            named(spec={"drivers": [{"name": "a.b", "nodeID": "n"}, {"name": "a.b", "nodeID": "n"}]}),
            ['spec.drivers[1].name: Duplicate value: "a.b"'],
        ),
        (
            CSIDRIVERS,
            named("a.b", spec={"tokenRequests": [{"audience": "x", "expirationSeconds": 1}]}),
            [
                "spec.tokenRequests[0].expirationSeconds: Invalid value: 1: may not specify a duration less "
                "than 10 minutes"
            ],
        ),
        (
            RESOURCECLAIMS,
            named(spec={"devices": {"requests": [{"name": "r"}]}}),
            [
                "spec.devices.requests[0]: Required value: exactly one of `exactly` or `firstAvailable` is "
                "required"
            ],
        ),
        (
            FLOWSCHEMAS,
            named(spec={"priorityLevelConfiguration": {"name": "x"}, "rules": [{"subjects": []}]}),
            [
                "spec.rules[0].subjects: Required value: subjects must contain at least one value",
                "spec.rules[0]: Required value: at least one of resourceRules and nonResourceRules has to be "
                "non-empty",
            ],
        ),
        (
            PRIORITYLEVELS,
            named(
                spec={
                    "type": "Limited",
                    "limited": {"limitResponse": {"type": "Queue", "queuing": {"queues": 4, "handSize": 5}}},
                }
            ),
            [
                "spec.limited.limitResponse.queuing.handSize: Invalid value: 5: should not be greater than "
                "queues (4)"
            ],
        ),
    ],
)
def test_what_is_wrong_is_said(resource: Resource, obj: Obj, said: list[str]) -> None:
    with pytest.raises(Invalid) as refused:
        create(resource, obj)
    assert problems(refused.value) == said


def test_a_driver_has_defaults_and_columns() -> None:
    made = create(CSIDRIVERS, named("a.b", spec={}))
    assert shown(CSIDRIVERS, made)[:7] == ["a.b", True, False, False, "<unset>", False, "Persistent"]
    changed = update(CSIDRIVERS, {**made, "spec": {**made["spec"], "requiresRepublish": True}}, made)
    assert changed["metadata"]["generation"] == 1


def test_a_claim_is_pending_then_reserved() -> None:
    made = create(RESOURCECLAIMS, named(spec=CLAIM))
    exactly = made["spec"]["devices"]["requests"][0]["exactly"]
    assert (exactly["allocationMode"], exactly["count"]) == ("ExactCount", 1)
    assert shown(RESOURCECLAIMS, made)[1] == "pending"
    result = {"request": "r", "driver": "a.b", "pool": "p", "device": "d"}
    status = {
        "allocation": {"devices": {"results": [result]}},
        "reservedFor": [{"resource": "pods", "name": "p", "uid": "1"}],
    }
    held = update(RESOURCECLAIMS, {**made, "status": status}, made, "status")
    assert shown(RESOURCECLAIMS, held)[1] == "allocated,reserved"
    with pytest.raises(Invalid, match="field is immutable"):
        update(RESOURCECLAIMS, {**made, "spec": {}}, made)


def test_a_slice_is_of_one_place() -> None:
    spec = {"driver": "a.b", "pool": {"name": "p", "resourceSliceCount": 1, "generation": 1}}
    made = create(RESOURCESLICES, named(spec={**spec, "nodeName": "n"}))
    assert shown(RESOURCESLICES, made)[1:4] == ["n", "a.b", "p"]
    with pytest.raises(Invalid, match="exactly one of `nodeName`"):
        create(RESOURCESLICES, named(spec={**spec, "nodeName": "n", "allNodes": True}))


def test_a_level_gets_its_shares_and_queues() -> None:
    response: Obj = {"type": "Queue", "queuing": {}}
    made = create(PRIORITYLEVELS, named(spec={"type": "Limited", "limited": {"limitResponse": response}}))
    assert shown(PRIORITYLEVELS, made)[1:6] == ["Limited", 30, 64, 8, 50]
