"""What our own components may do: what they need, and no more."""

from __future__ import annotations

import pytest

from tests.integration.apiserver.cluster import Cluster, User
from tests.integration.apiserver.objects import (
    NAMESPACES,
    NODES,
    PODS,
    SERVICES,
    node,
    pod,
    service,
    service_account,
)
from wellhead.api.meta import Obj

ACCOUNTS = "/api/v1/namespaces/default/serviceaccounts"
SECRETS = "/api/v1/namespaces/default/secrets"
SLICES = "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices"
LEASES = "/apis/coordination.k8s.io/v1/namespaces/{}/leases"
MERGE = "application/merge-patch+json"

KUBE_SYSTEM_SERVICES = "/api/v1/namespaces/kube-system/services"

Action = tuple[str, str]

MAY: dict[str, tuple[Action, ...]] = {
    "kube-scheduler": (
        ("GET", PODS),
        ("GET", NODES),
        ("POST", f"{PODS}/a/binding"),
        ("PATCH", f"{PODS}/a/status"),
        ("DELETE", f"{PODS}/a"),
        ("POST", LEASES.format("kube-system")),
        ("PUT", LEASES.format("kube-system") + "/kube-scheduler"),
    ),
    "kube-proxy": (
        ("GET", "/api/v1/services"),
        ("GET", "/apis/discovery.k8s.io/v1/endpointslices"),
        ("GET", f"{NODES}/node-1"),
        ("GET", "/apis/networking.k8s.io/v1/servicecidrs"),
        ("POST", "/api/v1/namespaces/default/events"),
    ),
    "node-network": (("GET", NODES),),
    "wellhead-image-puller": (
        ("GET", "/api/v1/pods"),
        ("PATCH", f"{PODS}/a/status"),
        ("GET", f"{SECRETS}/a"),
    ),
    "coredns": (
        ("GET", "/api/v1/services"),
        ("GET", "/apis/discovery.k8s.io/v1/endpointslices"),
        ("GET", NAMESPACES),
        ("POST", KUBE_SYSTEM_SERVICES),
        ("PUT", f"{KUBE_SYSTEM_SERVICES}/kube-dns"),
        ("DELETE", "/apis/discovery.k8s.io/v1/namespaces/kube-system/endpointslices/kube-dns-ipv4"),
    ),
    "cloud-controller-manager": (
        ("GET", "/api/v1/services"),
        ("PATCH", f"{SERVICES}/a"),
        ("PATCH", f"{SERVICES}/a/status"),
        ("GET", NODES),
        ("PUT", LEASES.format("kube-system") + "/wellhead-cloud"),
    ),
    "kube-controller-manager": (
        ("GET", SECRETS),
        ("PATCH", f"{SECRETS}/a"),
        ("DELETE", f"{SERVICES}/a"),
        ("POST", "/apis/apps/v1/namespaces/default/replicasets"),
        ("PUT", f"{NODES}/a/status"),
        ("PUT", f"{NAMESPACES}/a/finalize"),
        ("POST", SLICES),
    ),
}
MAY_NOT: dict[str, tuple[Action, ...]] = {
    "kube-scheduler": (
        ("DELETE", f"{NODES}/a"),
        ("PATCH", f"{NODES}/a"),
        ("PATCH", f"{PODS}/a"),
        ("POST", PODS),
        ("DELETE", PODS),
        ("GET", SECRETS),
        ("GET", f"{PODS}/a/exec"),
        ("PUT", LEASES.format("kube-system") + "/kube-controller-manager"),
        ("PUT", LEASES.format("kube-node-lease") + "/node-1"),
        ("POST", LEASES.format("kube-node-lease")),
    ),
    "kube-proxy": (
        ("GET", PODS),
        ("GET", SECRETS),
        ("PATCH", f"{NODES}/node-1/status"),
        ("PATCH", f"{SERVICES}/a"),
        ("POST", NODES),
        ("GET", f"{NODES}/node-1/proxy/"),
    ),
    "node-network": (
        ("GET", PODS),
        ("GET", SECRETS),
        ("GET", "/api/v1/services"),
        ("PATCH", f"{NODES}/node-1"),
        ("POST", "/api/v1/namespaces/default/events"),
    ),
    "wellhead-image-puller": (
        ("GET", SECRETS),
        ("PATCH", f"{SECRETS}/a"),
        ("PATCH", f"{PODS}/a"),
        ("POST", PODS),
        ("GET", NODES),
        ("GET", f"{PODS}/a/exec"),
    ),
    "coredns": (
        ("GET", PODS),
        ("GET", SECRETS),
        ("GET", NODES),
        ("POST", SERVICES),
        ("POST", SLICES),
        ("PUT", f"{SERVICES}/kube-dns"),
        ("PUT", f"{KUBE_SYSTEM_SERVICES}/a"),
        ("DELETE", f"{KUBE_SYSTEM_SERVICES}/kube-dns"),
        ("DELETE", "/apis/discovery.k8s.io/v1/namespaces/kube-system/endpointslices/a"),
    ),
    "cloud-controller-manager": (
        ("GET", SECRETS),
        ("GET", PODS),
        ("POST", SERVICES),
        ("PUT", f"{SERVICES}/new"),
        ("DELETE", f"{SERVICES}/a"),
        ("PATCH", f"{NODES}/a"),
        ("PATCH", f"{NODES}/a/status"),
        ("PUT", LEASES.format("kube-node-lease") + "/node-1"),
        ("POST", LEASES.format("kube-node-lease")),
    ),
    "kube-controller-manager": (
        ("POST", NODES),
        ("POST", SECRETS),
        ("POST", SERVICES),
        ("POST", f"{ACCOUNTS}/a/token"),
        ("GET", f"{PODS}/a/exec"),
        ("POST", f"{PODS}/a/exec"),
        ("GET", f"{PODS}/a/log"),
        ("GET", f"{PODS}/a/proxy/"),
        ("GET", f"{NODES}/a/proxy/"),
        ("POST", f"{PODS}/a/binding"),
        ("PUT", f"{SERVICES}/a/status"),
        ("PUT", f"{SECRETS}/a"),
        ("PUT", LEASES.format("kube-node-lease") + "/node-1"),
    ),
}


