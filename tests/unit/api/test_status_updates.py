"""What of an object an update of its status writes along, by kind: as upstream's strategies have it."""

from __future__ import annotations

import pytest

from wellhead.api import writes
from wellhead.api.meta import Obj
from wellhead.api.resource import Resource
from wellhead.api.resources import RESOURCES

WITH_STATUS = [each for each in RESOURCES if each.has_status]
ALL = {"labels", "annotations", "finalizers", "ownerReferences"}
NOT_WRITTEN = {
    "deployments": {"labels"},
    "pods": {"ownerReferences"},
    "servicecidrs": ALL,
    "apiservices": ALL,
    "devicetaintrules": ALL,
    "flowschemas": ALL,
    "prioritylevelconfigurations": ALL,
    "resourceclaims": ALL,
    "validatingadmissionpolicies": ALL,
    "volumeattachments": ALL,
}
FORGED: Obj = {
    "labels": {"app": "somebody-elses"},
    "annotations": {"a": "b"},
    "finalizers": ["example.com/x"],
    "ownerReferences": [{"apiVersion": "v1", "kind": "Pod", "name": "a", "uid": "b"}],
    "creationTimestamp": "2020-01-01T00:00:00Z",
    "deletionTimestamp": "2020-01-01T00:00:00Z",
    "generation": 17,
}


@pytest.mark.parametrize("resource", WITH_STATUS, ids=lambda each: each.plural)
def test_a_status_update_changes_no_more_than_upstreams(resource: Resource) -> None:
    metadata: Obj = {"name": "a", "uid": "u", "generation": 1, "creationTimestamp": "2026-01-01T00:00:00Z"}
    if resource.namespaced:
        metadata["namespace"] = "default"
    old: Obj = {"apiVersion": resource.api_version, "kind": resource.kind, "metadata": metadata, "spec": {}}
    sent = {**old, "metadata": {**metadata, **FORGED}, "spec": {"forged": True}, "status": {"x": 1}}
    combined = writes.combined(resource, sent, old, "status")
    written = {
        name for name, value in combined["metadata"].items() if name in FORGED and value == FORGED[name]
    }
    assert written == ALL - NOT_WRITTEN.get(resource.plural, set())
    assert combined["spec"] == {}
    assert combined["status"] == {"x": 1}


@pytest.mark.parametrize("resource", WITH_STATUS, ids=lambda each: each.plural)
def test_what_a_status_update_leaves_out_of_what_it_writes_is_gone(resource: Resource) -> None:
    metadata: Obj = {"name": "a", "namespace": "default", "uid": "u", **FORGED}
    old: Obj = {"apiVersion": resource.api_version, "kind": resource.kind, "metadata": metadata}
    combined = writes.combined(resource, {"metadata": {"name": "a"}, "status": {}}, old, "status")
    assert ALL & combined["metadata"].keys() == NOT_WRITTEN.get(resource.plural, set())
    assert combined["metadata"]["uid"] == "u"
