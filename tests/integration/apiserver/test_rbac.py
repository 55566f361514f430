"""Roles and bindings as objects: they count at once, give nobody more than the giver has, and are kept."""

from __future__ import annotations

from typing import Any

import pytest

from tests.integration.apiserver.cluster import Cluster, User
from tests.integration.apiserver.objects import CONFIGMAPS, PODS
from wellhead.api.meta import Obj

RBAC = "/apis/rbac.authorization.k8s.io/v1"
HERE = f"{RBAC}/namespaces/default"
ACCESS = "/apis/authorization.k8s.io/v1"
BOB = {"kind": "User", "name": "bob"}


def rule(verbs: str, resources: str, group: str = "", **more: object) -> Obj:
    return {"verbs": verbs.split(), "apiGroups": [group], "resources": resources.split(), **more}


async def grant(admin: User, name: str, *rules: Obj, where: str = HERE, subject: Obj = BOB) -> None:
    kind = "Role" if where == HERE else "ClusterRole"
    plural = kind.lower()
    await admin.create(f"{where}/{plural}s", {"metadata": {"name": name}, "rules": list(rules)})
    role = {"kind": kind, "name": name}
    binding = {"metadata": {"name": name}, "roleRef": role, "subjects": [subject]}
    await admin.create(f"{where}/{plural}bindings", binding)


class As:
    """Somebody, by the administrator's right to impersonate."""

    def __init__(self, admin: User, user: str, *groups: str) -> None:
        self._admin = admin
        self._headers = {"Impersonate-User": user, **({"Impersonate-Group": groups[0]} if groups else {})}

    async def code(self, method: str, path: str, body: object = None, **options: Any) -> int:
        return (await self._admin.call(method, path, body, headers=self._headers, **options)).code

    async def refused(self, method: str, path: str, body: object) -> str:
        answer = await self._admin.call(method, path, body, headers=self._headers)
        return str(answer.expect(403)["message"])


async def test_a_binding_counts_as_long_as_it_is_there(admin: User) -> None:
    bob = As(admin, "bob")
    assert await bob.code("GET", PODS) == 403
    await grant(admin, "reader", rule("get list", "pods"), rule("get", "configmaps", resourceNames=["a"]))
    assert await bob.code("GET", PODS) == 200
    assert await bob.code("GET", f"{CONFIGMAPS}/a") == 404
    assert await bob.code("GET", f"{CONFIGMAPS}/b") == 403
    assert await bob.code("GET", "/api/v1/pods") == 403
    assert await bob.code("GET", "/api/v1/namespaces/kube-system/pods") == 403
    await admin.patch(f"{HERE}/roles/reader", {"rules": [rule("get", "pods")]})
    assert await bob.code("GET", PODS) == 403
    assert await bob.code("GET", f"{PODS}/a") == 404
    await admin.delete(f"{HERE}/rolebindings/reader")
    assert await bob.code("GET", f"{PODS}/a") == 403


async def test_a_cluster_role_may_be_given_in_one_namespace(admin: User) -> None:
    await admin.create(f"{RBAC}/clusterroles", {"metadata": {"name": "r"}, "rules": [rule("list", "pods")]})
    account = {"kind": "ServiceAccount", "name": "default"}
    binding = {
        "metadata": {"name": "r"},
        "roleRef": {"kind": "ClusterRole", "name": "r"},
        "subjects": [{"kind": "Group", "name": "team"}, account],
    }
    await admin.create(f"{HERE}/rolebindings", binding)
    for each in (As(admin, "x", "team"), As(admin, "system:serviceaccount:default:default")):
        assert await each.code("GET", PODS) == 200
        assert await each.code("GET", "/api/v1/pods") == 403
    other = As(admin, "system:serviceaccount:kube-system:default")
    assert await other.code("GET", PODS) == 403


async def test_paths_are_given_by_cluster_roles(admin: User) -> None:
    paths = {"verbs": ["get"], "nonResourceURLs": ["/metrics", "/readyz/*"]}
    await grant(admin, "paths", paths, where=RBAC)
    bob = As(admin, "bob")
    assert await bob.code("GET", "/metrics") == 200
    assert await bob.code("GET", "/readyz/ping") == 200
    assert await As(admin, "eve").code("GET", "/metrics") == 403