async def code(user: User, action: Action) -> int:
    method, path = action
    body: Obj | None = None if method in ("GET", "DELETE") else {}
    return (await user.call(method, path, body, content_type=MERGE if method == "PATCH" else "")).code


@pytest.mark.parametrize("identity", MAY)
async def test_a_component_may_do_what_it_needs_and_no_more(cluster: Cluster, identity: str) -> None:
    user = await cluster.user(identity)
    for action in MAY[identity]:
        assert await code(user, action) != 403, action
    for action in MAY_NOT[identity]:
        assert await code(user, action) == 403, action


async def test_who_may_update_may_not_create_by_that(cluster: Cluster, admin: User) -> None:
    headers = {"Impersonate-User": "wellhead:scheduler"}
    path = LEASES.format("kube-system") + "/kube-scheduler"
    lease = {"metadata": {"name": "kube-scheduler"}, "spec": {}}
    (await admin.call("PUT", path, lease, headers=headers)).expect(201)
    manager = {"Impersonate-User": "wellhead:controller-manager"}
    answer = await admin.call("PUT", f"{SERVICES}/new", service("new"), headers=manager)
    assert answer.code == 403
    await admin.get(path)


@pytest.mark.parametrize("identity", ["kube-scheduler", "wellhead-image-puller"])
@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"status": {"conditions": [{"type": "example.com/x", "status": "True"}]}}, 200),
        ({"metadata": {"labels": {"app": "somebody-elses"}}}, 403),
        ({"metadata": {"annotations": {"a": "b"}}}, 403),
        ({"metadata": {"finalizers": ["example.com/x"]}}, 403),
        ({"status": {"podIPs": [{"ip": "10.244.9.9"}]}}, 403),
        ({"status": {"phase": "Failed"}}, 403),
    ],
)
async def test_who_may_write_a_pods_status_only_cant_change_what_it_is(
    cluster: Cluster, admin: User, identity: str, change: Obj, code: int
) -> None:
    await admin.create(ACCOUNTS, service_account())
    await admin.create(PODS, pod("a"))
    user = await cluster.user(identity)
    answer = await user.call("PATCH", f"{PODS}/a/status", change, content_type=MERGE)
    assert answer.code == code, answer.body
    # It isn't what one writes, but who does.
    assert (await admin.call("PATCH", f"{PODS}/a/status", change, content_type=MERGE)).code == 200


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"metadata": {"annotations": {"wellhead.dev/symmetric-return": "x"}}}, 200),
        ({"metadata": {"annotations": {"wellhead.dev/symmetric-return": None}}}, 200),
        ({"metadata": {"annotations": {"other": "x"}}}, 403),
        ({"metadata": {"annotations": None}}, 403),
        ({"metadata": {"labels": {"x": "y"}}}, 403),
        ({"metadata": {"finalizers": ["example.com/x"]}}, 403),
        (
            {"metadata": {"ownerReferences": [{"apiVersion": "v1", "kind": "Pod", "name": "a", "uid": "b"}]}},
            403,
        ),
        ({"spec": {"taints": [{"key": "a", "effect": "NoExecute"}]}}, 403),
        ({"spec": {"unschedulable": True}}, 403),
    ],
)
async def test_a_proxy_announces_on_its_own_node_only(
    cluster: Cluster, admin: User, change: Obj, code: int
) -> None:
    for name in ("node-1", "node-2"):
        await admin.create(NODES, node(name))
        await admin.patch(f"{NODES}/{name}", {"metadata": {"annotations": {"kept": "x"}}})
    user = await cluster.user("kube-proxy")
    assert (await user.call("PATCH", f"{NODES}/node-1", change, content_type=MERGE)).code == code
    assert (await user.call("PATCH", f"{NODES}/node-2", change, content_type=MERGE)).code == 403
    nowhere = {"Impersonate-User": "system:kube-proxy"}
    answer = await admin.call("PATCH", f"{NODES}/node-1", change, content_type=MERGE, headers=nowhere)
    assert answer.code == 403


