"""Grace periods, finalizers, propagation, preconditions, namespaces, and deleting many."""

from __future__ import annotations

import asyncio

import pytest

from tests.integration.apiserver.cluster import User
from tests.integration.apiserver.objects import (
    CONFIGMAPS,
    DEPLOYMENTS,
    NAMESPACES,
    PODS,
    binding,
    configmap,
    deployment,
    node,
    pod,
    service_account,
)
from wellhead.api.meta import Obj


@pytest.fixture
async def scheduled(admin: User) -> Obj:
    """The pod `a`, bound to node-1."""
    await admin.create("/api/v1/namespaces/default/serviceaccounts", service_account())
    await admin.create("/api/v1/nodes", node("node-1"))
    await admin.create(PODS, pod("a"))
    await admin.create(f"{PODS}/a/binding", binding("a"))
    found: Obj = await admin.get(f"{PODS}/a")
    return found


async def test_a_deletion_is_answered_with_a_status(admin: User) -> None:
    created = await admin.create(CONFIGMAPS, configmap("a"))
    status = await admin.delete(f"{CONFIGMAPS}/a")
    assert (status["kind"], status["status"]) == ("Status", "Success")
    assert status["details"] == {"name": "a", "kind": "configmaps", "uid": created["metadata"]["uid"]}


async def test_finalizers_hold_an_object_until_the_last_one_goes(admin: User) -> None:
    body = configmap("a")
    body["metadata"]["finalizers"] = ["example.com/x", "example.com/y"]
    await admin.create(CONFIGMAPS, body)
    marked = await admin.delete(f"{CONFIGMAPS}/a")
    assert marked["metadata"]["deletionTimestamp"]
    assert marked["metadata"]["deletionGracePeriodSeconds"] == 0
    again = await admin.delete(f"{CONFIGMAPS}/a")
    assert again["metadata"]["resourceVersion"] == marked["metadata"]["resourceVersion"]
    path = f"{CONFIGMAPS}/a"
    await admin.patch(path, {"metadata": {"finalizers": ["example.com/y"]}})
    added = await admin.call(
        "PATCH",
        path,
        {"metadata": {"finalizers": ["example.com/y", "example.com/z"]}},
        content_type="application/merge-patch+json",
    )
    assert "no new finalizers can be added" in added.expect(422)["message"]
    await admin.patch(path, {"metadata": {"finalizers": None}})
    (await admin.call("GET", path)).expect(404)


@pytest.mark.parametrize(
    ("policy", "finalizer"), [("Foreground", "foregroundDeletion"), ("Orphan", "orphan")]
)
async def test_propagation_leaves_a_finalizer_for_the_garbage_collector(
    admin: User, policy: str, finalizer: str
) -> None:
    await admin.create(DEPLOYMENTS, deployment("a"))
    marked = await admin.delete(f"{DEPLOYMENTS}/a", {"propagationPolicy": policy})
    assert marked["metadata"]["finalizers"] == [finalizer]
    await admin.patch(f"{DEPLOYMENTS}/a", {"metadata": {"finalizers": []}})
    (await admin.call("GET", f"{DEPLOYMENTS}/a")).expect(404)


async def test_background_deletion_is_at_once(admin: User) -> None:
    await admin.create(DEPLOYMENTS, deployment("a"))
    assert (await admin.delete(f"{DEPLOYMENTS}/a", propagationPolicy="Background"))["status"] == "Success"
    await admin.create(DEPLOYMENTS, deployment("a"))
    status = (await admin.call("DELETE", f"{DEPLOYMENTS}/a", {"propagationPolicy": "Sideways"})).expect(422)
    assert 'supported values: "Foreground", "Background", "Orphan", "nil"' in status["message"]


