"""What creates and updates record."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.api.managed_fields.objects import CONFIGMAP, DEPLOYMENT, POD, SERVICE, Live
from wellhead.api.managed_fields.compare import compare
from wellhead.api.managed_fields.types import custom_type
from wellhead.api.managed_fields.update import settled
from wellhead.api.meta import Obj


def test_a_new_object_is_its_creators_but_for_what_is_the_servers() -> None:
    service = Live(SERVICE).update(
        "kubectl-create",
        {
            "metadata": {"uid": "u", "creationTimestamp": "2026-01-01T00:00:00Z", "labels": {"app": "a"}},
            "spec": {
                "type": "ClusterIP",
                "selector": {"app": "a"},
                "ports": [{"port": 80, "protocol": "TCP", "targetPort": "http"}],
            },
        },
    )
    assert service.object["metadata"]["managedFields"] == [
        {
            "manager": "kubectl-create",
            "operation": "Update",
            "apiVersion": "v1",
            "time": "2026-01-01T00:00:01Z",
            "fieldsType": "FieldsV1",
            "fieldsV1": {
                "f:metadata": {"f:labels": {".": {}, "f:app": {}}},
                "f:spec": {
                    "f:type": {},
                    "f:selector": {},  # a map that is replaced as a whole
                    "f:ports": {
                        ".": {},
                        'k:{"port":80,"protocol":"TCP"}': {
                            ".": {},
                            "f:port": {},
                            "f:protocol": {},
                            "f:targetPort": {},
                        },
                    },
                },
            },
        }
    ]


def test_structs_that_go_always_has_are_nobodys_own() -> None:
    deployment = Live(DEPLOYMENT).update(
        "c",
        {
            "spec": {
                "selector": {"matchLabels": {"a": "b"}},
                "strategy": {"rollingUpdate": {"maxSurge": 1}},
                "template": {"spec": {"containers": [{"name": "c"}], "securityContext": {}}},
            }
        },
    )
    assert deployment.fields("c")["f:spec"] == {
        "f:selector": {},
        "f:strategy": {"f:rollingUpdate": {".": {}, "f:maxSurge": {}}},
        "f:template": {
            "f:spec": {
                "f:containers": {'k:{"name":"c"}': {".": {}, "f:name": {}, "f:resources": {}}},
                "f:securityContext": {},
            }
        },
    }


def test_who_changes_a_field_takes_it_from_the_one_who_had_it() -> None:
    config = Live(CONFIGMAP).update("one", {"data": {"a": "1", "b": "1"}})
    config.update("two", {"data": {"a": "2", "b": "1"}})
    assert config.fields("one") == {"f:data": {".": {}, "f:b": {}}}
    assert config.fields("two") == {"f:data": {"f:a": {}}}


def test_what_is_removed_is_nobodys() -> None:
    config = Live(CONFIGMAP).update("one", {"data": {"a": "1", "b": "1"}})
    config.update("two", {"data": {"b": "1"}})
    assert config.fields("one") == {"f:data": {".": {}, "f:b": {}}}
    assert config.managers == ["one"]


def test_the_time_changes_only_with_the_fields() -> None:
    config = Live(CONFIGMAP).update("one", {"data": {"a": "1"}})
    before = config.object
    config.update("one", {"data": {"a": "1"}})
    assert config.object == before
    config.update("one", {"data": {"a": "2"}})
    assert config.object["metadata"]["managedFields"][0]["time"] == "2026-01-01T00:00:03Z"


def test_a_subresource_is_a_manager_of_its_own() -> None:
    pod = Live(POD).update("kubelet", {"spec": {"containers": [{"name": "c"}]}})
    spec = pod.object["spec"]
    conditions = [{"type": "Ready", "status": "True"}]
    pod.update("kubelet", {"spec": spec, "status": {"conditions": conditions}}, "status")
    entries = pod.object["metadata"]["managedFields"]
    assert [entry.get("subresource") for entry in entries] == [None, "status"]
    assert entries[1]["fieldsV1"] == {
        "f:status": {"f:conditions": {".": {}, 'k:{"type":"Ready"}': {".": {}, "f:status": {}, "f:type": {}}}}
    }


def test_an_object_without_a_record_isnt_tracked_before_it_is_applied_to() -> None:
    config = Live(CONFIGMAP)
    config.object = config._named({"data": {"a": "1"}})
    config.update("one", {"data": {"a": "2"}})
    assert config.managers == []


def test_an_empty_record_begins_anew() -> None:
    resets: list[list[Obj]] = [[], [{}]]
    for reset in resets:
        config = Live(CONFIGMAP).update("one", {"data": {"a": "1"}})
        config.update("one", {"metadata": {"managedFields": reset}, "data": {"a": "1"}})
        assert config.managers == []


def test_a_record_that_makes_no_sense_doesnt_count() -> None:
    config = Live(CONFIGMAP).update("one", {"data": {"a": "1"}})
    broken = [{"manager": "x", "operation": "Nonsense", "apiVersion": "v1", "fieldsType": "FieldsV1"}]
    config.update("one", {"metadata": {"managedFields": broken}, "data": {"a": "1"}})
    assert config.managers == ["one"]


def test_a_record_may_be_written() -> None:
    config = Live(CONFIGMAP).update("one", {"data": {"a": "1"}})
    entry = config.object["metadata"]["managedFields"][0] | {"manager": "other"}
    config.update("one", {"metadata": {"managedFields": [entry]}, "data": {"a": "1"}})
    assert config.managers == ["other"]


def test_of_those_who_update_ten_are_remembered() -> None:
    config = Live(CONFIGMAP)
    for number in range(15):
        data = (config.object.get("data") or {}) | {f"k{number}": "v"}
        config.update(f"manager-{number:02}", {"data": data})
    assert len(config.managers) == 10
    assert config.managers[0] == "ancient-changes"
    assert config.fields("ancient-changes")["f:data"].keys() >= {"f:k0", "f:k5"}


def test_times_alone_are_no_change() -> None:
    config = Live(CONFIGMAP).update("one", {"data": {"a": "1"}})
    old = config.object
    entries = [entry | {"time": "2027-01-01T00:00:00Z"} for entry in old["metadata"]["managedFields"]]
    new = old | {"metadata": old["metadata"] | {"managedFields": entries}}
    settled(old, new)
    assert new == old


def test_a_version_that_isnt_served_any_more_has_no_managers() -> None:
    config = Live(CONFIGMAP).update("one", {"data": {"a": "1"}})
    entry = config.object["metadata"]["managedFields"][0] | {"apiVersion": "v0"}
    config.update("two", {"metadata": {"managedFields": [entry]}, "data": {"a": "2"}})
    assert config.managers == ["two"]


ANY = custom_type({"type": "object", "properties": {"any": {"x-kubernetes-preserve-unknown-fields": True}}})
INSIDE: Obj = {"f:a": {}, "f:b": {".": {}, "f:c": {}}}


@pytest.mark.parametrize(
    ("old", "new", "changed", "removed"),
    [
        (1, {"a": 1, "b": {"c": 2}}, {".": {}, **INSIDE}, {}),
        ({"a": 1, "b": {"c": 2}}, 1, {}, INSIDE),
        (None, {"a": 1, "b": {"c": 2}}, INSIDE, {}),
        (None, {}, {}, {}),
        ([1], {}, {}, {}),
    ],
)
def test_a_value_of_another_sort_brings_what_is_in_it(old: Any, new: Any, changed: Any, removed: Any) -> None:
    found = compare(ANY, {"any": old}, {"any": new})
    assert found == ({"f:any": changed}, {"f:any": removed} if removed else {})
