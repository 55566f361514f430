"""create, get, list, update, patch: what goes in, comes out, and is refused."""

from __future__ import annotations

import asyncio

import pytest

from tests.integration.apiserver.cluster import Cluster, User
from tests.integration.apiserver.objects import (
    CONFIGMAPS,
    DEPLOYMENTS,
    NAMESPACES,
    SERVICES,
    configmap,
    deployment,
    service,
)
from wellhead.storage.memory import MemoryStore
from wellhead.storage.store import StoreFailed

MISSING = "the server could not find the requested resource"


async def test_a_created_object_has_what_the_server_decides(admin: User) -> None:
    created = await admin.create(CONFIGMAPS, configmap("a", x="1"))
    metadata = created["metadata"]
    assert (metadata["name"], metadata["namespace"]) == ("a", "default")
    assert metadata["uid"]
    assert metadata["creationTimestamp"]
    assert int(metadata["resourceVersion"]) > 0
    assert await admin.get(f"{CONFIGMAPS}/a") == created


async def test_creating_twice_is_a_conflict_that_names_the_object(admin: User) -> None:
    await admin.create(CONFIGMAPS, configmap("a"))
    status = (await admin.call("POST", CONFIGMAPS, configmap("a"))).expect(409)
    assert status["reason"] == "AlreadyExists"
    assert status["message"] == 'configmaps "a" already exists'
    assert status["details"] == {"name": "a", "kind": "configmaps"}


async def test_generated_names_differ(admin: User) -> None:
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"generateName": "a-"}}
    names = {(await admin.create(CONFIGMAPS, body))["metadata"]["name"] for _ in range(5)}
    assert len(names) == 5
    assert all(name.startswith("a-") and len(name) == 7 for name in names)


@pytest.mark.parametrize(("begins", "warned"), [("a-", False), ("a.b-", True)])
async def test_a_generated_name_is_warned_of_as_any_other(admin: User, begins: str, warned: bool) -> None:
    body = deployment("a") | {"metadata": {"generateName": begins}}
    answer = await admin.call("POST", DEPLOYMENTS, body)
    answer.expect(201)
    assert ("a DNS label is recommended" in answer.headers.get("Warning", "")) is warned


@pytest.mark.parametrize(
    ("method", "path", "message"),
    [
        ("GET", f"{CONFIGMAPS}/none", 'configmaps "none" not found'),
        ("DELETE", f"{CONFIGMAPS}/none", 'configmaps "none" not found'),
        ("GET", f"{DEPLOYMENTS}/none", 'deployments.apps "none" not found'),
        ("GET", "/api/v1/nodes/none", 'nodes "none" not found'),
        ("GET", "/api/v1/namespaces/default/none", f"{MISSING} (it has no none in v1)"),
        ("GET", "/apis/none/v1/nones", f"{MISSING} (it has no nones in none/v1)"),
        ("GET", "/none", MISSING),
        ("GET", f"{CONFIGMAPS}/a/status", f"{MISSING} (configmaps have no status here)"),
    ],
)
async def test_what_is_not_there_is_not_found(admin: User, method: str, path: str, message: str) -> None:
    status = (await admin.call(method, path)).expect(404)
    assert (status["kind"], status["reason"], status["message"]) == ("Status", "NotFound", message)


async def test_creating_in_a_namespace_that_does_not_exist_is_not_found(admin: User) -> None:
    status = (await admin.call("POST", "/api/v1/namespaces/x/configmaps", configmap("a"))).expect(404)
    assert status["message"] == 'namespaces "x" not found'


@pytest.mark.parametrize(
    ("body", "code", "said"),
    [
        (b"{", 400, "json parse error"),
        (
            b"[]",
            400,
            "(must be of type ConfigMap): couldn't get version/kind; json parse error: json: cannot",
        ),
        (b"", 400, "json parse error: unexpected end of JSON input (<empty>)"),
        ({"apiVersion": "v2", "kind": "ConfigMap"}, 400, "does not match the expected API version"),
        ({"kind": "Pod", "apiVersion": "v1"}, 400, "Pod"),
        ({"metadata": {"name": "a", "namespace": "other"}}, 400, "does not match the namespace"),
        ({"metadata": {"name": "a"}, "data": {"x": 1}}, 400, "ConfigMap"),
        ({"metadata": {"name": "UPPER"}}, 422, 'ConfigMap "UPPER" is invalid: metadata.name'),
        ({"metadata": {}}, 422, "name or generateName is required"),
    ],
)
async def test_a_bad_body_is_refused(admin: User, body: object, code: int, said: str) -> None:
    status = (await admin.call("POST", CONFIGMAPS, body)).expect(code)
    assert said in status["message"]
    assert (await admin.get(CONFIGMAPS))["items"] == []


