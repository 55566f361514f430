"""Server-side apply and the record of managers, through HTTP and kubectl."""

from __future__ import annotations

from typing import Any

import pytest

from tests.integration.apiserver.cluster import Answer, Cluster, User
from tests.integration.apiserver.objects import CONFIGMAPS, PODS, configmap, pod, service_account
from wellhead.api.meta import Obj

DEPLOYMENTS = "/apis/apps/v1/namespaces/default/deployments"
APPLY = "application/apply-patch+yaml"
DEPLOYMENT = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: web, image: busybox}]}
"""
CONFIG = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\ndata: {a: '1'}\n"

SCALE = {"apiVersion": "autoscaling/v1", "kind": "Scale", "metadata": {"name": "web"}}


async def apply(user: User, path: str, body: object, **query: str) -> Answer:
    query = {"fieldManager": "me"} | query
    body = body.encode() if isinstance(body, str) else body
    return await user.call("PATCH", path, body, content_type=APPLY, query=query)


def managers(obj: Any) -> list[tuple[str, str, str]]:
    return [
        (entry["manager"], entry["operation"], entry.get("subresource", ""))
        for entry in obj["metadata"].get("managedFields") or []
    ]


async def test_an_apply_makes_what_isnt_there_and_changes_what_is(admin: User) -> None:
    path = f"{CONFIGMAPS}/c"
    (await apply(admin, path, CONFIG, dryRun="All")).expect(201)
    assert (await admin.call("GET", path)).code == 404
    made = (await apply(admin, path, CONFIG)).expect(201)
    assert managers(made) == [("me", "Apply", "")]
    again = (await apply(admin, path, CONFIG)).expect(200)
    assert again["metadata"]["resourceVersion"] == made["metadata"]["resourceVersion"]
    changed = (await apply(admin, path, CONFIG.replace("a: '", "b: '"))).expect(200)
    assert changed["data"] == {"b": "1"}
    conflict = (await apply(admin, path, CONFIG.replace("a: '1'", "b: '2'"), fieldManager="you")).expect(409)
    assert conflict["message"] == 'Apply failed with 1 conflict: conflict with "me": .data.b'
    taken = await apply(admin, path, CONFIG.replace("a: '1'", "b: '2'"), fieldManager="you", force="true")
    assert taken.expect(200)["data"] == {"b": "2"}


async def test_every_write_has_a_manager(admin: User) -> None:
    made = await admin.create(CONFIGMAPS, configmap("a", x="1"), fieldManager="maker")
    assert managers(made) == [("maker", "Update", "")]
    path = f"{CONFIGMAPS}/a"
    named = await admin.call(
        "PATCH",
        path,
        {"data": {"y": "1"}},
        content_type="application/merge-patch+json",
        headers={"User-Agent": "tool/v1.2 (linux)"},
    )
    assert managers(named.expect(200)) == [("maker", "Update", ""), ("tool", "Update", "")]
    reset = await admin.patch(path, {"metadata": {"managedFields": []}})
    assert managers(reset) == []
    still = await admin.patch(path, {"data": {"z": "1"}})
    assert managers(still) == []
    applied = (await apply(admin, path, configmap("a", x="1"))).expect(200)
    assert managers(applied) == [("me", "Apply", ""), ("before-first-apply", "Update", "")]


async def test_status_and_scale_have_managers_of_their_own(admin: User) -> None:
    path = f"{DEPLOYMENTS}/web"
    (await apply(admin, path, DEPLOYMENT)).expect(201)
    status = {"status": {"replicas": 2}}
    merge = "application/merge-patch+json"
    query = {"fieldManager": "controller"}
    await admin.call("PATCH", f"{path}/status", status, content_type=merge, query=query)
    scale = {"spec": {"replicas": 3}}
    scaled = await admin.call(
        "PATCH", f"{path}/scale", scale, content_type=merge, query={"fieldManager": "hpa"}
    )
    assert scaled.expect(200)["spec"]["replicas"] == 3
    found = await admin.get(path)
    assert managers(found) == [
        ("me", "Apply", ""),
        ("controller", "Update", "status"),
        ("hpa", "Update", "scale"),
    ]
    conflict = (await apply(admin, path, DEPLOYMENT)).expect(409)
    assert conflict["details"]["causes"] == [
        {
            "reason": "FieldManagerConflict",
            "message": 'conflict with "hpa" with subresource "scale" using apps/v1',
            "field": ".spec.replicas",
        }
    ]
    applied = {
        "apiVersion": "autoscaling/v1",
        "kind": "Scale",
        "metadata": {"name": "web"},
        "spec": {"replicas": 4},
    }
    assert (await apply(admin, f"{path}/scale", applied)).code == 409
    assert (await apply(admin, f"{path}/scale", applied, force="true")).expect(200)["spec"]["replicas"] == 4
    assert managers(await admin.get(path)) == [
        ("me", "Apply", ""),
        ("me", "Apply", "scale"),
        ("controller", "Update", "status"),
    ]
    body = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "web"},
        "status": {"replicas": 5},
    }
    forced = (await apply(admin, f"{path}/status", body, force="true")).expect(200)
    assert (forced["status"]["replicas"], forced["spec"]["replicas"]) == (5, 4)


@pytest.mark.parametrize(
    ("query", "code", "message"),
    [
        (
            {"fieldManager": ""},
            422,
            'PatchOptions.meta.k8s.io "" is invalid: fieldManager: '
            "Required value: is required for apply patch",
        ),
        (
            {"fieldManager": "a\n"},
            422,
            'PatchOptions.meta.k8s.io "" is invalid: fieldManager: Invalid value: "a\\n": '
            "invalid character U+000A (at position 1)",
        ),
    ],
)
async def test_an_apply_says_by_whom(admin: User, query: dict[str, str], code: int, message: str) -> None:
    answer = await apply(admin, f"{CONFIGMAPS}/c", CONFIG, **query)
    assert (answer.code, answer.body["message"]) == (code, message)


async def test_what_cant_be_applied(admin: User) -> None:
    path = f"{CONFIGMAPS}/c"

    async def refusal(body: str, **query: str) -> tuple[int, str]:
        answer = await apply(admin, path, body, **query)
        return answer.code, answer.body["message"]

    assert await refusal("- 1") == (400, "error decoding YAML: the configuration is not an object")
    assert await refusal(CONFIG.replace("\ndata", "\ndatum")) == (
        500,
        "failed to create typed patch object (/c; /v1, Kind=ConfigMap): .datum: field not declared in schema",
    )
    assert await refusal(CONFIG + "data: {}\n", fieldValidation="Strict") == (
        400,
        'error strict decoding YAML: yaml: unmarshal errors:\n  line 5: key "data" already set in map',
    )
    assert (await refusal(CONFIG.replace("name: c", "name: d")))[0] == 400
    assert (await refusal(CONFIG.replace("name: c", "labels: {}")))[0] == 400
    assert (await refusal(CONFIG.replace("name: c", "name: c, resourceVersion: '1'")))[0] == 409
    warned = await apply(admin, path, CONFIG + "data: {}\n")
    assert "already set in map" in warned.headers["Warning"]
    forced = await admin.call(
        "PATCH", path, {}, content_type="application/merge-patch+json", query={"force": "true"}
    )
    assert forced.code == 422


async def test_kubectl_applies_on_the_server(cluster: Cluster) -> None:
    run = cluster.ok
    assert "serverside-applied" in await run("apply", "--server-side", "-f", "-", stdin=DEPLOYMENT)
    changed = DEPLOYMENT.replace("replicas: 2", "replicas: 4")
    code, output = await cluster.kubectl("diff", "--server-side", "-f", "-", stdin=changed)
    assert (code, "+  replicas: 4" in output) == (1, True)
    await run("scale", "deployment", "web", "--replicas=7")
    code, output = await cluster.kubectl("apply", "--server-side", "-f", "-", stdin=changed)
    assert (code, 'conflict with "kubectl" with subresource "scale"' in output) == (1, True)
    await run("apply", "--server-side", "--force-conflicts", "-f", "-", stdin=changed)
    shown = await run("get", "deployment", "web", "-o", "yaml", "--show-managed-fields")
    assert "operation: Apply" in shown
    assert "managedFields" not in await run("get", "deployment", "web", "-o", "yaml")


async def test_kubectl_goes_over_from_client_side_apply(cluster: Cluster) -> None:
    run = cluster.ok
    await run("apply", "-f", "-", stdin=CONFIG)
    await run("apply", "--server-side", "-f", "-", stdin=CONFIG.replace("a: '1'", "b: '2'"))
    assert await run("get", "configmap", "c", "-o", "jsonpath={.data}") == '{"b":"2"}'


@pytest.mark.parametrize(
    ("subresource", "spec", "code"),
    [
        ("ephemeralcontainers", {"ephemeralContainers": [{"name": "e", "image": "j"}]}, 200),
        ("resize", {"containers": [{"name": "c", "resources": {"requests": {"cpu": "2"}}}]}, 409),
    ],
)
async def test_parts_of_a_pod_are_applied_by_their_subresource(
    admin: User, subresource: str, spec: Obj, code: int
) -> None:
    await admin.call("POST", "/api/v1/namespaces/default/serviceaccounts", service_account())
    name = f"applied-{subresource}"
    resources = {"requests": {"cpu": "1"}}
    await admin.create(PODS, pod(name, containers=[{"name": "c", "image": "i", "resources": resources}]))
    config = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec}
    path = f"{PODS}/{name}/{subresource}"
    assert (await apply(admin, path, config)).code == code
    applied = (await apply(admin, path, config, force="true")).expect(200)
    [(key, value)] = spec.items()
    assert applied["spec"][key][0] | value[0] == applied["spec"][key][0]
    assert ("me", "Apply", subresource) in managers(applied)