@pytest.mark.parametrize("subresource", ["exec", "attach", "portforward"])
async def test_who_may_read_may_not_run_by_that(admin: User, subresource: str) -> None:
    await admin.create(ACCOUNTS, service_account())
    await admin.create(PODS, pod("a"))
    reads = {"verbs": ["get"], "apiGroups": [""], "resources": ["pods", f"pods/{subresource}"]}
    rbac = "/apis/rbac.authorization.k8s.io/v1/namespaces/default"
    await admin.create(f"{rbac}/roles", {"metadata": {"name": "reader"}, "rules": [reads]})
    role = {"kind": "Role", "name": "reader"}
    binding = {
        "metadata": {"name": "reader"},
        "roleRef": role,
        "subjects": [{"kind": "User", "name": "reader"}],
    }
    await admin.create(f"{rbac}/rolebindings", binding)
    reader = {"Impersonate-User": "reader"}
    (await admin.call("GET", f"{PODS}/a", headers=reader)).expect(200)
    path = f"{PODS}/a/{subresource}?command=id&stdout=1"
    refused = (await admin.call("GET", path, headers=reader)).expect(403)
    assert f'cannot create resource "pods/{subresource}"' in refused["message"]


async def test_a_pods_own_token_opens_nothing_but_discovery_and_questions(
    cluster: Cluster, admin: User
) -> None:
    await admin.create(ACCOUNTS, service_account())
    made = await admin.create(PODS, pod("a"))
    reference = {"kind": "Pod", "apiVersion": "v1", "name": "a", "uid": made["metadata"]["uid"]}
    request = {"spec": {"boundObjectRef": reference}}
    token = (await admin.create(f"{ACCOUNTS}/default/token", request))["status"]["token"]
    user = await cluster.user(None, token)
    for path in ("/api", "/apis", "/openapi/v2", "/version", "/healthz"):
        await user.get(path)
    review = {"spec": {"resourceAttributes": {"verb": "list", "resource": "pods"}}}
    await user.create("/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", review)
    for action in (
        ("GET", PODS),
        ("GET", f"{PODS}/a"),
        ("GET", SECRETS),
        ("GET", f"{ACCOUNTS}/default"),
        ("POST", f"{ACCOUNTS}/default/token"),
        ("POST", "/api/v1/namespaces/default/events"),
        ("GET", "/metrics"),
        ("POST", "/apis/authentication.k8s.io/v1/tokenreviews"),
        ("POST", "/apis/authorization.k8s.io/v1/subjectaccessreviews"),
    ):
        assert await code(user, action) == 403, action


async def test_what_has_no_namespace_is_in_none(admin: User) -> None:
    """Or a right in one namespace would reach what is everybody's (CVE-2019-11247)."""
    await admin.create(NODES, node("node-1"))
    for path in (
        "/api/v1/namespaces/default/nodes",
        "/apis/networking.k8s.io/v1/namespaces/default/servicecidrs",
    ):
        for method in ("GET", "DELETE"):
            for name in ("", "/node-1"):
                assert (await admin.call(method, path + name)).code == 404
