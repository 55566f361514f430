"""What cannot be asked for is refused with upstream's code, reason and words."""

from __future__ import annotations

import pytest

from tests.integration.apiserver.cluster import Cluster, User
from tests.integration.apiserver.objects import CONFIGMAPS, DEPLOYMENTS, configmap, deployment
from wellhead.api.meta import Obj

MERGE = {"Content-Type": "application/merge-patch+json"}
JSON_PATCH = {"Content-Type": "application/json-patch+json"}
OF_META = "meta.k8s.io"
ONE = "application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io"
MANY = "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io"
FORBIDDEN_MATCH = "resourceVersionMatch: Forbidden: resourceVersionMatch is forbidden"


@pytest.fixture
async def at(admin: User) -> str:
    """The path of a config map that is there."""
    answer = await admin.call("POST", CONFIGMAPS, configmap("refusing"))
    assert answer.code in (201, 409)
    return f"{CONFIGMAPS}/refusing"


@pytest.mark.parametrize(
    ("method", "options"),
    [
        ("POST", "CreateOptions"),
        ("PUT", "UpdateOptions"),
        ("PATCH", "PatchOptions"),
        ("DELETE", "DeleteOptions"),
    ],
)
async def test_a_trial_of_another_kind(admin: User, at: str, method: str, options: str) -> None:
    path = CONFIGMAPS if method == "POST" else at
    body = None if method == "DELETE" else configmap("refusing")
    headers = MERGE if method == "PATCH" else {}
    answer = await admin.call(method, path, body, headers=headers, query={"dryRun": "Some"})
    status = answer.expect(422)
    said = f'{options}.{OF_META} "" is invalid: dryRun: Unsupported value: ["Some"]: supported values: "All"'
    assert status["message"] == said


async def test_a_trial_in_the_body_of_a_deletion(admin: User, at: str) -> None:
    status = (await admin.call("DELETE", at, {"dryRun": ["Some"]})).expect(422)
    assert status["message"].startswith(f'DeleteOptions.{OF_META} "" is invalid: dryRun')


async def test_another_strictness(admin: User) -> None:
    query = {"fieldValidation": "Some"}
    status = (await admin.call("POST", CONFIGMAPS, configmap("x"), query=query)).expect(422)
    said = 'fieldValidation: Unsupported value: "Some": supported values: "", "Ignore", "Strict", "Warn"'
    assert status["message"] == f'CreateOptions.{OF_META} "" is invalid: {said}'


async def test_a_replacement_without_a_name(admin: User, at: str) -> None:
    status = (await admin.call("PUT", at, {"metadata": {}})).expect(400)
    assert status["message"].endswith("(refusing based on URL) was undeterminable: name must be provided")


async def test_a_replacement_of_an_object_that_is_gone(admin: User, at: str) -> None:
    status = (await admin.call("PUT", at, {"metadata": {"name": "refusing", "uid": "x"}})).expect(409)
    assert "Precondition failed: UID in precondition: x, UID in object meta: " in status["message"]


@pytest.mark.parametrize(
    ("field", "value", "might"),
    [("uid", "x", "deleted and then recreated"), ("resourceVersion", "1", "modified")],
)
async def test_a_deletion_of_another_object(admin: User, at: str, field: str, value: str, might: str) -> None:
    status = (await admin.call("DELETE", at, {"preconditions": {field: value}})).expect(409)
    assert status["message"].startswith('Operation cannot be fulfilled on ConfigMap "refusing": the ')
    assert f"in the precondition ({value}) does not match the" in status["message"]
    assert status["message"].endswith(f"The object might have been {might}")
    assert status["details"]["kind"] == "ConfigMap"


@pytest.mark.parametrize("change", [{"kind": "Secret"}, {"apiVersion": "v2"}])
async def test_a_patch_that_makes_another_kind(admin: User, at: str, change: Obj) -> None:
    status = (await admin.call("PATCH", at, change, headers=MERGE)).expect(422)
    assert status["details"]["causes"][0]["field"] == "patch"


@pytest.mark.parametrize(
    "operation",
    [{"op": "odd", "path": "/a"}, {"op": "move", "path": "/a"}, {"op": "remove", "path": "a"}],
)
async def test_an_operation_that_is_none(admin: User, at: str, operation: Obj) -> None:
    status = (await admin.call("PATCH", at, [operation], headers=JSON_PATCH)).expect(422)
    assert status["message"].startswith("the server rejected our request due to an error in our request")


