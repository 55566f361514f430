"""The roles that a cluster starts with, and what a start does to those that somebody changed."""

from __future__ import annotations

from collections import Counter

from wellhead.api.kinds.rbac import CLUSTERROLEBINDINGS, CLUSTERROLES, ROLEBINDINGS, ROLES
from wellhead.api.meta import Obj, key
from wellhead.api.rbac.aggregation import gathered
from wellhead.api.rbac.rules import RuleSet, rules_of
from wellhead.api.strategy import Context
from wellhead.api.writes import create
from wellhead.apiserver.rbac.defaults import AUTOUPDATE, default_objects
from wellhead.apiserver.rbac.reconciling import reconciled


def cluster_roles() -> dict[str, Obj]:
    return {obj["metadata"]["name"]: obj for resource, obj in default_objects() if resource == CLUSTERROLES}


def test_all_are_valid_and_none_is_there_twice() -> None:
    names: Counter[tuple[str, str, str]] = Counter()
    for resource, obj in default_objects():
        namespace, name = key(obj)
        assert bool(namespace) == resource.namespaced
        create(resource, obj, Context(namespace=namespace))
        names[resource.plural, namespace, name] += 1
    assert set(names.values()) == {1}


def test_every_binding_has_its_role() -> None:
    there = {
        (obj["kind"], *key(obj)) for resource, obj in default_objects() if resource in (ROLES, CLUSTERROLES)
    }
    for resource, obj in default_objects():
        if resource in (ROLEBINDINGS, CLUSTERROLEBINDINGS):
            role = obj["roleRef"]
            namespace = key(obj)[0] if role["kind"] == "Role" else ""
            assert (role["kind"], namespace, role["name"]) in there


def test_admins_may_what_editors_may_and_these_what_viewers_may() -> None:
    roles = cluster_roles()
    for name in ("view", "edit", "admin"):
        roles[name]["rules"] = gathered(roles[name], roles.values())
    view, edit, admin = (RuleSet(rules_of(roles[name])) for name in ("view", "edit", "admin"))
    for each in (view, edit, admin):
        assert each.allows("list", "apps", "deployments", "")
        assert each.allows("get", "", "pods/log", "a")
    assert not view.allows("get", "", "secrets", "a")
    assert not view.allows("create", "", "pods/exec", "a")
    assert edit.allows("create", "", "pods/exec", "a")
    assert not edit.allows("create", "rbac.authorization.k8s.io", "rolebindings", "")
    assert admin.allows("create", "rbac.authorization.k8s.io", "rolebindings", "")
    assert not admin.allows("create", "", "namespaces", "")


def test_a_start_adds_what_is_missing_and_takes_nothing() -> None:
    wanted = cluster_roles()["system:kube-dns"]
    own = {"verbs": ["get"], "apiGroups": [""], "resources": ["pods"]}
    part = {"verbs": ["list"], "apiGroups": [""], "resources": ["endpoints", "services"]}
    found = {**wanted, "rules": [own, part], "metadata": {"name": "system:kube-dns", "labels": {"a": "b"}}}
    new = reconciled(found, wanted)
    assert new["metadata"]["labels"] == {"a": "b", "kubernetes.io/bootstrapping": "rbac-defaults"}
    assert new["metadata"]["annotations"] == {AUTOUPDATE: "true"}
    assert new["rules"][:2] == [own, part]
    assert [(each["resources"], each["verbs"]) for each in new["rules"][2:]] == [
        (["endpoints"], ["watch"]),
        (["services"], ["watch"]),
    ]
    assert reconciled(new, wanted) == new


def test_who_opts_out_is_left_alone() -> None:
    wanted = cluster_roles()["view"]
    found: Obj = {"metadata": {"name": "view", "annotations": {AUTOUPDATE: "false"}}, "rules": []}
    assert reconciled(found, wanted) == found


def test_a_binding_gets_its_subjects_back() -> None:
    bindings = {key(obj)[1]: obj for resource, obj in default_objects() if resource == CLUSTERROLEBINDINGS}
    wanted = bindings["system:kube-scheduler"]
    added = {"kind": "User", "apiGroup": "rbac.authorization.k8s.io", "name": "bob"}
    new = reconciled({**wanted, "subjects": [added]}, wanted)
    assert new["subjects"] == [added, *wanted["subjects"]]


def test_an_aggregated_role_keeps_the_selectors_that_were_added() -> None:
    wanted = cluster_roles()["view"]
    own = {"matchLabels": {"a": "b"}}
    new = reconciled({**wanted, "aggregationRule": {"clusterRoleSelectors": [own]}}, wanted)
    assert new["aggregationRule"]["clusterRoleSelectors"] == [
        own,
        *wanted["aggregationRule"]["clusterRoleSelectors"],
    ]