async def test_unknown_fields_are_refused_pruned_with_a_warning_or_ignored(admin: User) -> None:
    body = configmap("a") | {"dtaa": {}}
    strict = (await admin.call("POST", CONFIGMAPS, body, query={"fieldValidation": "Strict"})).expect(400)
    assert 'strict decoding error: unknown field "dtaa"' in strict["message"]
    answer = await admin.call("POST", CONFIGMAPS, body)
    assert answer.headers["Warning"] == '299 - "unknown field \\"dtaa\\""'
    assert "dtaa" not in answer.expect(201)
    ignored = await admin.call(
        "POST", CONFIGMAPS, body | {"metadata": {"name": "b"}}, query={"fieldValidation": "Ignore"}
    )
    assert "Warning" not in ignored.headers
    ignored.expect(201)


async def test_an_update_needs_the_current_version_if_it_names_one(admin: User) -> None:
    first = await admin.create(CONFIGMAPS, configmap("a", x="1"))
    second = await admin.update(f"{CONFIGMAPS}/a", first | {"data": {"x": "2"}})
    assert int(second["metadata"]["resourceVersion"]) > int(first["metadata"]["resourceVersion"])
    status = (await admin.call("PUT", f"{CONFIGMAPS}/a", first | {"data": {"x": "3"}})).expect(409)
    assert status["reason"] == "Conflict"
    assert status["message"] == (
        'Operation cannot be fulfilled on configmaps "a": the object has been modified; please apply your '
        "changes to the latest version and try again"
    )
    unconditional = await admin.update(f"{CONFIGMAPS}/a", configmap("a", x="4"))
    assert unconditional["data"] == {"x": "4"}
    assert unconditional["metadata"]["uid"] == first["metadata"]["uid"]


async def test_an_update_that_changes_nothing_writes_nothing(admin: User) -> None:
    first = await admin.create(CONFIGMAPS, configmap("a", x="1"))
    assert await admin.update(f"{CONFIGMAPS}/a", first) == first
    assert await admin.patch(f"{CONFIGMAPS}/a", {"data": {"x": "1"}}) == first


async def test_an_update_may_not_name_another_object(admin: User) -> None:
    await admin.create(CONFIGMAPS, configmap("a"))
    status = (await admin.call("PUT", f"{CONFIGMAPS}/a", configmap("b"))).expect(400)
    assert "does not match the name on the URL" in status["message"]


async def test_immutable_metadata_stays(admin: User) -> None:
    await admin.create(CONFIGMAPS, configmap("a"))
    answer = await admin.call(
        "PATCH",
        f"{CONFIGMAPS}/a",
        {"metadata": {"uid": "00000000-0000-0000-0000-000000000000"}},
        content_type="application/merge-patch+json",
    )
    assert answer.code in (409, 422)


async def test_the_three_kinds_of_patch(admin: User) -> None:
    await admin.create(DEPLOYMENTS, deployment("a"))
    path = f"{DEPLOYMENTS}/a"
    strategic = {"spec": {"template": {"spec": {"containers": [{"name": "side", "image": "nginx"}]}}}}
    merged = await admin.patch(path, strategic, "strategic-merge-patch")
    assert {c["name"] for c in merged["spec"]["template"]["spec"]["containers"]} == {"side", "main"}
    first = "/spec/template/spec/containers/0"
    patched = await admin.patch(path, [{"op": "remove", "path": first}], "json-patch")
    assert len(patched["spec"]["template"]["spec"]["containers"]) == 1
    assert (await admin.patch(path, {"spec": {"replicas": 3}}))["spec"]["replicas"] == 3


async def test_a_patch_that_is_none_or_does_not_apply_is_refused(admin: User) -> None:
    await admin.create(CONFIGMAPS, configmap("a", x="1"))
    path = f"{CONFIGMAPS}/a"

    async def patch(body: object, kind: str) -> tuple[int, str]:
        answer = await admin.call("PATCH", path, body, content_type=kind)
        return answer.code, answer.body["reason"]

    assert await patch({"x": 1}, "application/json") == (415, "UnsupportedMediaType")
    assert await patch({"x": 1}, "application/apply-patch+cbor") == (415, "UnsupportedMediaType")
    assert await patch(b"{", "application/merge-patch+json") == (400, "BadRequest")
    failed_test = [{"op": "test", "path": "/data/x", "value": "2"}]
    assert await patch(failed_test, "application/json-patch+json") == (422, "Invalid")
    assert await patch({"data": {"x": 1}}, "application/merge-patch+json") == (422, "Invalid")
    assert await patch({"metadata": {"name": "b"}}, "application/merge-patch+json") == (400, "BadRequest")
    assert await patch(
        {"metadata": {"resourceVersion": "1"}, "data": {}}, "application/merge-patch+json"
    ) == (409, "Conflict")


