"""Admission policies as clients see them: what they refuse, say, note and change."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.integration.apiserver.cluster import Cluster, User
from tests.integration.apiserver.test_custom_kinds import define, definition
from tests.patience import PATIENCE, reached
from wellhead.api.meta import Obj

GROUP = "/apis/admissionregistration.k8s.io/v1"
CONFIGMAPS = "/api/v1/namespaces/default/configmaps"
RULE = {"apiGroups": [""], "apiVersions": ["v1"], "resources": ["configmaps"], "operations": ["*"]}
ONLY = {"matchLabels": {"judged": "yes"}}


def configmap(name: str = "a", **data: str) -> Obj:
    metadata = {"name": name, "labels": {"judged": "yes"}}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}


def policy(*validations: Obj, name: str = "p", rule: Obj = RULE, **spec: Any) -> Obj:
    return {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingAdmissionPolicy",
        "metadata": {"name": name},
        "spec": {
            "matchConstraints": {"resourceRules": [rule], "objectSelector": ONLY},
            "validations": list(validations),
            **spec,
        },
    }


def mutation(*mutations: Obj, name: str = "m", rule: Obj = RULE, **spec: Any) -> Obj:
    rule = rule | {"operations": ["CREATE", "UPDATE"]}
    return {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "MutatingAdmissionPolicy",
        "metadata": {"name": name},
        "spec": {
            "matchConstraints": {"resourceRules": [rule], "objectSelector": ONLY},
            "mutations": list(mutations),
            "reinvocationPolicy": "Never",
            **spec,
        },
    }


def applied(expression: str) -> Obj:
    return {"patchType": "ApplyConfiguration", "applyConfiguration": {"expression": expression}}


def patched(expression: str) -> Obj:
    return {"patchType": "JSONPatch", "jsonPatch": {"expression": expression}}


async def bind(admin: User, obj: Obj, *actions: str, **spec: Any) -> None:
    """Create the policy and its binding."""
    kind, name = obj["kind"], obj["metadata"]["name"]
    await admin.create(f"{GROUP}/{kind[:-1].lower()}ies", obj)
    if kind.startswith("Validating"):
        spec["validationActions"] = list(actions or ("Deny",))
    binding = {
        "apiVersion": obj["apiVersion"],
        "kind": f"{kind}Binding",
        "metadata": {"name": f"{name}-everywhere"},
        "spec": {"policyName": name, **spec},
    }
    await admin.create(f"{GROUP}/{kind.lower()}bindings", binding)


async def test_a_policy_refuses(admin: User) -> None:
    size = {
        "expression": "object.data.size() <= 1",
        "messageExpression": "'too many: ' + string(object.data.size())",
    }
    plain = {"expression": "object.data.all(k, k != 'bad')", "message": "nothing bad", "reason": "Forbidden"}
    await bind(
        admin, policy(size, plain, matchConditions=[{"name": "not-b", "expression": "request.name != 'b'"}])
    )
    await admin.create(CONFIGMAPS, configmap("fine", x="1"))
    await admin.create(CONFIGMAPS, configmap("b", x="1", y="2"))
    answer = (await admin.call("POST", CONFIGMAPS, configmap(x="1", y="2"))).expect(422)
    said = "ValidatingAdmissionPolicy 'p' with binding 'p-everywhere' denied request: too many: 2"
    assert answer["message"] == f'configmaps "a" is forbidden: {said}'
    assert (answer["reason"], answer["details"]["causes"]) == ("Invalid", [{"message": said}])
    answer = (await admin.call("POST", CONFIGMAPS, configmap(bad="1"))).expect(403)
    assert answer["message"].endswith("denied request: nothing bad")
    await admin.create(CONFIGMAPS, configmap("other", x="1", y="2") | {"metadata": {"name": "unlabelled"}})


async def test_a_deletion_is_judged_by_what_is_deleted(admin: User) -> None:
    rule = RULE | {"operations": ["DELETE"]}
    held = {"expression": "object == null && !has(oldObject.data.hold)", "message": "held"}
    await bind(admin, policy(held, rule=rule))
    await admin.create(CONFIGMAPS, configmap("free", x="1"))
    await admin.create(CONFIGMAPS, configmap("kept", hold="1"))
    await admin.delete(f"{CONFIGMAPS}/free")
    (await admin.call("DELETE", f"{CONFIGMAPS}/kept")).expect(422)


async def test_a_warning_is_said(admin: User) -> None:
    await bind(
        admin,
        policy(
            {"expression": "variables.n == 0"}, variables=[{"name": "n", "expression": "object.data.size()"}]
        ),
        "Warn",
        "Audit",
    )
    answer = await admin.call("POST", CONFIGMAPS, configmap(x="1"))
    answer.expect(201)
    said = "Validation failed for ValidatingAdmissionPolicy 'p' with binding 'p-everywhere'"
    assert answer.headers["Warning"] == f'299 - "{said}: failed expression: variables.n == 0"'


@pytest.mark.parametrize(("failing", "code"), [("Fail", 422), ("Ignore", 201)])
async def test_an_error_counts_as_the_policy_says(admin: User, failing: str, code: int) -> None:
    await bind(admin, policy({"expression": "object.data.nothing == 'x'"}, failurePolicy=failing))
    answer = (await admin.call("POST", CONFIGMAPS, configmap(x="1"))).expect(code)
    if code == 422:
        assert "resulted in error: no such key: nothing" in answer["message"]


async def test_parameters_come_from_an_object(admin: User) -> None:
    crd = definition(version_of_limits(), plural="limits", kind="Limit")
    await define(admin, crd)
    limits = "/apis/example.com/v1/namespaces/default/limits"
    kind = {"apiVersion": "example.com/v1", "kind": "Limit"}
    rule = {"expression": "object.data.size() <= params.most", "message": "above the limit"}
    reference = {"name": "small", "parameterNotFoundAction": "Deny"}
    await bind(admin, policy(rule, paramKind=kind), paramRef=reference)
    answer = (await admin.call("POST", CONFIGMAPS, configmap(x="1"))).expect(422)
    assert "failed to configure binding: no params found for policy binding" in answer["message"]
    await admin.create(limits, kind | {"metadata": {"name": "small"}, "most": 1})
    await admin.create(CONFIGMAPS, configmap(x="1"))
    (await admin.call("POST", CONFIGMAPS, configmap("b", x="1", y="2"))).expect(422)
    await admin.patch(f"{limits}/small", {"most": 2})
    await admin.create(CONFIGMAPS, configmap("b", x="1", y="2"))


def version_of_limits() -> Obj:
    schema = {"type": "object", "properties": {"most": {"type": "integer"}}}
    return {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}


async def test_custom_objects_are_judged(admin: User) -> None:
    await define(admin, definition())
    rule = {
        "apiGroups": ["example.com"],
        "apiVersions": ["v1"],
        "resources": ["foos"],
        "operations": ["CREATE"],
    }
    described = policy({"expression": "object.spec.size < 3", "message": "too large"}, rule=rule)
    described["spec"]["matchConstraints"].pop("objectSelector")
    await bind(admin, described)
    foos = "/apis/example.com/v1/namespaces/default/foos"
    made = {"apiVersion": "example.com/v1", "kind": "Foo", "metadata": {"name": "a"}, "spec": {"size": 3}}
    (await admin.call("POST", foos, made)).expect(422)
    await admin.create(foos, made | {"spec": {}})


async def test_an_object_is_changed(admin: User) -> None:
    label = applied('Object{metadata: Object.metadata{labels: {"by": request.operation}}}')
    whole = 'JSONPatch{op: "add", path: "/metadata/annotations", value: {}}'
    one = '"/metadata/annotations/" + jsonpatch.escapeKey("a/b")'
    data = patched(f'[{whole}, JSONPatch{{op: "add", path: {one}, value: object.metadata.labels.by}}]')
    await bind(admin, mutation(label, data))
    created = await admin.create(CONFIGMAPS, configmap(x="1"))
    assert created["metadata"]["labels"] == {"judged": "yes", "by": "CREATE"}
    assert created["metadata"]["annotations"] == {"a/b": "CREATE"}


async def test_a_change_that_fails_refuses(admin: User) -> None:
    await bind(admin, mutation(applied("Object{metadata: Object.metadata{name: object.data.no}}")))
    answer = (await admin.call("POST", CONFIGMAPS, configmap(x="1"))).expect(403)
    assert answer["reason"] == "Invalid"
    assert answer["message"].startswith("policy 'm' with binding 'm-everywhere' denied request: expression ")


async def test_a_pods_container_is_added_and_defaulted(admin: User) -> None:
    rule = RULE | {"resources": ["pods"]}
    sidecar = 'Object{spec: Object.spec{containers: [Object.spec.containers{name: "side", image: "i"}]}}'
    await bind(admin, mutation(applied(sidecar), rule=rule))
    await admin.create("/api/v1/namespaces/default/serviceaccounts", {"metadata": {"name": "default"}})
    pod = {
        "metadata": {"name": "p", "labels": {"judged": "yes"}},
        "spec": {"containers": [{"name": "main", "image": "i"}]},
    }
    created = await admin.create("/api/v1/namespaces/default/pods", pod)
    assert [each["name"] for each in created["spec"]["containers"]] == ["main", "side"]
    assert all(each["terminationMessagePath"] for each in created["spec"]["containers"])


async def test_a_policy_that_is_wrong_is_refused(admin: User) -> None:
    described = policy({"expression": "object.x +"}, {"expression": "1", "message": "a\nb", "reason": "No"})
    described["spec"] |= {
        "variables": [{"name": "a-b", "expression": "1"}],
        "paramKind": {"apiVersion": "v1"},
    }
    answer = (await admin.call("POST", f"{GROUP}/validatingadmissionpolicies", described)).expect(422)
    found = {each["field"]: each["message"] for each in answer["details"]["causes"]}
    assert found.keys() == {
        "spec.paramKind.kind",
        "spec.variables[0].name",
        "spec.validations[0].expression",
        "spec.validations[1].expression",
        "spec.validations[1].message",
        "spec.validations[1].reason",
    }
    assert found["spec.validations[1].expression"] == 'Invalid value: "1": must evaluate to bool but got int'
    assert found["spec.validations[0].expression"].startswith(
        'Invalid value: "object.x +": compilation failed: '
    )
    binding = {"metadata": {"name": "b"}, "spec": {"policyName": "p", "validationActions": ["Deny", "Warn"]}}
    answer = (await admin.call("POST", f"{GROUP}/validatingadmissionpolicybindings", binding)).expect(422)
    assert "must not contain both Deny and Warn" in answer["message"]


async def test_a_policy_that_is_deleted_counts_no_more(admin: User) -> None:
    await bind(admin, policy({"expression": "false"}))
    (await admin.call("POST", CONFIGMAPS, configmap())).expect(422)
    await admin.delete(f"{GROUP}/validatingadmissionpolicies/p")
    await reached(
        lambda: admin.call("POST", CONFIGMAPS, configmap()), lambda answer: answer.code in (201, 409)
    )


async def test_nobody_makes_a_policy_read_what_they_cant(admin: User, cluster: Cluster) -> None:
    roles = "/apis/rbac.authorization.k8s.io/v1"
    rule = {"apiGroups": ["admissionregistration.k8s.io"], "resources": ["*"], "verbs": ["*"]}
    await admin.create(f"{roles}/clusterroles", {"metadata": {"name": "r"}, "rules": [rule]})
    reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "r"}
    subject = {"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "nobody"}
    bound = {"metadata": {"name": "r"}, "roleRef": reference, "subjects": [subject]}
    await admin.create(f"{roles}/clusterrolebindings", bound)
    nobody = await cluster.user("nobody")
    curious = policy({"expression": "false"}, paramKind={"apiVersion": "v1", "kind": "Secret"})
    answer = (await nobody.call("POST", f"{GROUP}/validatingadmissionpolicies", curious)).expect(422)
    assert 'must have "get" permission on all objects of the referenced paramKind' in answer["message"]
    await admin.create(f"{GROUP}/validatingadmissionpolicies", curious)
    spec = {
        "policyName": "p",
        "validationActions": ["Deny"],
        "paramRef": {"name": "s", "parameterNotFoundAction": "Deny"},
    }
    binding: Obj = {"metadata": {"name": "b"}, "spec": spec}
    answer = (await nobody.call("POST", f"{GROUP}/validatingadmissionpolicybindings", binding)).expect(422)
    assert 'does not have "get" permission on the object referenced by paramRef' in answer["message"]
    del spec["paramRef"]
    await nobody.create(f"{GROUP}/validatingadmissionpolicybindings", binding)


async def test_the_status_tells_what_doesnt_fit_the_kinds(admin: User) -> None:
    await define(admin, definition())
    rules = [
        {"apiGroups": ["apps"], "apiVersions": ["v1"], "operations": ["*"], "resources": ["deployments"]},
        {"apiGroups": ["example.com"], "apiVersions": ["v1"], "operations": ["*"], "resources": ["foos"]},
    ]
    good = {"expression": "object.metadata.labels['a'] == 'b' && object != oldObject"}
    bad = {"expression": "variables.size > 1", "messageExpression": "object.spec.size + 'x'"}
    described = policy(good, bad, variables=[{"name": "size", "expression": "object.spec.replicas"}])
    described["spec"]["matchConstraints"]["resourceRules"] = rules
    await admin.create(f"{GROUP}/validatingadmissionpolicies", described)
    path = f"{GROUP}/validatingadmissionpolicies/p"
    found = await reached(lambda: admin.get(path), lambda got: "observedGeneration" in got.get("status", {}))
    warnings = {
        each["fieldRef"]: each["warning"] for each in found["status"]["typeChecking"]["expressionWarnings"]
    }
    assert warnings.keys() == {"spec.validations[1].messageExpression"}
    first, second = warnings["spec.validations[1].messageExpression"].split("\n\n")
    assert first.startswith(
        "apps/v1, Kind=Deployment: compilation failed: ERROR: <input>:1:12: undefined field 'size'"
    )
    assert second.startswith(
        "example.com/v1, Kind=Foo: compilation failed: ERROR: <input>:1:18: found no matching overload"
    )


@pytest.mark.parametrize(("again", "count"), [("Never", "1"), ("IfNeeded", "2")])
async def test_a_policy_may_be_asked_again(admin: User, again: str, count: str) -> None:
    seen = "object.metadata.annotations.size()"
    counting = f"has(object.metadata.annotations) ? string({seen}) : '0'"
    label = applied(f'Object{{metadata: Object.metadata{{labels: {{"seen": {counting}}}}}}}')
    await bind(admin, mutation(label, name="a", reinvocationPolicy=again))
    await bind(
        admin, mutation(applied('Object{metadata: Object.metadata{annotations: {"new": "1"}}}'), name="b")
    )
    sent = configmap()
    sent["metadata"]["annotations"] = {"old": "1"}
    created = await admin.create(CONFIGMAPS, sent)
    assert created["metadata"]["labels"]["seen"] == count


async def test_others_are_answered_while_a_policy_computes(admin: User) -> None:
    costly = "object.data.all(k, object.data.all(l, object.data.all(m, k + l + m != 'x')))"
    await bind(admin, policy({"expression": costly}))
    body = configmap(**{f"key{number}": "" for number in range(150)})

    async def write() -> None:
        refused = (await admin.call("POST", CONFIGMAPS, body)).expect(422)
        assert "budget" in refused["message"] or "cost" in refused["message"]

    writing = asyncio.create_task(write())
    answered = 0
    while not writing.done():
        async with asyncio.timeout(PATIENCE):
            await admin.get("/version")
        answered += 1
    await writing
    assert answered > 5
