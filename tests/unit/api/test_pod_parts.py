"""Ephemeral containers and resizes: what may change of a living pod by a subresource, and nothing else."""

from __future__ import annotations

import json
from copy import deepcopy
from typing import Any

import pytest

from wellhead.api import writes
from wellhead.api.errors import Invalid
from wellhead.api.managed_fields.entries import Entry
from wellhead.api.meta import Obj
from wellhead.api.resources import PODS
from wellhead.api.strategy import Context


def pod(**resources: Any) -> Obj:
    given = {"requests": {"cpu": "100m", "memory": "1Mi"}} | resources
    main = {"name": "main", "image": "i", "resources": given}
    sent: Obj = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "p", "namespace": "n"},
        "spec": {"containers": [main], "initContainers": [{"name": "init", "image": "i"}]},
    }
    context = Context("n")
    return writes.create(PODS, writes.received(PODS, sent, context), context)


def change(old: Obj, subresource: str, **spec: Any) -> Obj:
    new = deepcopy(old)
    new["spec"].update(deepcopy(spec))
    context = Context("n")
    return writes.update(
        PODS, writes.received(PODS, new, context, old, subresource), old, context, subresource
    )


def debugger(**fields: Any) -> Obj:
    return {"name": "debugger", "image": "i", **fields}


def test_an_ephemeral_container_comes_and_nothing_else_changes() -> None:
    old = pod()
    new = change(old, "ephemeralcontainers", ephemeralContainers=[debugger()], nodeName="elsewhere")
    [added] = new["spec"]["ephemeralContainers"]
    assert added["terminationMessagePath"] == "/dev/termination-log"
    assert "nodeName" not in new["spec"]
    assert new["metadata"]["generation"] == 2
    two = change(new, "ephemeralcontainers", ephemeralContainers=[added, debugger(name="second")])
    assert len(two["spec"]["ephemeralContainers"]) == 2
    with pytest.raises(Invalid, match="may not be removed"):
        change(new, "ephemeralcontainers", ephemeralContainers=[])
    with pytest.raises(Invalid, match="may not be changed"):
        change(new, "ephemeralcontainers", ephemeralContainers=[{**added, "image": "other"}])
    with pytest.raises(Invalid, match="pod updates may not change"):
        change(old, "", ephemeralContainers=[debugger()])


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"name": "main"}, "Duplicate value"),
        ({"targetContainerName": "nobody"}, "Not found"),
        ({"ports": [{"containerPort": 80}]}, "cannot be set for an Ephemeral Container"),
        ({"resources": {"limits": {"cpu": "1"}}}, "cannot be set for an Ephemeral Container"),
        ({"lifecycle": {"preStop": {"sleep": {"seconds": 1}}}}, "cannot be set for an Ephemeral"),
    ],
)
def test_what_an_ephemeral_container_cannot_have(fields: Obj, message: str) -> None:
    with pytest.raises(Invalid, match=message):
        change(pod(), "ephemeralcontainers", ephemeralContainers=[debugger(**fields)])


def resized(old: Obj, **resources: Any) -> Obj:
    container = {**old["spec"]["containers"][0], "resources": resources}
    return change(old, "resize", containers=[container])


def test_a_resize_changes_cpu_and_memory_alone() -> None:
    old = pod()
    new = change(
        old,
        "resize",
        containers=[{**old["spec"]["containers"][0], "image": "x", "resources": {"requests": {
            "cpu": "200m", "memory": "1Mi"}}}],
    )  # fmt: skip
    [container] = new["spec"]["containers"]
    assert (container["image"], container["resources"]["requests"]["cpu"]) == ("i", "200m")
    assert new["metadata"]["generation"] == 2
    for resources, message in (
        ({}, "QOS Class may not change"),
        ({"requests": {"cpu": "1"}}, "resource requests cannot be removed"),
        ({"requests": {"cpu": "1", "memory": "1Mi", "example.com/x": "1"}}, "only cpu and memory"),
    ):
        with pytest.raises(Invalid, match=message):
            resized(old, **resources)


@pytest.mark.parametrize("kind", ["containers", "initContainers"])
def test_a_resize_neither_adds_removes_renames_nor_moves_containers(kind: str) -> None:
    old = pod()
    there = old["spec"][kind]
    for containers in ([*there, {**there[0], "name": "more"}], []):
        with pytest.raises(Invalid, match=f"spec.{kind}: Forbidden: {kind} may not be added or removed"):
            change(old, "resize", **{kind: containers})
    renamed = [{**there[0], "name": "other"}]
    with pytest.raises(Invalid, match=rf"spec.{kind}\[0\].name: Forbidden: {kind} may not be renamed"):
        change(old, "resize", **{kind: renamed})


def test_a_node_that_says_nothing_of_resources_resizes_nothing() -> None:
    old = pod()
    old["status"]["containerStatuses"] = [{"name": "main", "state": {"running": {}}}]
    with pytest.raises(Invalid, match="without support for resize"):
        resized(old, requests={"cpu": "1", "memory": "1Mi"})


def test_managed_fields_are_written_in_order_since_clients_compare_bytes() -> None:
    entry = Entry("m", "Update", "v1", {"f:spec": {"f:b": {}, "f:a": {}}, ".": {}})
    written = json.dumps(entry.write()["fieldsV1"])
    assert written == json.dumps(json.loads(written), sort_keys=True)


def whole(resources: dict[str, Any], container: dict[str, Any]) -> Obj:
    sent: Obj = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "p", "namespace": "n"},
        "spec": {
            "containers": [{"name": "main", "image": "i", "resources": container}],
            "resources": resources,
        },
    }
    context = Context("n")
    return writes.create(PODS, writes.received(PODS, sent, context), context)


def test_what_a_pod_does_not_request_is_what_its_containers_do_or_its_limit() -> None:
    limits = {"cpu": "1", "memory": "64Mi"}
    made = whole({"limits": limits}, {"requests": {"cpu": "100m"}})
    assert made["spec"]["resources"]["requests"] == {"cpu": "100m", "memory": "64Mi"}
    assert made["status"]["qosClass"] == "Burstable"
    assert whole({"limits": limits}, {})["status"]["qosClass"] == "Guaranteed"


@pytest.mark.parametrize(
    ("resources", "container", "said"),
    [
        ({"requests": {"cpu": "1"}}, {"requests": {"cpu": "2"}}, "aggregate container requests of 2"),
        (
            {"limits": {"memory": "1Mi"}},
            {"limits": {"memory": "2Mi"}},
            "less than or equal to pod limits of 1Mi",
        ),
    ],
)
def test_no_container_asks_for_more_than_its_pod(
    resources: dict[str, Any], container: dict[str, Any], said: str
) -> None:
    with pytest.raises(Invalid, match=said):
        whole(resources, container)


def test_the_resources_of_a_pod_as_a_whole_are_resized_but_not_removed() -> None:
    old = whole({"requests": {"cpu": "1"}, "limits": {"cpu": "2"}}, {})
    larger = {"requests": {"cpu": "2"}, "limits": {"cpu": "3"}}
    assert change(old, "resize", resources=larger)["spec"]["resources"] == larger
    with pytest.raises(Invalid, match="pod-level resource limits cannot be removed"):
        change(old, "resize", resources={"requests": {"cpu": "1"}})
    with pytest.raises(Invalid, match="QOS Class may not change"):
        change(
            old,
            "resize",
            resources={"requests": {"cpu": "2", "memory": "1"}, "limits": {"cpu": "2", "memory": "1"}},
        )
