"""Admission webhooks: asked of everything that they are for, in order, and believed within reason."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from aiohttp import web

from tests.integration.apiserver.cluster import User
from tests.integration.apiserver.hooks import (
    CONFIGURATIONS,
    Webhooks,
    allow,
    deny,
    labelling,
    patching,
    webhooks,
)
from tests.integration.apiserver.objects import (
    CONFIGMAPS,
    DEPLOYMENTS,
    NAMESPACES,
    PODS,
    configmap,
    deployment,
    pod,
)
from tests.integration.apiserver.pki import Pki
from wellhead.api.meta import Obj


@pytest.fixture
async def hooks(pki: Pki) -> AsyncIterator[Webhooks]:
    async with webhooks(pki) as found:
        yield found


async def test_a_webhook_hears_of_everything_it_is_for(admin: User, hooks: Webhooks) -> None:
    await hooks.register(admin, "validating", "all")
    await admin.create(CONFIGMAPS, configmap("a", {"x": "y"}))
    await admin.patch(f"{CONFIGMAPS}/a", {"data": {"b": "c"}})
    await admin.delete(f"{CONFIGMAPS}/a")
    await admin.create(NAMESPACES, {"metadata": {"name": "other"}})
    created, updated, deleted = hooks.asked["all"]
    kind = {"group": "", "version": "v1", "kind": "ConfigMap"}
    resource = {"group": "", "version": "v1", "resource": "configmaps"}
    for request, operation in ((created, "CREATE"), (updated, "UPDATE"), (deleted, "DELETE")):
        assert request["operation"] == operation
        assert request["kind"] == request["requestKind"] == kind
        assert request["resource"] == request["requestResource"] == resource
        assert (request["name"], request["namespace"], request["dryRun"]) == ("a", "default", False)
        assert request["userInfo"]["username"] == "kubernetes-admin"
        assert request["options"]["kind"] == f"{operation.capitalize()}Options"
    assert created["oldObject"] is None
    assert created["object"]["metadata"]["uid"]
    assert (updated["oldObject"].get("data"), updated["object"]["data"]) == (None, {"b": "c"})
    assert deleted["object"] is None
    assert deleted["oldObject"]["data"] == {"b": "c"}


@pytest.mark.parametrize(
    ("status", "code", "message"),
    [
        ({}, 400, 'admission webhook "no.example.com" denied the request without explanation'),
        ({"code": 403, "message": "x"}, 403, 'admission webhook "no.example.com" denied the request: x'),
    ],
)
async def test_a_refusal_reaches_the_client(
    admin: User, hooks: Webhooks, status: dict[str, object], code: int, message: str
) -> None:
    await hooks.register(admin, "validating", "no", deny(**status))
    answer = (await admin.call("POST", CONFIGMAPS, configmap("a"))).expect(code)
    assert answer["message"] == message
    assert (await admin.get(CONFIGMAPS))["items"] == []
    metrics = (await admin.call("GET", "/metrics")).body
    assert (
        'apiserver_admission_webhook_rejection_count{error_type="no_error",name="no.example.com",'
        f'operation="CREATE",rejection_code="{code}",type="validating"}} 1.0'
    ) in metrics


async def test_mutating_webhooks_change_the_object_one_after_the_other(admin: User, hooks: Webhooks) -> None:
    await hooks.register(admin, "mutating", "b", labelling("b"))
    await hooks.register(admin, "mutating", "a", labelling("a"))
    await hooks.register(admin, "validating", "c")
    made = await admin.create(CONFIGMAPS, configmap("a", {"own": "yes"}))
    assert made["metadata"]["labels"] == {"own": "yes", "a": "yes", "b": "yes"}
    assert hooks.order == ["a", "b", "c"]
    assert hooks.asked["b"][0]["object"]["metadata"]["labels"] == {"own": "yes", "a": "yes"}
    assert hooks.asked["c"][0]["object"]["metadata"]["labels"] == made["metadata"]["labels"]


async def test_what_a_webhook_leaves_has_defaults_and_is_validated(admin: User, hooks: Webhooks) -> None:
    rule = {"operations": ["CREATE"], "apiGroups": [""], "apiVersions": ["v1"], "resources": ["pods"]}
    container = {"name": "added", "image": "busybox", "unknown": 1}
    add = {"op": "add", "path": "/spec/initContainers", "value": [container]}
    await hooks.register(admin, "mutating", "add", patching(add), rules=[rule])
    await admin.create(f"{NAMESPACES}/default/serviceaccounts", {"metadata": {"name": "default"}})
    made = await admin.create(PODS, pod("a"))
    [added] = made["spec"]["initContainers"]
    assert (added["name"], added["terminationMessagePath"]) == ("added", "/dev/termination-log")
    assert "unknown" not in added
    hooks.answers["add"] = patching({"op": "replace", "path": "/spec/containers/0/image", "value": ""})
    (await admin.call("POST", PODS, pod("b"))).expect(422)


async def test_a_webhook_is_asked_again_after_others_changed_the_object(admin: User, hooks: Webhooks) -> None:
    await hooks.register(admin, "mutating", "a", labelling("a"), reinvocationPolicy="IfNeeded")
    await hooks.register(admin, "mutating", "b", labelling("b"), reinvocationPolicy="IfNeeded")
    await hooks.register(admin, "mutating", "c")
    await admin.create(CONFIGMAPS, configmap("x", {"own": "yes"}))
    assert hooks.order == ["a", "b", "c", "a"]
    hooks.order.clear()
    labels = {"own": "yes", "a": "yes", "b": "yes"}
    await admin.create(CONFIGMAPS, configmap("y", labels))
    assert hooks.order == ["a", "b", "c"]


async def test_a_webhook_that_fails_ends_the_request_or_not(admin: User, hooks: Webhooks) -> None:
    for name, policy, code in (("fails", "Fail", 500), ("ignored", "Ignore", 201)):
        bad = {"url": "https://127.0.0.1:1/x"}
        await hooks.register(admin, "validating", name, None, clientConfig=bad, failurePolicy=policy)
        answer = await admin.call("POST", CONFIGMAPS, configmap(name))
        assert answer.code == code
        if code == 500:
            assert answer.body["message"] == (
                'Internal error occurred: failed calling webhook "fails.example.com": failed to call webhook:'
                ' Post "https://127.0.0.1:1/x?timeout=10s": dial tcp 127.0.0.1:1: connect: connection refused'
            )
        await admin.delete(f"{CONFIGURATIONS.format('validating')}/{name}")


async def test_a_webhook_that_is_somebody_else_is_not_believed(admin: User, hooks: Webhooks) -> None:
    nobody = {"url": hooks.client("x")["url"]}
    await hooks.register(admin, "mutating", "x", clientConfig=nobody)
    answer = (await admin.call("POST", CONFIGMAPS, configmap("a"))).expect(500)
    assert "x509: certificate signed by unknown authority" in answer["message"]
    assert hooks.asked == {}
    await admin.delete(f"{CONFIGURATIONS.format('mutating')}/x")
    await hooks.register(admin, "mutating", "x", clientConfig=nobody | {"caBundle": "Li4u"})
    answer = (await admin.call("POST", CONFIGMAPS, configmap("a"))).expect(500)
    assert "unable to parse bytes as PEM block" in answer["message"]


async def test_a_webhook_has_its_time_and_no_more(admin: User, hooks: Webhooks) -> None:
    async def never(request: Obj) -> None:
        await asyncio.Event().wait()

    await hooks.register(admin, "validating", "slow", never, timeoutSeconds=1)
    answer = (await admin.call("POST", CONFIGMAPS, configmap("a"))).expect(500)
    assert answer["message"].endswith('/slow?timeout=1s": context deadline exceeded')


@pytest.mark.parametrize(
    ("response", "problem"),
    [
        (web.Response(status=404), "the server could not find the requested resource"),
        (web.Response(status=500, text="oh"), 'an error on the server ("oh") has prevented'),
        (web.Response(text="x" * 4_000_000), "the response has more than 3145728 bytes"),
        (web.Response(text="[" * 200 + "]" * 200), "failed to call webhook"),
        (web.Response(text="no JSON"), "failed to call webhook"),
        (web.Response(text="{}"), "webhook response was absent"),
        (web.Response(status=307, headers={"Location": "/elsewhere"}), "(code 307)"),
    ],
    ids=["404", "500", "large", "deep", "text", "empty", "redirect"],
)
async def test_an_answer_that_is_none_hurts_nobody(
    admin: User, hooks: Webhooks, response: web.Response, problem: str
) -> None:
    await hooks.register(admin, "mutating", "bad", lambda request: response)
    answer = (await admin.call("POST", CONFIGMAPS, configmap("a"))).expect(500)
    assert problem in answer["message"]
    assert list(hooks.asked) == ["bad"]


async def test_a_patch_is_bounded_and_must_fit(admin: User, hooks: Webhooks) -> None:
    copies = [{"op": "copy", "from": "/data", "path": f"/data/x{number}"} for number in range(40)]
    await hooks.register(admin, "mutating", "bad", patching(*copies))
    for answer in (patching(*copies), patching({"op": "remove", "path": "/none"}), patching({"op": "x"})):
        hooks.answers["bad"] = answer
        refused = await admin.call("POST", CONFIGMAPS, configmap("a", x="y" * 100_000))
        assert refused.code == 500, refused.body
    await admin.create(CONFIGMAPS.replace("configmaps", "secrets"), {"metadata": {"name": "fine"}})


async def test_a_dry_run_reaches_those_without_effects_only(admin: User, hooks: Webhooks) -> None:
    await hooks.register(admin, "validating", "a")
    await admin.create(CONFIGMAPS, configmap("a"), dryRun="All")
    assert hooks.asked["a"][0]["dryRun"] is True
    assert hooks.asked["a"][0]["options"]["dryRun"] == ["All"]


async def test_a_record_of_managers_that_is_none_is_put_back_and_warned_of(
    admin: User, hooks: Webhooks
) -> None:
    bad = {"op": "replace", "path": "/metadata/managedFields/0/operation", "value": "Nothing"}
    await hooks.register(admin, "mutating", "bad", patching(bad))
    answer = await admin.call("POST", CONFIGMAPS, {"metadata": {"name": "a"}, "data": {"x": "1"}})
    (entry,) = answer.expect(201)["metadata"]["managedFields"]
    assert (entry["operation"], entry["fieldsV1"]) == ("Update", {"f:data": {".": {}, "f:x": {}}})
    assert ".metadata.managedFields was in an invalid state after admission" in answer.headers["Warning"]
    fewer = {"op": "remove", "path": "/metadata/managedFields"}
    await hooks.register(admin, "mutating", "none", patching(fewer))
    await admin.delete(f"{CONFIGURATIONS.format('mutating')}/bad")
    answer = await admin.call("POST", CONFIGMAPS, {"metadata": {"name": "b"}, "data": {"x": "1"}})
    assert "managedFields" not in answer.expect(201)["metadata"]
    assert "Warning" not in answer.headers


async def test_warnings_reach_the_client(admin: User, hooks: Webhooks) -> None:
    await hooks.register(admin, "validating", "w", lambda _: {"allowed": True, "warnings": ["careful"]})
    answer = await admin.call("POST", CONFIGMAPS, configmap("a"))
    assert answer.headers["Warning"] == '299 - "careful"'
    hooks.answers["w"] = lambda _: {"allowed": False, "warnings": ["told you"]}
    answer = await admin.call("POST", CONFIGMAPS, configmap("b"))
    assert (answer.code, answer.headers["Warning"]) == (400, '299 - "told you"')


async def test_selectors_and_conditions_narrow(admin: User, hooks: Webhooks) -> None:
    by_namespace = {"matchLabels": {"kubernetes.io/metadata.name": "kube-system"}}
    condition = {"name": "a", "expression": "request.name != 'skipped'"}
    await hooks.register(admin, "validating", "namespace", namespaceSelector=by_namespace)
    await hooks.register(admin, "validating", "object", objectSelector={"matchLabels": {"a": "b"}})
    await hooks.register(admin, "validating", "condition", matchConditions=[condition])
    await admin.create(CONFIGMAPS, configmap("plain"))
    await admin.create(CONFIGMAPS, configmap("skipped", {"a": "b"}))
    await admin.create(f"{NAMESPACES}/kube-system/configmaps", configmap("system"))
    names = {path: [each["name"] for each in asked] for path, asked in hooks.asked.items()}
    assert names == {"namespace": ["system"], "object": ["skipped"], "condition": ["plain", "system"]}


async def test_a_condition_may_ask_what_the_user_may(admin: User, hooks: Webhooks) -> None:
    expression = "!authorizer.group('example.com').resource('locks').check('break').allowed()"
    condition = {"name": "breakglass", "expression": expression}
    await hooks.register(admin, "validating", "locked", deny(), matchConditions=[condition])
    await admin.create(CONFIGMAPS, configmap("a"))
    rights = {"verbs": ["*"], "apiGroups": [""], "resources": ["configmaps"]}
    rbac = "/apis/rbac.authorization.k8s.io/v1"
    await admin.create(f"{rbac}/clusterroles", {"metadata": {"name": "r"}, "rules": [rights]})
    role = {"kind": "ClusterRole", "name": "r"}
    binding = {"metadata": {"name": "r"}, "roleRef": role, "subjects": [{"kind": "User", "name": "bob"}]}
    await admin.create(f"{rbac}/clusterrolebindings", binding)
    refused = await admin.call("POST", CONFIGMAPS, configmap("b"), headers={"Impersonate-User": "bob"})
    assert 'webhook "locked.example.com" denied' in refused.expect(400)["message"]


async def test_subresources_and_streams_are_asked_about(admin: User, hooks: Webhooks) -> None:
    scale = {"operations": ["UPDATE"], "apiGroups": ["apps"], "apiVersions": ["v1"], "resources": ["*/scale"]}
    streams = {"operations": ["CONNECT"], "apiGroups": [""], "apiVersions": ["v1"], "resources": ["pods/*"]}
    await hooks.register(admin, "validating", "sub", rules=[scale])
    await hooks.register(admin, "validating", "stream", deny(message="no exec"), rules=[streams])
    await admin.create(DEPLOYMENTS, deployment("a"))
    await admin.patch(f"{DEPLOYMENTS}/a/scale", {"spec": {"replicas": 3}})
    [asked] = hooks.asked["sub"]
    assert (asked["kind"]["kind"], asked["subResource"]) == ("Scale", "scale")
    assert asked["object"]["spec"]["replicas"] == 3
    await admin.create(f"{NAMESPACES}/default/serviceaccounts", {"metadata": {"name": "default"}})
    await admin.create(PODS, pod("a"))
    path = f"{PODS}/a/exec?command=sh&command=-c&stdin=true&container=main"
    assert "no exec" in (await admin.call("POST", path)).expect(400)["message"]
    [asked] = hooks.asked["stream"]
    assert asked["kind"] == {"group": "", "version": "v1", "kind": "PodExecOptions"}
    options = {"kind": "PodExecOptions", "apiVersion": "v1", "stdin": True}
    assert asked["object"] == options | {"command": ["sh", "-c"], "container": "main"}


async def test_another_name_of_a_resource_is_translated(admin: User, hooks: Webhooks) -> None:
    rule = {"operations": ["CREATE"], "apiGroups": [""], "apiVersions": ["v1"], "resources": ["events"]}
    await hooks.register(admin, "mutating", "events", labelling("seen"), rules=[rule])
    event = {
        "metadata": {"name": "e", "labels": {}},
        "regarding": {"kind": "Pod", "namespace": "default", "name": "a"},
        "eventTime": "2026-01-01T00:00:00.000000Z",
        "reportingController": "example.com/x",
        "reportingInstance": "x",
        "action": "a",
        "reason": "r",
        "type": "Normal",
    }
    event["metadata"] = {"name": "e", "labels": {"a": "b"}}
    made = await admin.create("/apis/events.k8s.io/v1/namespaces/default/events", event)
    [asked] = hooks.asked["events"]
    assert asked["kind"] == {"group": "", "version": "v1", "kind": "Event"}
    assert asked["requestKind"]["group"] == "events.k8s.io"
    assert asked["object"]["involvedObject"]["name"] == "a"
    assert (made["metadata"]["labels"], made["regarding"]["name"]) == ({"a": "b", "seen": "yes"}, "a")


async def test_a_service_is_called_by_its_name(admin: User, hooks: Webhooks) -> None:
    external = {"type": "ExternalName", "externalName": "localhost"}
    service = {"metadata": {"name": "hook"}, "spec": external}
    await admin.create(f"{NAMESPACES}/default/services", service)
    reference = {"name": "hook", "namespace": "default", "path": "/s", "port": hooks.port}
    await hooks.register(admin, "validating", "s", clientConfig={"service": reference, "caBundle": hooks.ca})
    await admin.create(CONFIGMAPS, configmap("a"))
    assert len(hooks.asked["s"]) == 1
    none = {"name": "none", "namespace": "default"}
    await hooks.register(admin, "validating", "t", clientConfig={"service": none, "caBundle": hooks.ca})
    refused = (await admin.call("POST", CONFIGMAPS, configmap("b"))).expect(500)
    assert refused["message"].endswith(
        'Post "https://none.default.svc:443/?timeout=10s": service "none" not found'
    )


async def test_no_webhook_can_lock_webhooks_in(admin: User, hooks: Webhooks) -> None:
    rule = {"operations": ["*"], "apiGroups": ["*"], "apiVersions": ["*"], "resources": ["*"]}
    await hooks.register(admin, "validating", "no", deny(), rules=[rule])
    (await admin.call("POST", CONFIGMAPS, configmap("a"))).expect(400)
    await hooks.register(admin, "mutating", "other", allow)
    await admin.delete(f"{CONFIGURATIONS.format('validating')}/no")
    await admin.create(CONFIGMAPS, configmap("a"))


async def test_others_write_while_conditions_compute(admin: User, hooks: Webhooks) -> None:
    costly = "object.data.all(k, object.data.all(l, object.data.all(m, k + l + m != 'x')))"
    await hooks.register(
        admin,
        "validating",
        "costly",
        matchConditions=[
            {"name": "has-data", "expression": "has(object.data)"},
            {"name": "c", "expression": costly},
        ],
    )

    async def write() -> None:
        body = configmap("much") | {"data": {f"key{number}": "" for number in range(150)}}
        refused = (await admin.call("POST", CONFIGMAPS, body)).expect(403)
        assert "cost limit exceeded" in refused["message"]

    writing = asyncio.create_task(write())
    written = 0
    while not writing.done():
        await admin.create(CONFIGMAPS, configmap(f"little-{written}"))
        written += 1
    await writing
    assert written > 5


@pytest.mark.parametrize("much", ["", "object.data.all(k, object.data.all(l, k + l != 'x')) && "])
async def test_conditions_on_a_thread_learn_who_may_do_what(admin: User, hooks: Webhooks, much: str) -> None:
    asked = f"{much}authorizer.group('').resource('secrets').check('delete').allowed()"
    await hooks.register(
        admin, "validating", "allowed", deny(), matchConditions=[{"name": "c", "expression": asked}]
    )
    body = configmap("a") | {"data": {f"key{number}": "" for number in range(100)}}
    (await admin.call("POST", CONFIGMAPS, body)).expect(400)
    await admin.delete(f"{CONFIGURATIONS.format('validating')}/allowed")