async def test_a_scale_names_its_workload_and_namespace(admin: User) -> None:
    await admin.call("POST", DEPLOYMENTS, deployment("named"))
    at = f"{DEPLOYMENTS}/named/scale"
    status = (await admin.call("PUT", at, {"spec": {"replicas": 4}})).expect(400)
    assert status["message"].endswith("(named based on URL) was undeterminable: name must be provided")
    other = {"metadata": {"name": "named", "namespace": "other"}, "spec": {"replicas": 4}}
    status = (await admin.call("PUT", at, other)).expect(400)
    assert status["message"].startswith("the namespace of the provided object does not match")
    none = (await admin.call("PATCH", at, {"spec": None}, headers=MERGE)).expect(200)
    assert none["spec"] == {}


async def test_a_scale_has_metadata_like_any_object(admin: User) -> None:
    await admin.call("POST", DEPLOYMENTS, deployment("labelled"))
    sent = {"metadata": {"name": "labelled", "finalizers": ["x"]}, "spec": {"replicas": 4}}
    status = (await admin.call("PUT", f"{DEPLOYMENTS}/labelled/scale", sent)).expect(422)
    assert status["message"] == (
        'Scale.autoscaling "labelled" is invalid: metadata.finalizers[0]: Invalid value: "x": name is neither'
        " a standard finalizer name nor is it fully qualified"
    )


async def test_a_scale_without_replicas_is_nobodys_and_can_be_applied(admin: User) -> None:
    await admin.call("POST", DEPLOYMENTS, deployment("nobodys"))
    at = f"{DEPLOYMENTS}/nobodys/scale"
    (await admin.call("PATCH", at, {"spec": {"replicas": 4}}, headers=MERGE)).expect(200)
    (await admin.call("PATCH", at, {"spec": None}, headers=MERGE)).expect(200)
    scale = {"apiVersion": "autoscaling/v1", "kind": "Scale", "metadata": {"name": "nobodys"}}
    query, headers = {"fieldManager": "me"}, {"Content-Type": "application/apply-patch+yaml"}
    sent = scale | {"spec": {"replicas": 5}}
    applied = (await admin.call("PATCH", at, sent, headers=headers, query=query)).expect(200)
    assert applied["spec"] == {"replicas": 5}


async def test_a_version_that_is_none(admin: User, at: str) -> None:
    sent = configmap("refusing") | {"metadata": {"name": "refusing", "resourceVersion": "abc"}}
    status = (await admin.call("PUT", at, sent)).expect(500)
    assert status["message"] == 'strconv.ParseUint: parsing "abc": invalid syntax'
    assert "reason" not in status


async def test_a_patch_of_what_is_not_there_need_not_be_one(admin: User) -> None:
    answer = await admin.call("PATCH", f"{CONFIGMAPS}/nowhere", {}, headers=JSON_PATCH)
    answer.expect(404)


async def test_a_patch_that_takes_the_name_away(admin: User, at: str) -> None:
    operation = {"op": "remove", "path": "/metadata"}
    status = (await admin.call("PATCH", at, [operation], headers=JSON_PATCH)).expect(400)
    assert status["message"].endswith("(refusing based on URL) was undeterminable: name must be provided")


async def test_version_zero_is_any_version_and_no_kind_is_the_kind(admin: User) -> None:
    await admin.call("POST", DEPLOYMENTS, deployment("any"))
    change = {"kind": None, "metadata": {"resourceVersion": "0", "labels": {"a": "b"}}}
    patched = (await admin.call("PATCH", f"{DEPLOYMENTS}/any", change, headers=MERGE)).expect(200)
    assert (patched["kind"], patched["metadata"]["labels"]) == ("Deployment", {"a": "b"})


async def test_a_scale_that_is_none(admin: User) -> None:
    await admin.call("POST", DEPLOYMENTS, deployment("refusing"))
    body = {"spec": {"replicas": "many"}}
    status = (await admin.call("PATCH", f"{DEPLOYMENTS}/refusing/scale", body, headers=MERGE)).expect(422)
    assert status["details"]["causes"][0]["field"] == "patch"