async def test_patches_that_overtake_each_other_all_count(admin: User) -> None:
    await admin.create(CONFIGMAPS, configmap("a"))
    await asyncio.gather(
        *(admin.patch(f"{CONFIGMAPS}/a", {"data": {f"k{number}": "x"}}) for number in range(20))
    )
    assert len((await admin.get(f"{CONFIGMAPS}/a"))["data"]) == 20


async def test_a_dry_run_answers_as_if_and_writes_nothing(admin: User) -> None:
    tried = await admin.create(CONFIGMAPS, configmap("a"), dryRun="All")
    assert tried["metadata"]["uid"]
    (await admin.call("GET", f"{CONFIGMAPS}/a")).expect(404)
    created = await admin.create(CONFIGMAPS, configmap("a", x="1"))
    tried = await admin.patch(f"{CONFIGMAPS}/a", {"data": {"x": "2"}}, dryRun="All")
    assert tried["data"] == {"x": "2"}
    await admin.delete(f"{CONFIGMAPS}/a", dryRun="All")
    assert await admin.get(f"{CONFIGMAPS}/a") == created
    (await admin.call("POST", CONFIGMAPS, configmap("b"), query={"dryRun": "Some"})).expect(422)


async def test_status_and_spec_are_written_apart(admin: User) -> None:
    created = await admin.create(DEPLOYMENTS, deployment("a") | {"status": {"replicas": 7}})
    assert "replicas" not in (created.get("status") or {})
    path = f"{DEPLOYMENTS}/a"
    updated = await admin.update(f"{path}/status", created | {"spec": {}, "status": {"replicas": 1}})
    assert (updated["status"]["replicas"], updated["spec"]["replicas"]) == (1, 1)
    updated = await admin.update(path, updated | {"status": {"replicas": 5}})
    assert updated["status"]["replicas"] == 1
    assert (await admin.get(f"{path}/status"))["status"]["replicas"] == 1
    patched = await admin.patch(f"{path}/status", {"status": {"readyReplicas": 1}, "spec": {"replicas": 9}})
    assert (patched["status"], patched["spec"]["replicas"]) == ({"replicas": 1, "readyReplicas": 1}, 1)


async def test_the_generation_counts_changes_of_the_spec(admin: User) -> None:
    await admin.create(DEPLOYMENTS, deployment("a"))
    path = f"{DEPLOYMENTS}/a"
    labelled = await admin.patch(path, {"metadata": {"labels": {"x": "y"}}})
    assert labelled["metadata"]["generation"] == 1
    assert (await admin.patch(path, {"spec": {"replicas": 2}}))["metadata"]["generation"] == 2


async def test_an_update_may_create_a_service(admin: User) -> None:
    (await admin.call("PUT", f"{SERVICES}/a", service("a"))).expect(201)
    (await admin.call("PUT", f"{CONFIGMAPS}/a", configmap("a"))).expect(404)


async def test_scale_reads_and_writes_replicas(admin: User) -> None:
    await admin.create(DEPLOYMENTS, deployment("a", 2))
    path = f"{DEPLOYMENTS}/a/scale"
    scale = await admin.get(path)
    assert (scale["kind"], scale["apiVersion"]) == ("Scale", "autoscaling/v1")
    assert (scale["spec"], scale["status"]["selector"]) == ({"replicas": 2}, "app=a")
    assert (await admin.update(path, scale | {"spec": {"replicas": 5}}))["spec"] == {"replicas": 5}
    assert (await admin.call("PUT", path, scale | {"spec": {"replicas": 6}})).code == 409
    assert (await admin.patch(path, {"spec": {"replicas": 4}}))["spec"] == {"replicas": 4}
    assert (await admin.get(f"{DEPLOYMENTS}/a"))["spec"]["replicas"] == 4
    typed = {"kind": "Deployment", "apiVersion": "apps/v1", "spec": {"replicas": 3}}
    strategic = "application/strategic-merge-patch+json"
    scaled = (await admin.call("PATCH", path, typed, content_type=strategic)).expect(200)
    assert (scaled["kind"], scaled["spec"]) == ("Scale", {"replicas": 3})
    invalid = await admin.call(
        "PATCH", path, {"spec": {"replicas": -1}}, content_type="application/merge-patch+json"
    )
    assert "must be greater than or equal to 0" in invalid.expect(422)["message"]