async def test_preconditions_must_hold(admin: User) -> None:
    created = (await admin.create(CONFIGMAPS, configmap("a")))["metadata"]
    path = f"{CONFIGMAPS}/a"
    status = (await admin.call("DELETE", path, {"preconditions": {"uid": "other"}})).expect(409)
    assert (
        f"the UID in the precondition (other) does not match the UID in record ({created['uid']})"
        in status["message"]
    )
    (await admin.call("DELETE", path, {"preconditions": {"resourceVersion": "1"}})).expect(409)
    right = {"uid": created["uid"], "resourceVersion": created["resourceVersion"]}
    await admin.delete(path, {"preconditions": right})


async def test_a_running_pod_gets_its_grace_period(admin: User, scheduled: Obj) -> None:
    marked = (await admin.delete(f"{PODS}/a"))["metadata"]
    assert marked["deletionGracePeriodSeconds"] == 30
    again = (await admin.delete(f"{PODS}/a", {"gracePeriodSeconds": 60}))["metadata"]
    assert again["deletionGracePeriodSeconds"] == 30
    shorter = (await admin.delete(f"{PODS}/a", gracePeriodSeconds="5"))["metadata"]
    assert shorter["deletionGracePeriodSeconds"] == 5
    assert shorter["deletionTimestamp"] < marked["deletionTimestamp"]
    uid = scheduled["metadata"]["uid"]
    gone = await admin.delete(f"{PODS}/a", {"gracePeriodSeconds": 0, "preconditions": {"uid": uid}})
    assert gone["kind"] == "Pod"
    (await admin.call("GET", f"{PODS}/a")).expect(404)


async def test_a_pod_that_does_not_run_goes_at_once(admin: User, scheduled: Obj) -> None:
    await admin.create(PODS, pod("unscheduled"))
    await admin.delete(f"{PODS}/unscheduled")
    (await admin.call("GET", f"{PODS}/unscheduled")).expect(404)
    await admin.patch(f"{PODS}/a/status", {"status": {"phase": "Succeeded"}})
    await admin.delete(f"{PODS}/a")
    (await admin.call("GET", f"{PODS}/a")).expect(404)


async def test_binding_gives_a_pod_its_node_once(admin: User, scheduled: Obj) -> None:
    assert scheduled["spec"]["nodeName"] == "node-1"
    condition = next(c for c in scheduled["status"]["conditions"] if c["type"] == "PodScheduled")
    assert condition["status"] == "True"
    status = (await admin.call("POST", f"{PODS}/a/binding", binding("a", "node-2"))).expect(409)
    assert 'pod a is already assigned to node "node-1"' in status["message"]
    status = (await admin.call("POST", f"{PODS}/a/binding", binding("a") | {"target": {}})).expect(500)
    assert status["message"] == "target.name: Required value"
    (await admin.call("POST", f"{PODS}/none/binding", binding("none"))).expect(404)


@pytest.mark.parametrize(
    ("path", "body", "said"),
    [
        ("pods/a/binding", binding("b"), "name in URL does not match name in Binding object"),
        ("pods/a/binding", binding(""), "name in URL does not match name in Binding object"),
        ("pods/a/eviction", {"metadata": {}}, "name in URL does not match name in Eviction object"),
        ("bindings", binding(""), "Name parameter required."),
    ],
)
async def test_bindings_and_evictions_name_their_pod(admin: User, path: str, body: Obj, said: str) -> None:
    refused = (await admin.call("POST", f"/api/v1/namespaces/default/{path}", body)).expect(400)
    assert refused["message"] == said


async def test_a_gated_pod_gets_no_node(admin: User, scheduled: Obj) -> None:
    await admin.create(PODS, pod("gated", schedulingGates=[{"name": "a"}]))
    status = (await admin.call("POST", f"{PODS}/gated/binding", binding("gated"))).expect(409)
    assert "pod gated has non-empty .spec.schedulingGates" in status["message"]
    await admin.patch(f"{PODS}/gated", {"spec": {"schedulingGates": None}})
    await admin.create(f"{PODS}/gated/binding", binding("gated"))


