"""What roles allow, and what nobody may give without having it."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.api.objects import create, update
from wellhead.api.errors import Invalid
from wellhead.api.meta import Obj
from wellhead.api.rbac.aggregation import gathered
from wellhead.api.rbac.covering import escalation, uncovered
from wellhead.api.rbac.rules import Rule, RuleSet
from wellhead.api.resource import Resource
from wellhead.api.resources import CLUSTERROLEBINDINGS, CLUSTERROLES, ROLEBINDINGS, ROLES
from wellhead.api.strategy import Context

PODS = Rule(("get", "list"), ("",), ("pods", "pods/log"))


@pytest.mark.parametrize(
    ("rule", "asked", "allowed"),
    [
        (PODS, ("get", "", "pods", "a"), True),
        (PODS, ("get", "", "pods/log", "a"), True),
        (PODS, ("delete", "", "pods", "a"), False),
        (PODS, ("get", "apps", "pods", "a"), False),
        (PODS, ("get", "", "pods/exec", "a"), False),
        (Rule(("*",), ("*",), ("*",)), ("get", "x", "y/z", ""), True),
        (Rule(("get",), ("*",), ("*/scale",)), ("get", "apps", "deployments/scale", "a"), True),
        (Rule(("get",), ("*",), ("*/scale",)), ("get", "apps", "deployments", "a"), False),
        (Rule(("get",), ("apps",), ("*/scale",)), ("get", "apps", "deployments/status", "a"), False),
        (Rule(("get",), ("",), ("pods",), ("a",)), ("get", "", "pods", "a"), True),
        (Rule(("get",), ("",), ("pods",), ("a",)), ("get", "", "pods", "b"), False),
        (Rule(("list",), ("",), ("pods",), ("a",)), ("list", "", "pods", ""), False),
    ],
)
def test_a_rule_allows_what_it_says(rule: Rule, asked: tuple[str, str, str, str], allowed: bool) -> None:
    assert rule.allows(*asked) is allowed
    assert RuleSet([rule]).allows(*asked) is allowed


@pytest.mark.parametrize(
    ("path", "asked", "allowed"),
    [
        ("/healthz", "/healthz", True),
        ("/healthz", "/healthz/x", False),
        ("/api/*", "/api/v1", True),
        ("/api/*", "/api", False),
        ("/api*", "/apis", True),
        ("*", "/anything", True),
    ],
)
def test_a_path_may_end_in_a_star(path: str, asked: str, allowed: bool) -> None:
    rules = RuleSet([Rule(("get",), paths=(path,))])
    assert rules.allows_path("get", asked) is allowed
    assert not rules.allows_path("post", asked)


words = st.sampled_from(["a", "b", "*"])
rules = st.builds(
    Rule,
    *(st.lists(words, min_size=1, max_size=2).map(tuple) for _ in range(2)),
    st.lists(st.sampled_from(["x", "y", "x/s", "*/s", "*"]), min_size=1, max_size=2).map(tuple),
    st.lists(st.sampled_from(["n", "m"]), max_size=2).map(tuple),
)


@given(st.lists(rules, max_size=3), st.lists(rules, max_size=2))
def test_what_is_covered_allows_nothing_more(owned: list[Rule], wanted: list[Rule]) -> None:
    if uncovered(owned, wanted):
        return
    asked = itertools.product(("a", "b"), ("a", "b"), ("x", "y", "x/s", "y/s"), ("n", "m", ""))
    for each in asked:
        assert not RuleSet(wanted).allows(*each) or RuleSet(owned).allows(*each)


@given(st.lists(rules, max_size=4))
def test_a_set_of_rules_allows_what_one_of_them_does(of: list[Rule]) -> None:
    asked = itertools.product(("a", "c"), ("a", "c"), ("x", "x/s", "z"), ("n", ""))
    for each in asked:
        assert RuleSet(of).allows(*each) == any(rule.allows(*each) for rule in of)


@given(st.lists(rules, max_size=3))
def test_everybody_has_what_they_have(of: list[Rule]) -> None:
    assert uncovered(of, of) == []


def test_what_is_missing_is_said_in_upstreams_words() -> None:
    wanted = [Rule(("get", "delete"), ("", "apps"), ("pods",)), Rule(("get",), paths=("/metrics",))]
    missing = uncovered([Rule(("get",), ("",), ("pods",))], wanted)
    assert escalation("bob", ("a", "system:authenticated"), missing) == (
        'user "bob" (groups=["a" "system:authenticated"]) is attempting to grant RBAC permissions not'
        ' currently held:\n{APIGroups:[""], Resources:["pods"], Verbs:["delete"]}\n'
        '{APIGroups:["apps"], Resources:["pods"], Verbs:["get" "delete"]}\n'
        '{NonResourceURLs:["/metrics"], Verbs:["get"]}'
    )


def test_an_aggregated_role_gathers_each_rule_once() -> None:
    def role(name: str, label: str, *rules: Obj) -> Obj:
        return {"metadata": {"name": name, "labels": {label: "true"}}, "rules": list(rules)}

    one, two = PODS.object, Rule(("*",), ("apps",), ("*",)).object
    selectors = [{"matchLabels": {"x": "true"}}, {"matchLabels": {"y": "true"}}]
    whole = role("all", "x", {"verbs": ["own"]}) | {"aggregationRule": {"clusterRoleSelectors": selectors}}
    roles = [whole, role("b", "x", one), role("a", "x", two, one), role("c", "y", two), role("d", "z", two)]
    assert gathered(whole, roles) == [two, one]


def binding(role: str = "Role", /, **subject: str) -> Obj:
    return {"metadata": {"name": "b"}, "roleRef": {"kind": role, "name": "r"}, "subjects": [subject]}


@pytest.mark.parametrize(
    ("resource", "obj", "problems"),
    [
        (ROLES, {"rules": [{}]}, ["rules[0].verbs", "rules[0].apiGroups", "rules[0].resources"]),
        (ROLES, {"rules": [{"verbs": ["get"], "nonResourceURLs": ["/"]}]}, ["rules[0].nonResourceURLs"]),
        (CLUSTERROLES, {"rules": [{"verbs": ["get"], "nonResourceURLs": ["/"]}]}, []),
        (
            CLUSTERROLES,
            {"rules": [{"verbs": ["get"], "nonResourceURLs": ["/"], "apiGroups": [""]}]},
            ["rules[0].nonResourceURLs"],
        ),
        (CLUSTERROLES, {"aggregationRule": {}}, ["aggregationRule.clusterRoleSelectors"]),
        (ROLEBINDINGS, binding(kind="User", name="bob"), []),
        (ROLEBINDINGS, binding("Other", kind="User", name="bob"), ["roleRef.kind"]),
        (ROLEBINDINGS, binding(kind="ServiceAccount", name="a"), []),
        (ROLEBINDINGS, binding(kind="ServiceAccount", name="A"), ["subjects[0].name"]),
        (ROLEBINDINGS, binding(kind="ServiceAccount", name="a", apiGroup="x"), ["subjects[0].apiGroup"]),
        (ROLEBINDINGS, binding(kind="Pod", name="a"), ["subjects[0].kind"]),
        (ROLEBINDINGS, binding(kind="Group"), ["subjects[0].name"]),
        (CLUSTERROLEBINDINGS, binding("ClusterRole", kind="Group", name="x"), []),
        (CLUSTERROLEBINDINGS, binding("Role", kind="Group", name="x"), ["roleRef.kind"]),
        (
            CLUSTERROLEBINDINGS,
            binding("ClusterRole", kind="ServiceAccount", name="x"),
            ["subjects[0].namespace"],
        ),
    ],
)
def test_roles_and_bindings_are_validated(resource: Resource, obj: Obj, problems: list[str]) -> None:
    new = {"metadata": {"name": "system:x"}} | obj
    context = Context(namespace="default")
    if not problems:
        create(resource, new, context)
        return
    with pytest.raises(Invalid) as caught:
        create(resource, new, context)
    assert [cause.field for cause in caught.value.causes] == problems


def test_a_bindings_role_stays() -> None:
    context = Context(namespace="default")
    old = create(ROLEBINDINGS, binding(kind="User", name="bob"), context)
    new = {**old, "roleRef": {"kind": "Role", "name": "other"}, "metadata": dict(old["metadata"])}
    with pytest.raises(Invalid, match="cannot change roleRef"):
        update(ROLEBINDINGS, new, old, context=context)