@pytest.mark.parametrize(
    ("query", "code", "said"),
    [
        (
            {"sendInitialEvents": "true"},
            422,
            "sendInitialEvents: Forbidden: sendInitialEvents is forbidden for list",
        ),
        (
            {"watch": "1", "resourceVersion": "1", "resourceVersionMatch": "NotOlderThan"},
            422,
            f"{FORBIDDEN_MATCH} for watch unless sendInitialEvents is provided",
        ),
        (
            {"watch": "1", "sendInitialEvents": "1", "resourceVersion": "1", "resourceVersionMatch": "Exact"},
            422,
            'resourceVersionMatch: Unsupported value: "Exact": supported values: "NotOlderThan"',
        ),
        ({"watch": "1", "continue": "x"}, 422, f"{FORBIDDEN_MATCH} when continue is provided"),
        ({"timeoutSeconds": "long"}, 400, 'strconv.ParseInt: parsing "long": invalid syntax'),
    ],
)
async def test_a_selection_that_is_none(admin: User, query: dict[str, str], code: int, said: str) -> None:
    status = (await admin.call("GET", CONFIGMAPS, query=query)).expect(code)
    assert said in status["message"]


async def test_a_list_isnt_limited_by_less_than_nothing(admin: User, at: str) -> None:
    found = (await admin.call("GET", CONFIGMAPS, query={"limit": "-1"})).expect(200)
    assert found["items"]


@pytest.mark.parametrize("accept", ["application/*", "text/html"])
async def test_a_form_that_is_none(admin: User, at: str, accept: str) -> None:
    (await admin.call("GET", at, headers={"Accept": accept})).expect(406)


async def test_one_isnt_many(admin: User, at: str) -> None:
    status = (await admin.call("GET", at, headers={"Accept": MANY})).expect(406)
    assert status["message"].startswith("you requested PartialObjectMetadataList, but")
    status = (await admin.call("GET", CONFIGMAPS, headers={"Accept": ONE})).expect(406)
    assert status["message"].startswith("you requested PartialObjectMetadata, but")


async def test_a_head_alone(admin: User, at: str) -> None:
    assert (await admin.call("HEAD", at)).code == 405


async def test_one_object_is_watched_by_an_older_path(admin: User, at: str) -> None:
    path = at.replace("/api/v1/", "/api/v1/watch/")
    event = (await admin.call("GET", path, query={"timeoutSeconds": "1"})).expect(200)
    assert (event["type"], event["object"]["metadata"]["name"]) == ("ADDED", "refusing")


@pytest.mark.parametrize(
    ("method", "path", "code"),
    [
        ("POST", "/apis/authorization.k8s.io/v1/subjectaccessreviews/x", 404),
        ("GET", "/api/v1/namespaces/default/bindings/x", 404),
        ("GET", "/api/v1/namespaces/default/bindings", 405),
        ("GET", "/apis/authorization.k8s.io/v1/localsubjectaccessreviews", 404),
        ("POST", "/api/v1", 405),
        ("POST", "/api/v2", 404),
        ("DELETE", "/apis/none/v1", 404),
        ("POST", "/api/v1/watch/pods", 405),
        ("GET", "/api/v1/nothings", 404),
    ],
)
async def test_what_is_nowhere_and_what_cannot_be_done(
    admin: User, method: str, path: str, code: int
) -> None:
    (await admin.call(method, path)).expect(code)


async def test_who_may_not_ask_for_a_resource_does_not_learn_that_there_is_none(cluster: Cluster) -> None:
    nobody = await cluster.user("nobody")
    status = (await nobody.call("GET", "/apis/none/v1/nothings")).expect(403)
    assert status["message"].startswith(
        'nothings.none is forbidden: User "nobody" cannot list resource "nothings" in API group "none"'
    )


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "text/yaml", "*/*"])
async def test_a_body_in_a_format_that_upstream_does_not_read(admin: User, kind: str) -> None:
    headers = {"Content-Type": kind}
    (await admin.call("POST", CONFIGMAPS, configmap("x"), headers=headers)).expect(415)


async def test_preconditions_that_are_empty_or_in_the_query_hold(admin: User, at: str) -> None:
    (await admin.call("DELETE", at, {"preconditions": {"uid": ""}})).expect(409)
    (await admin.call("DELETE", at, {"preconditions": {"resourceVersion": ""}})).expect(409)
    (await admin.call("DELETE", at, query={"uid": "x"})).expect(409)


async def test_exports_are_no_more(admin: User, at: str) -> None:
    (await admin.call("GET", at, query={"export": "true"})).expect(400)


async def test_scaling_policies_that_are_none(admin: User) -> None:
    autoscaler = {
        "metadata": {"name": "none"},
        "spec": {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "d"},
            "maxReplicas": 2,
            "behavior": {"scaleUp": {"policies": []}},
        },
    }
    path = "/apis/autoscaling/v2/namespaces/default/horizontalpodautoscalers"
    status = (await admin.call("POST", path, autoscaler)).expect(422)
    assert status["details"]["causes"][0]["field"] == "spec.behavior.scaleUp.policies"