@pytest.mark.parametrize("version", ["policy/v1", "policy/v1beta1"])
async def test_eviction_deletes_a_pod_gracefully(admin: User, scheduled: Obj, version: str) -> None:
    body = {"apiVersion": version, "kind": "Eviction", "metadata": {"name": "a"}}
    assert (await admin.create(f"{PODS}/a/eviction", body))["status"] == "Success"
    assert (await admin.get(f"{PODS}/a"))["metadata"]["deletionGracePeriodSeconds"] == 30


async def test_a_namespace_is_emptied_before_it_goes(admin: User) -> None:
    created = await admin.create(NAMESPACES, {"metadata": {"name": "a"}})
    assert created["spec"]["finalizers"] == ["kubernetes"]
    assert created["status"]["phase"] == "Active"
    assert created["metadata"]["labels"] == {"kubernetes.io/metadata.name": "a"}
    marked = await admin.delete(f"{NAMESPACES}/a")
    assert marked["status"]["phase"] == "Terminating"
    status = (await admin.call("POST", "/api/v1/namespaces/a/configmaps", configmap("x"))).expect(403)
    assert "unable to create new content in namespace a because it is being terminated" in status["message"]
    assert status["details"]["causes"][0]["reason"] == "NamespaceTerminating"
    assert await admin.delete(f"{NAMESPACES}/a") == marked
    await admin.update(f"{NAMESPACES}/a/finalize", marked | {"spec": {"finalizers": []}})
    (await admin.call("GET", f"{NAMESPACES}/a")).expect(404)


@pytest.mark.parametrize("name", ["default", "kube-system", "kube-public"])
async def test_some_namespaces_stay(admin: User, name: str) -> None:
    status = (await admin.call("DELETE", f"{NAMESPACES}/{name}")).expect(403)
    assert status["message"] == f'namespaces "{name}" is forbidden: this namespace may not be deleted'


async def test_deleting_a_collection_takes_what_is_selected(admin: User) -> None:
    await asyncio.gather(
        *(admin.create(CONFIGMAPS, configmap(f"a{n:03}", {"odd": str(n % 2)})) for n in range(100))
    )
    deleted = await admin.delete(CONFIGMAPS, labelSelector="odd=1")
    assert (deleted["kind"], len(deleted["items"])) == ("ConfigMapList", 50)
    left = (await admin.get(CONFIGMAPS))["items"]
    assert {item["metadata"]["labels"]["odd"] for item in left} == {"0"}
    await admin.delete(CONFIGMAPS, dryRun="All")
    assert len((await admin.get(CONFIGMAPS))["items"]) == 50
    await admin.delete(CONFIGMAPS)
    assert (await admin.get(CONFIGMAPS))["items"] == []


async def test_a_limit_holds_for_deletions_and_nonsense_deletes_nothing(admin: User) -> None:
    for name in ("a", "b", "c"):
        await admin.create(CONFIGMAPS, configmap(f"limited-{name}", labels={"limited": "1"}))
    selected = {"labelSelector": "limited=1"}

    async def names() -> list[str]:
        return [each["metadata"]["name"] for each in (await admin.get(CONFIGMAPS, **selected))["items"]]

    for nonsense in ({"resourceVersion": "-1"}, {"continue": "x"}, {"resourceVersionMatch": "Exact"}):
        answer = await admin.call("DELETE", CONFIGMAPS, query=selected | nonsense)
        assert 400 <= answer.code < 500, nonsense
    tried = await admin.delete(CONFIGMAPS, **selected, dryRun="All")
    assert [each["metadata"].get("deletionTimestamp") for each in tried["items"]] == [None] * 3
    assert await names() == ["limited-a", "limited-b", "limited-c"]
    first = await admin.delete(CONFIGMAPS, **selected, limit="2")
    assert len(first["items"]) == 2
    assert first["metadata"]["continue"]
    assert await names() == ["limited-c"]