async def test_nobody_gives_what_they_have_not(admin: User) -> None:
    await grant(
        admin, "writer", rule("create update patch", "roles rolebindings", "rbac.authorization.k8s.io")
    )
    await grant(admin, "reader", rule("get", "pods"))
    bob = As(admin, "bob")
    mine = {"metadata": {"name": "mine"}, "rules": [rule("get", "pods")]}
    assert await bob.code("POST", f"{HERE}/roles", mine) == 201
    more = {"metadata": {"name": "more"}, "rules": [rule("get delete", "pods secrets")]}
    assert await bob.refused("POST", f"{HERE}/roles", more) == (
        'roles.rbac.authorization.k8s.io "more" is forbidden: user "bob" (groups=["system:authenticated"]) is'
        " attempting to grant RBAC permissions not currently held:\n"
        '{APIGroups:[""], Resources:["pods"], Verbs:["delete"]}\n'
        '{APIGroups:[""], Resources:["secrets"], Verbs:["get" "delete"]}'
    )
    replaced = mine | {"rules": more["rules"]}
    assert "attempting to grant" in await bob.refused("PUT", f"{HERE}/roles/mine", replaced)
    labels = {"metadata": {"labels": {"a": "b"}}}
    merge = "application/merge-patch+json"
    assert await bob.code("PATCH", f"{HERE}/roles/reader", labels, content_type=merge) == 200

    def to(kind: str, name: str) -> Obj:
        role = {"kind": kind, "name": name}
        return {"metadata": {"name": name}, "roleRef": role, "subjects": [BOB]}

    assert await bob.code("POST", f"{HERE}/rolebindings", to("Role", "mine")) == 201
    assert "attempting to grant" in await bob.refused(
        "POST", f"{HERE}/rolebindings", to("ClusterRole", "cluster-admin")
    )
    assert await bob.code("POST", f"{HERE}/rolebindings", to("ClusterRole", "none")) == 404
    binds = rule("bind", "clusterroles", "rbac.authorization.k8s.io", resourceNames=["cluster-admin"])
    await grant(admin, "binds", binds)
    assert await bob.code("POST", f"{HERE}/rolebindings", to("ClusterRole", "cluster-admin")) == 201
    assert await bob.code("POST", f"{HERE}/roles", more) == 201  # which it gave itself just now


async def test_who_may_escalate_gives_anything(admin: User) -> None:
    await grant(admin, "escalates", rule("create escalate", "roles", "rbac.authorization.k8s.io"))
    role = {"metadata": {"name": "any"}, "rules": [rule("*", "*", "*")]}
    assert await As(admin, "bob").code("POST", f"{HERE}/roles", role) == 201


async def test_who_aggregates_may_do_everything(admin: User) -> None:
    await grant(admin, "writer", rule("create", "clusterroles", "rbac.authorization.k8s.io"), where=RBAC)
    selectors = [{"matchLabels": {"a": "b"}}]
    role = {"metadata": {"name": "all"}, "aggregationRule": {"clusterRoleSelectors": selectors}}
    bob = As(admin, "bob")
    assert await bob.refused("POST", f"{RBAC}/clusterroles", role) == (
        'clusterroles.rbac.authorization.k8s.io "all" is forbidden: must have cluster-admin privileges to use'
        " the aggregationRule"
    )
    await grant(admin, "all", rule("*", "*", "*"), {"verbs": ["*"], "nonResourceURLs": ["*"]}, where=RBAC)
    role["metadata"] = {"name": "more"}
    assert await bob.code("POST", f"{RBAC}/clusterroles", role) == 201


async def test_reviews_say_why(admin: User) -> None:
    await grant(admin, "reader", rule("get", "pods"))
    asked = {"verb": "get", "resource": "pods", "namespace": "default"}
    review = {"spec": {"user": "bob", "resourceAttributes": asked}}
    local = f"{ACCESS}/namespaces/default/localsubjectaccessreviews"
    expected = {
        "allowed": True,
        "reason": 'RBAC: allowed by RoleBinding "reader/default" of Role "reader" to User "bob"',
    }
    for path in (local, f"{ACCESS}/subjectaccessreviews"):
        assert (await admin.create(path, review))["status"] == expected
    elsewhere = {"spec": {"user": "bob", "resourceAttributes": asked | {"namespace": "x"}}}
    status = (await admin.call("POST", local, elsewhere)).expect(422)
    assert "must match metadata.namespace" in status["message"]
    await admin.delete(f"{HERE}/roles/reader")
    status = (await admin.create(local, review))["status"]
    missing = 'RBAC: role.rbac.authorization.k8s.io "reader" not found'
    assert status == {"allowed": False, "reason": missing}
    refused = await As(admin, "bob").refused("GET", f"{PODS}/a", None)
    assert refused.endswith(f'in the namespace "default": {missing}')


async def test_everybody_may_ask_for_their_rules(cluster: Cluster, admin: User) -> None:
    await grant(admin, "reader", rule("get", "pods"), subject={"kind": "User", "name": "nobody"})
    nobody = await cluster.user("nobody")
    review = {"spec": {"namespace": "default"}}
    status = (await nobody.create(f"{ACCESS}/selfsubjectrulesreviews", review))["status"]
    assert {"verbs": ["get"], "apiGroups": [""], "resources": ["pods"]} in status["resourceRules"]
    assert status["incomplete"] is False
    (await nobody.call("POST", f"{ACCESS}/selfsubjectrulesreviews", {"spec": {}})).expect(400)
    node = await cluster.user("node-1")
    status = (await node.create(f"{ACCESS}/selfsubjectrulesreviews", review))["status"]
    assert status["incomplete"] is True
    assert "node authorizer" in status["evaluationError"]


_DEFAULTS = (
    *("cluster-admin", "admin", "edit", "view"),
    *("system:aggregate-to-view", "system:aggregated-metrics-reader"),
)


@pytest.mark.parametrize("name", _DEFAULTS)
async def test_the_default_roles_are_there(admin: User, name: str) -> None:
    role = await admin.get(f"{RBAC}/clusterroles/{name}")
    assert role["metadata"]["annotations"] == {"rbac.authorization.kubernetes.io/autoupdate": "true"}
    assert role["metadata"]["labels"]["kubernetes.io/bootstrapping"] == "rbac-defaults"
