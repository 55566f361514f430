"""Which rule of an audit policy a request falls under, and which policies are refused."""

from __future__ import annotations

from typing import Any

import pytest

from wellhead.api.audit.policy import Asked, Level, PolicyError, read_policy

POD = Asked("alice", ("dev",), "get", "", "pods", "", "shop", "web")


def policy(*rules: dict[str, Any], **fields: Any) -> Any:
    return read_policy({"apiVersion": "audit.k8s.io/v1", "kind": "Policy", "rules": list(rules), **fields})


@pytest.mark.parametrize(
    ("rule", "asked", "matches"),
    [
        ({}, POD, True),
        ({}, Asked(path="/healthz"), True),
        ({"users": ["bob"]}, POD, False),
        ({"users": ["bob", "alice"]}, POD, True),
        ({"userGroups": ["ops", "dev"]}, POD, True),
        ({"userGroups": ["ops"]}, POD, False),
        ({"verbs": ["list"]}, POD, False),
        ({"verbs": ["*"]}, POD, False),
        ({"namespaces": ["shop"]}, POD, True),
        ({"namespaces": [""]}, POD, False),
        ({"namespaces": [""]}, POD._replace(namespace="", resource="nodes"), True),
        ({"namespaces": ["shop"]}, Asked(path="/api"), False),
        ({"resources": [{"group": ""}]}, POD, True),
        ({"resources": [{"group": "apps"}]}, POD, False),
        ({"resources": [{"group": "*", "resources": ["pods"]}]}, POD, True),
        ({"resources": [{"resources": ["pods"]}]}, POD._replace(subresource="log"), False),
        ({"resources": [{"resources": ["pods/log"]}]}, POD._replace(subresource="log"), True),
        ({"resources": [{"resources": ["pods/*"]}]}, POD._replace(subresource="log"), True),
        ({"resources": [{"resources": ["*/log"]}]}, POD._replace(subresource="log"), True),
        ({"resources": [{"resources": ["*/log"]}]}, POD, False),
        ({"resources": [{"resources": ["*"]}]}, POD._replace(subresource="log"), True),
        ({"resources": [{"resources": ["pods"], "resourceNames": ["db"]}]}, POD, False),
        ({"resources": [{"resources": ["pods"], "resourceNames": ["web"]}]}, POD, True),
        ({"nonResourceURLs": ["/healthz*"]}, Asked(path="/healthz/ping"), True),
        ({"nonResourceURLs": ["/healthz"]}, Asked(path="/healthz/ping"), False),
        ({"nonResourceURLs": ["*"]}, Asked(path="/metrics"), True),
        ({"nonResourceURLs": ["*"]}, POD, False),
    ],
)
def test_rule_matches(rule: dict[str, Any], asked: Asked, matches: bool) -> None:
    assert (policy({"level": "Request", **rule}).decide(asked).level is Level.REQUEST) == matches


def test_first_rule_that_matches_decides() -> None:
    found = policy({"level": "None", "users": ["alice"]}, {"level": "Metadata"})
    assert found.decide(POD).level is Level.NONE
    assert found.decide(POD._replace(user="bob")).level is Level.METADATA


def test_stages_of_policy_and_rule_are_omitted_together() -> None:
    found = policy({"level": "Metadata", "omitStages": ["Panic"]}, omitStages=["RequestReceived"])
    assert found.decide(POD).omitted == {"Panic", "RequestReceived"}


def test_a_rule_may_keep_managed_fields_that_the_policy_omits() -> None:
    found = policy(
        {"level": "Request", "omitManagedFields": False, "users": ["alice"]},
        {"level": "Request"},
        omitManagedFields=True,
    )
    assert not found.decide(POD).without_managed_fields
    assert found.decide(POD._replace(user="bob")).without_managed_fields


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        ({}, "rules[0].level: Required value"),
        ({"level": "metadata"}, 'Unsupported value: "metadata": supported values: "None", "Metadata"'),
        ({"level": "None", "omitStages": ["End"]}, "rules[0].omitStages[0]: Invalid value"),
        ({"level": "None", "nonResourceURLs": ["api"]}, "must begin with a '/' character"),
        ({"level": "None", "nonResourceURLs": ["/a*/b"]}, "must be the final character"),
        ({"level": "None", "nonResourceURLs": ["/a"], "namespaces": ["b"]}, "cannot apply to both"),
        ({"level": "None", "resources": [{"group": "apps/v1"}]}, "rules[0].resources.group"),
        ({"level": "None", "resources": [{"resourceNames": ["a"]}]}, "requires at least one resource"),
        ({"level": "None", "users": "alice"}, "failed decoding"),
    ],
)
def test_rule_is_refused(rule: dict[str, Any], said: str) -> None:
    with pytest.raises(PolicyError) as error:
        policy(rule)
    assert said in str(error.value)


@pytest.mark.parametrize("document", [None, [], {"kind": "Policy"}, {"apiVersion": "audit.k8s.io/v1beta1"}])
def test_what_is_no_policy_is_refused(document: object) -> None:
    with pytest.raises(PolicyError):
        read_policy(document)


def test_policy_without_rules_is_refused() -> None:
    with pytest.raises(PolicyError, match="0 rules"):
        policy()


def test_unknown_fields_are_named() -> None:
    found = policy({"level": "None", "user": ["a"], "resources": [{"name": "b"}]}, comment="c")
    assert found.unknown == ("comment", "rules[0].user", "rules[0].resources[0].name")
