"""Which requests a webhook is for, what it is asked, and what its answers mean."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from wellhead.api.errors import Invalid, NotFound
from wellhead.api.kinds.webhooks import MUTATING, VALIDATING
from wellhead.api.meta import Obj
from wellhead.api.resource import Resource
from wellhead.api.resources import DEPLOYMENTS, EVENTS, EVENTS_V1, NAMESPACES, NODES, PODS
from wellhead.api.selectors import LabelSelector
from wellhead.api.strategy import Context
from wellhead.api.webhooks.conditions import ConditionError, all_hold
from wellhead.api.webhooks.hook import Condition, Hook, Rule, hooks_of
from wellhead.api.webhooks.matching import (
    Target,
    equivalents,
    is_exempt,
    matching_resource,
    selects_namespace,
    selects_object,
)
from wellhead.api.webhooks.review import CallFailed, rejection, verdict_of
from wellhead.api.writes import create, received


def rule(**changed: object) -> Rule:
    every = {"operations": ["*"], "apiGroups": ["*"], "apiVersions": ["*"], "resources": ["*"]}
    return Rule.of(every | changed)


@pytest.mark.parametrize(
    ("resource", "subresource", "operation", "changed", "covered"),
    [
        (PODS, "", "CREATE", {}, True),
        (PODS, "exec", "CONNECT", {}, False),
        (PODS, "exec", "CONNECT", {"resources": ["*/*"]}, True),
        (PODS, "exec", "CONNECT", {"resources": ["pods/*"]}, True),
        (PODS, "exec", "CONNECT", {"resources": ["*/exec"]}, True),
        (PODS, "exec", "CONNECT", {"resources": ["pods/exec"]}, True),
        (PODS, "exec", "CONNECT", {"resources": ["pods"]}, False),
        (PODS, "", "UPDATE", {"operations": ["CREATE", "UPDATE"]}, True),
        (PODS, "", "DELETE", {"operations": ["CREATE", "UPDATE"]}, False),
        (DEPLOYMENTS, "", "CREATE", {"apiGroups": [""]}, False),
        (DEPLOYMENTS, "", "CREATE", {"apiGroups": ["apps"], "apiVersions": ["v1"]}, True),
        (DEPLOYMENTS, "", "CREATE", {"apiVersions": ["v1beta1"]}, False),
        (PODS, "", "CREATE", {"scope": "Namespaced"}, True),
        (PODS, "", "CREATE", {"scope": "Cluster"}, False),
        (NODES, "", "CREATE", {"scope": "Cluster"}, True),
        (NAMESPACES, "", "CREATE", {"scope": "Cluster"}, True),
        (NAMESPACES, "", "CREATE", {"scope": "Namespaced"}, False),
    ],
)
def test_a_rule_covers_what_it_says(
    resource: Resource, subresource: str, operation: str, changed: dict[str, object], covered: bool
) -> None:
    namespace = "default" if resource.namespaced or resource == NAMESPACES else ""
    target = Target(operation, resource, subresource, namespace)
    assert (matching_resource([rule(**changed)], target, ()) is not None) is covered


def test_another_name_of_the_same_objects_counts_too() -> None:
    target = Target("CREATE", EVENTS_V1, "", "default")
    core = rule(apiGroups=[""], resources=["events"])
    assert matching_resource([core], target, equivalents(EVENTS_V1, "")) == EVENTS
    assert matching_resource([core], target, ()) is None
    assert matching_resource([core, rule()], target, equivalents(EVENTS_V1, "")) == EVENTS_V1


def test_namespaces_are_selected_by_their_labels() -> None:
    def labels_of(namespace: str) -> dict[str, str]:
        if namespace != "default":
            raise NotFound.of(NAMESPACES, namespace)
        return {"a": "b"}

    wanted, other = LabelSelector.parse("a=b"), LabelSelector.parse("a=c")
    pod = Target("CREATE", PODS, "", "default")
    assert selects_namespace(wanted, pod, {}, labels_of)
    assert not selects_namespace(other, pod, {}, labels_of)
    assert selects_namespace(other, Target("CREATE", NODES, "", ""), {}, labels_of)
    made = {"metadata": {"labels": {"a": "c"}}}
    assert selects_namespace(other, Target("CREATE", NAMESPACES, "", "x"), made, labels_of)
    assert selects_namespace(wanted, Target("DELETE", NAMESPACES, "", "default"), {}, labels_of)
    with pytest.raises(NotFound):
        selects_namespace(wanted, Target("CREATE", PODS, "", "x"), {}, labels_of)


def test_objects_are_selected_by_their_labels_before_or_after() -> None:
    selector = LabelSelector.parse("a=b")
    labelled: Obj = {"metadata": {"labels": {"a": "b"}}}
    assert selects_object(selector, labelled, {})
    assert selects_object(selector, {"metadata": {}}, labelled)
    assert not selects_object(selector, {"metadata": {}}, {})
    assert selects_object(LabelSelector(), {}, {})


def test_no_webhook_judges_webhooks() -> None:
    assert is_exempt(MUTATING)
    assert not is_exempt(PODS)


@pytest.mark.parametrize(
    ("expressions", "expected"),
    [
        ((), True),
        (("object.metadata.name == 'a'", "request.operation == 'CREATE'"), True),
        (("object.metadata.name == 'b'",), False),
        (("object.metadata.none == 'b'", "request.operation == 'DELETE'"), False),
        (("object.metadata.none == 'b'",), None),
        (("oldObject == null && namespaceObject == null",), True),
    ],
)
def test_all_conditions_have_to_hold(expressions: tuple[str, ...], expected: bool | None) -> None:
    conditions = [Condition(str(index), each) for index, each in enumerate(expressions)]
    variables: dict[str, Any] = {
        "object": {"metadata": {"name": "a"}},
        "oldObject": None,
        "namespaceObject": None,
        "request": {"operation": "CREATE"},
    }
    if expected is not None:
        assert all_hold(conditions, variables) is expected
        return
    with pytest.raises(ConditionError, match="no such key: none"):
        all_hold(conditions, variables)


HOOK = Hook("c", "a.example.com", "c/a.example.com/0", (), {}, versions=("v1",))
REVIEW: Obj = {"kind": "AdmissionReview", "apiVersion": "admission.k8s.io/v1", "request": {"uid": "1"}}


def answer(**response: object) -> Obj:
    return {
        "kind": "AdmissionReview",
        "apiVersion": "admission.k8s.io/v1",
        "response": {"uid": "1", "allowed": True, **response},
    }


@pytest.mark.parametrize(
    ("given", "mutating", "problem"),
    [
        (None, False, "webhook response was absent"),
        ({"response": None}, False, "webhook response was absent"),
        (answer(uid="2"), False, 'expected response.uid="1", got "2"'),
        (
            answer() | {"apiVersion": "admission.k8s.io/v1beta1"},
            False,
            "expected webhook response of admission.k8s.io/v1, Kind=AdmissionReview, got"
            " admission.k8s.io/v1beta1, Kind=AdmissionReview",
        ),
        (answer(patch="W10="), False, "validating webhook may not return response.patch"),
        (answer(patch="W10="), True, "webhook returned response.patch but not response.patchType"),
        (answer(patchType="JSONPatch"), True, "webhook returned response.patchType but not response.patch"),
        (answer(patch="?", patchType="JSONPatch"), True, "response.patch is not base64"),
        (answer(patch="W10=", patchType="x"), True, 'unsupported patch type "x"'),
        (answer(allowed="yes"), True, "it is no AdmissionReview"),
    ],
)
def test_what_is_no_answer_says_why(given: object, mutating: bool, problem: str) -> None:
    with pytest.raises(CallFailed) as caught:
        verdict_of(HOOK, REVIEW, given, mutating=mutating)
    assert str(caught.value) == (
        f'failed calling webhook "a.example.com": received invalid webhook response: {problem}'
    )


def test_an_answer_says_more_than_yes() -> None:
    patch = base64.b64encode(b"[]").decode()
    given = answer(patch=patch, patchType="JSONPatch", warnings=["w", 1], auditAnnotations={"k": "v", "n": 1})
    verdict = verdict_of(HOOK, REVIEW, given, mutating=True)
    assert (verdict.allowed, verdict.patch) == (True, b"[]")
    assert (verdict.warnings, dict(verdict.annotations)) == (("w",), {"k": "v"})


@pytest.mark.parametrize(
    ("status", "code", "reason", "message"),
    [
        ({}, 400, "", 'admission webhook "a.b.c" denied the request without explanation'),
        ({"message": "no"}, 400, "", 'admission webhook "a.b.c" denied the request: no'),
        ({"reason": "No"}, 400, "No", 'admission webhook "a.b.c" denied the request: No'),
        ({"code": 418, "message": "no"}, 418, "", 'admission webhook "a.b.c" denied the request: no'),
        ({"code": 200, "message": "no"}, 400, "", 'admission webhook "a.b.c" denied the request: no'),
    ],
)
def test_a_refusal_is_an_error_always(status: Obj, code: int, reason: str, message: str) -> None:
    error = rejection("a.b.c", status)
    assert (error.code, error.reason, error.message) == (code, reason, message)
    assert error.status["status"] == "Failure"


def hook(**changed: object) -> Obj:
    return {
        "name": "a.example.com",
        "clientConfig": {"url": "https://example.com/x"},
        "sideEffects": "None",
        "admissionReviewVersions": ["v1"],
        "rules": [{"operations": ["*"], "apiGroups": ["*"], "apiVersions": ["*"], "resources": ["*"]}],
    } | changed


def configuration(*hooks: Obj) -> Obj:
    return {"metadata": {"name": "x"}, "webhooks": list(hooks)}


def test_a_webhook_has_defaults() -> None:
    made = received(MUTATING, configuration(hook()), Context())
    assert made["webhooks"][0] == hook(
        failurePolicy="Fail",
        matchPolicy="Equivalent",
        namespaceSelector={},
        objectSelector={},
        timeoutSeconds=10,
        reinvocationPolicy="Never",
        rules=[hook()["rules"][0] | {"scope": "*"}],
    )
    [found] = hooks_of(made)
    assert (found.id, found.seconds, found.may_fail, found.again) == ("x/a.example.com/0", 10, False, False)
    service = {"service": {"name": "a", "namespace": "b"}}
    made = received(VALIDATING, configuration(hook(clientConfig=service)), Context())
    assert made["webhooks"][0]["clientConfig"]["service"]["port"] == 443
    assert "reinvocationPolicy" not in made["webhooks"][0]


@pytest.mark.parametrize(
    ("changed", "fields"),
    [
        ({}, []),
        ({"name": "a.b"}, ["name"]),
        ({"name": ""}, ["name"]),
        ({"sideEffects": None}, ["sideEffects"]),
        ({"sideEffects": "Some"}, ["sideEffects"]),
        ({"failurePolicy": "Maybe"}, ["failurePolicy"]),
        ({"timeoutSeconds": 31}, ["timeoutSeconds"]),
        ({"timeoutSeconds": 0}, ["timeoutSeconds"]),
        ({"admissionReviewVersions": []}, ["admissionReviewVersions"]),
        ({"admissionReviewVersions": ["v3"]}, ["admissionReviewVersions"]),
        ({"admissionReviewVersions": ["v1", "v1"]}, ["admissionReviewVersions[1]"]),
        ({"clientConfig": {}}, ["clientConfig"]),
        ({"clientConfig": {"url": "http://example.com"}}, ["clientConfig.url"]),
        ({"clientConfig": {"url": "https://a@example.com/?b#c"}}, ["clientConfig.url"] * 3),
        ({"clientConfig": {"service": {"name": "a"}}}, ["clientConfig.service.namespace"]),
        (
            {"clientConfig": {"service": {"name": "a", "namespace": "b", "path": "x"}}},
            ["clientConfig.service.path"] * 2,
        ),
        ({"matchConditions": [{"name": "a", "expression": "1"}]}, ["matchConditions[0].expression"]),
        ({"matchConditions": [{"name": "a", "expression": "request."}]}, ["matchConditions[0].expression"]),
        ({"matchConditions": [{"name": "a", "expression": "true"}] * 2}, ["matchConditions[1].name"]),
        ({"rules": [{}]}, [f"rules[0].{x}" for x in ("operations", "apiGroups", "apiVersions", "resources")]),
        ({"rules": [hook()["rules"][0] | {"operations": ["*", "CREATE"]}]}, ["rules[0].operations"]),
        ({"rules": [hook()["rules"][0] | {"resources": ["*/*", "a"]}]}, ["rules[0].resources"]),
        ({"rules": [hook()["rules"][0] | {"resources": ["a/*", "a/b"]}]}, ["rules[0].resources[1]"]),
        ({"rules": [hook()["rules"][0] | {"scope": "x"}]}, ["rules[0].scope"]),
        ({"namespaceSelector": {"matchLabels": {"?": "a"}}}, ["namespaceSelector.matchLabels"]),
    ],
)
def test_webhooks_are_validated(changed: dict[str, object], fields: list[str]) -> None:
    given = {key: value for key, value in hook(**changed).items() if value is not None}
    made = received(VALIDATING, configuration(given), Context())
    if not fields:
        create(VALIDATING, made, Context())
        return
    with pytest.raises(Invalid) as caught:
        create(VALIDATING, made, Context())
    assert [cause.field for cause in caught.value.causes] == [f"webhooks[0].{field}" for field in fields]
