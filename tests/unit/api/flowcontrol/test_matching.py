"""Which FlowSchema a request falls under."""

from __future__ import annotations

from typing import Any

import pytest

from wellhead.api.flowcontrol.bootstrap import schemas
from wellhead.api.flowcontrol.matching import Asked, distinguisher, in_order, matcher

EVERYBODY = "system:authenticated"


def classified(asked: Asked) -> str:
    for schema in in_order(schemas().values()):
        if matcher(schema)(asked):
            return str(schema["metadata"]["name"])
    raise AssertionError


@pytest.mark.parametrize(
    ("asked", "schema"),
    [
        (Asked("a", ("system:masters", EVERYBODY), "list", "", "pods"), "exempt"),
        (Asked("a", ("system:unauthenticated",), "get", path="/readyz"), "probes"),
        (Asked("a", (EVERYBODY,), "get", path="/readyz/ready"), "probes"),
        (Asked("a", (EVERYBODY,), "get", path="/readyzz"), "global-default"),
        (Asked("a", (EVERYBODY,), "post", path="/readyz"), "global-default"),
        (Asked("a", (EVERYBODY,), "list", "", "pods"), "global-default"),
        (
            Asked("system:node:n", ("system:nodes", EVERYBODY), "update", "", "nodes", "status"),
            "system-node-high",
        ),
        (
            Asked("system:node:n", ("system:nodes",), "update", "coordination.k8s.io", "leases", "", "x"),
            "system-node-high",
        ),
        (Asked("system:node:n", ("system:nodes",), "list", "", "pods"), "system-nodes"),
        (Asked("system:kube-proxy", (EVERYBODY,), "watch", "", "services"), "wellhead-nodes"),
        (
            Asked("wellhead:scheduler", (EVERYBODY,), "update", "coordination.k8s.io", "leases", "", "x"),
            "wellhead-leader-election",
        ),
        (
            Asked("wellhead:scheduler", (EVERYBODY,), "create", "", "pods", "binding", "x"),
            "wellhead-controllers",
        ),
        (
            Asked("system:kube-scheduler", (EVERYBODY,), "get", "coordination.k8s.io", "leases", "", "x"),
            "system-leader-election",
        ),
        (
            Asked(
                "system:serviceaccount:kube-system:a",
                ("system:serviceaccounts", EVERYBODY),
                "get",
                "",
                "pods",
                "",
                "x",
            ),
            "kube-system-service-accounts",
        ),
        (
            Asked(
                "system:serviceaccount:x:a",
                ("system:serviceaccounts", EVERYBODY),
                "get",
                "",
                "pods",
                "",
                "x",
            ),
            "service-accounts",
        ),
    ],
)
def test_who_falls_under_which_schema(asked: Asked, schema: str) -> None:
    assert classified(asked) == schema


def schema(**rule: Any) -> Any:
    subjects = [{"kind": "User", "user": {"name": "*"}}]
    return matcher({"spec": {"rules": [{"subjects": subjects, **rule}]}})


@pytest.mark.parametrize(
    ("changed", "matches"),
    [
        ({}, True),
        ({"verbs": ["list"]}, False),
        ({"apiGroups": [""]}, False),
        ({"resources": ["deployments"]}, False),
        ({"resources": ["deployments/scale"]}, True),
        ({"namespaces": ["b"]}, False),
        ({"namespaces": ["a", "b"]}, True),
        ({"namespaces": [], "clusterScope": True}, False),
    ],
)
def test_a_resource_rule_needs_all_of_its_fields(changed: dict[str, Any], matches: bool) -> None:
    rule = {field: ["*"] for field in ("verbs", "apiGroups", "resources", "namespaces")} | changed
    asked = Asked("u", (), "get", "apps", "deployments", "scale", "a")
    assert schema(resourceRules=[rule])(asked) is matches


def test_what_is_in_no_namespace_needs_the_cluster_s_scope() -> None:
    rule = {field: ["*"] for field in ("verbs", "apiGroups", "resources", "namespaces")}
    asked = Asked("u", (), "list", "", "nodes")
    assert not schema(resourceRules=[rule])(asked)
    assert schema(resourceRules=[{**rule, "clusterScope": True}])(asked)


@pytest.mark.parametrize(
    ("subject", "matches"),
    [
        ({"kind": "User", "user": {"name": "system:serviceaccount:a:b"}}, True),
        ({"kind": "User", "user": {"name": "b"}}, False),
        ({"kind": "Group", "group": {"name": "g"}}, True),
        ({"kind": "Group", "group": {"name": "*"}}, True),
        ({"kind": "Group", "group": {"name": "h"}}, False),
        ({"kind": "ServiceAccount", "serviceAccount": {"namespace": "a", "name": "b"}}, True),
        ({"kind": "ServiceAccount", "serviceAccount": {"namespace": "a", "name": "*"}}, True),
        ({"kind": "ServiceAccount", "serviceAccount": {"namespace": "", "name": "*"}}, False),
    ],
)
def test_subjects(subject: dict[str, Any], matches: bool) -> None:
    paths = [{"verbs": ["*"], "nonResourceURLs": ["*"]}]
    rules = [{"subjects": [subject], "nonResourceRules": paths}]
    asked = Asked("system:serviceaccount:a:b", ("g",), "get", path="/version")
    assert matcher({"spec": {"rules": rules}})(asked) is matches


def test_flows_are_told_apart_by_user_namespace_or_not_at_all() -> None:
    asked = Asked("u", (), "get", namespace="n")
    for method, by in (("ByUser", "u"), ("ByNamespace", "n")):
        assert distinguisher({"spec": {"distinguisherMethod": {"type": method}}}, asked) == by
    assert distinguisher({"spec": {}}, asked) == ""