async def test_events_are_the_same_in_both_groups(admin: User) -> None:
    core, newer = "/api/v1/namespaces/default/events", "/apis/events.k8s.io/v1/namespaces/default/events"
    involved = {"kind": "Pod", "name": "p", "namespace": "default"}
    event = {"involvedObject": involved, "reason": "Because", "message": "so", "type": "Normal"}
    await admin.create(core, {"metadata": {"name": "a"}, **event})
    found = await admin.get(f"{newer}/a")
    assert (found["apiVersion"], found["regarding"], found["note"]) == ("events.k8s.io/v1", involved, "so")
    listed = await admin.get(newer, fieldSelector="regarding.name=p")
    # As in Go: what a typed list holds is said once.
    assert (listed["kind"], listed["apiVersion"]) == ("EventList", "events.k8s.io/v1")
    assert [item.keys() & {"apiVersion", "kind", "note"} for item in listed["items"]] == [{"note"}]
    assert (await admin.get(newer, fieldSelector="regarding.name=q"))["items"] == []
    assert len((await admin.get(core, fieldSelector="involvedObject.name=p"))["items"]) == 1
    assert (await admin.patch(f"{core}/a", {"message": "and so"}))["message"] == "and so"
    assert (await admin.get(f"{newer}/a"))["note"] == "and so"
    grown = {"count": 2, "lastObservedTime": "2026-01-01T00:00:00.000000Z"}
    assert (await admin.patch(f"{newer}/a", {"series": grown}))["series"] == grown
    assert (await admin.get(f"{core}/a"))["series"] == grown
    await admin.delete(f"{newer}/a")
    (await admin.call("GET", f"{core}/a")).expect(404)


async def test_a_write_that_cannot_be_stored_says_so(admin: User, monkeypatch: pytest.MonkeyPatch) -> None:
    async def full(self: MemoryStore, writes: object, *, freeing: bool) -> list[int]:
        raise StoreFailed("the database can't be written: disk I/O error")

    with monkeypatch.context() as patched:
        patched.setattr(MemoryStore, "transact", full)
        status = (await admin.call("POST", SERVICES, service("a", clusterIP="10.0.7.7"))).expect(500)
        assert status["reason"] == "InternalError"
        assert "disk I/O error" in status["message"]
    await admin.create(SERVICES, service("a", clusterIP="10.0.7.7"))


async def test_methods_that_a_path_does_not_have(admin: User) -> None:
    for method, path in (
        ("POST", f"{CONFIGMAPS}/a"),
        ("POST", "/api/v1/configmaps"),
        ("PUT", CONFIGMAPS),
        ("PATCH", CONFIGMAPS),
        ("DELETE", NAMESPACES),
        ("GET", "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"),
        ("POST", "/version"),
    ):
        answer = await admin.call(method, path, configmap("a"))
        assert (answer.code, answer.body["reason"]) == (405, "MethodNotAllowed"), (method, path)


async def test_a_body_that_is_too_large_is_refused(admin: User) -> None:
    body = configmap("a", x="x" * (3 * 1024 * 1024))
    (await admin.call("POST", CONFIGMAPS, body)).expect(413)


async def test_requests_from_many_clients_at_once(cluster: Cluster) -> None:
    users = [await cluster.user() for _ in range(4)]
    await asyncio.gather(*(users[n % 4].create(CONFIGMAPS, configmap(f"a-{n}")) for n in range(200)))
    listed = await users[0].get(CONFIGMAPS)
    assert [item["metadata"]["name"] for item in listed["items"]] == sorted(f"a-{n}" for n in range(200))
    versions = {item["metadata"]["resourceVersion"] for item in listed["items"]}
    assert len(versions) == 200


async def test_what_a_patch_empties_is_gone(admin: User) -> None:
    made = configmap("a", {"app": "x"})
    made["metadata"] |= {"annotations": {"a": "b"}, "finalizers": ["example.com/x"]}
    await admin.create(CONFIGMAPS, made)
    emptied = {"labels": {}, "annotations": {"a": None}, "finalizers": []}
    patched = await admin.patch(f"{CONFIGMAPS}/a", {"metadata": emptied})
    assert patched["metadata"]["labels"] == {"app": "x"}  # a merge with nothing
    assert not {"annotations", "finalizers"} & patched["metadata"].keys()
    operations = [{"op": "replace", "path": "/metadata/labels", "value": {}}]
    patched = await admin.patch(f"{CONFIGMAPS}/a", operations, "json-patch")
    assert "labels" not in patched["metadata"]
