"""What a node may see and change: itself, its pods, what those refer to (Node authorizer, NodeRestriction).

The rules are upstream's of v1.36; where ours are stricter, the test says so.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping

import msgspec
import pytest

from tests.integration.apiserver.cluster import Cluster, User
from tests.integration.apiserver.objects import (
    CONFIGMAPS,
    NODES,
    PODS,
    binding,
    configmap,
    node,
    pod,
    service_account,
)
from wellhead.api.meta import Obj

SECRETS = "/api/v1/namespaces/default/secrets"
ACCOUNTS = "/api/v1/namespaces/default/serviceaccounts"
LEASES = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases"
MERGE, STRATEGIC, JSON = "merge-patch", "strategic-merge-patch", "json-patch"
OWNER = {"apiVersion": "v1", "kind": "ConfigMap", "name": "none", "uid": "none"}


@pytest.fixture
async def agent(cluster: Cluster, admin: User) -> User:
    """node-1's, in a cluster of two nodes with a bound pod each."""
    await admin.create(ACCOUNTS, service_account())
    for name in ("node-1", "node-2"):
        await admin.create(NODES, node(name))
        await admin.create(PODS, pod(f"on-{name}"))
        await bind(admin, f"on-{name}", name)
    return await cluster.user("node-1")


async def bind(admin: User, name: str, to: str) -> None:
    await admin.create(f"{PODS}/{name}/binding", binding(name, to))


async def patched(agent: User, path: str, body: object, kind: str = MERGE) -> int:
    return (await agent.call("PATCH", path, body, content_type=f"application/{kind}+json")).code


def as_json_patch(body: Mapping[str, object], at: str = "") -> list[Obj]:
    """The same change as operations on single fields."""
    operations: list[Obj] = []
    for name, value in body.items():
        path = f"{at}/{name.replace('~', '~0').replace('/', '~1')}"
        if isinstance(value, dict) and at.count("/") < 1:
            operations += as_json_patch(value, path)
        else:
            operations.append({"op": "add", "path": path, "value": value})
    return operations


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"metadata": {"labels": {"example.com/rack": "7", "node.kubernetes.io/x": "y"}}}, 200),
        ({"metadata": {"labels": {"topology.kubernetes.io/zone": "a"}}}, 200),
        ({"metadata": {"annotations": {"node-restriction.kubernetes.io/x": "y"}}}, 200),
        ({"metadata": {"labels": {"node-restriction.kubernetes.io/trusted": "yes"}}}, 403),
        ({"metadata": {"labels": {"x.node-restriction.kubernetes.io/trusted": "yes"}}}, 403),
        ({"metadata": {"labels": {"node-role.kubernetes.io/control-plane": ""}}}, 403),
        ({"metadata": {"labels": {"kubernetes.io/other": "x"}}}, 403),
        ({"metadata": {"labels": {"example.k8s.io/other": "x"}}}, 403),
        ({"metadata": {"labels": {"notkubernetes.io/other": "x"}}}, 200),
        ({"metadata": {"ownerReferences": [OWNER]}}, 403),
        ({"metadata": {"finalizers": ["example.com/stay"]}}, 403),  # ours
        ({"spec": {"taints": [{"key": "a", "effect": "NoSchedule"}]}}, 403),
        ({"spec": {"unschedulable": True}}, 200),
    ],
)
@pytest.mark.parametrize("kind", [MERGE, STRATEGIC, JSON])
@pytest.mark.parametrize("subresource", ["", "/status"])
async def test_a_node_says_of_itself_what_draws_no_workloads(
    agent: User, admin: User, change: Obj, code: int, kind: str, subresource: str
) -> None:
    body: object = change
    if kind == JSON:
        for field in ("labels", "annotations"):
            if field in change.get("metadata", {}):
                await admin.patch(f"{NODES}/node-1", {"metadata": {field: {"example.com/first": "1"}}})
        body = as_json_patch(change)
    assert await patched(agent, f"{NODES}/node-1{subresource}", body, kind) == code
    assert await patched(agent, f"{NODES}/node-2{subresource}", body, kind) == 403


async def test_a_node_takes_no_taint_and_no_restricted_label_from_itself(agent: User, admin: User) -> None:
    own = f"{NODES}/node-1"
    taint = {"key": "dedicated", "effect": "NoExecute"}
    label = "node-restriction.kubernetes.io/untrusted"
    await admin.patch(own, {"spec": {"taints": [taint]}, "metadata": {"labels": {label: "yes"}}})
    changes: tuple[Obj, ...] = (
        {"spec": {"taints": None}},
        {"spec": {"taints": []}},
        {"spec": {"taints": [taint | {"effect": "NoSchedule"}]}},
        {"spec": None},
        {"metadata": {"labels": {label: None}}},
        {"metadata": {"labels": None}},
    )
    for body in changes:
        assert await patched(agent, own, body) == 403, body
    replaced = await agent.get(own)
    assert (await agent.call("PUT", own, replaced)).code == 200
    del replaced["spec"]["taints"], replaced["metadata"]["resourceVersion"]
    assert (await agent.call("PUT", own, replaced)).code == 403
    assert (await agent.call("PUT", f"{own}/status", replaced)).code == 403
    assert (await admin.get(own))["spec"]["taints"] == [taint]


async def test_a_node_registers_itself_without_restricted_labels_or_owners(
    cluster: Cluster, admin: User
) -> None:
    agent = await cluster.user("node-1")

    async def created(**metadata: object) -> int:
        body: Obj = node("node-1") | {"metadata": {"name": "node-1"} | metadata}
        return (await agent.call("POST", NODES, body)).code

    assert await created(name="node-3") == 403
    assert await created(name=None, generateName="node-1") == 403
    assert await created(labels={"node-restriction.kubernetes.io/a": "b"}) == 403
    assert await created(labels={"node-role.kubernetes.io/control-plane": ""}) == 403
    assert await created(ownerReferences=[OWNER]) == 403  # ours
    assert (await agent.call("POST", NODES, {"metadata": None})).code == 403
    tainted = node("node-1") | {"spec": {"taints": [{"key": "new", "effect": "NoSchedule"}]}}
    await agent.create(NODES, tainted)
    assert (await agent.call("DELETE", f"{NODES}/node-1")).code == 403
    assert (await agent.call("DELETE", NODES)).code == 403


async def test_a_node_reads_itself_and_no_other(agent: User) -> None:
    await agent.get(f"{NODES}/node-1")
    await agent.get(NODES, fieldSelector="metadata.name=node-1")
    async with agent.watch(NODES, fieldSelector="metadata.name=node-1") as watch:
        assert await watch.names(1) == [("ADDED", "node-1")]
    for path, query in (
        (f"{NODES}/node-2", {}),
        (NODES, {}),
        (NODES, {"watch": "true"}),
        (NODES, {"fieldSelector": "metadata.name=node-2"}),
        (NODES, {"fieldSelector": "metadata.name!=node-1"}),
        (NODES, {"labelSelector": "kubernetes.io/hostname=node-1"}),
    ):
        assert (await agent.call("GET", path, query=query)).code == 403, (path, query)


async def test_a_node_reads_the_pods_that_are_bound_to_it(agent: User) -> None:
    mine = "spec.nodeName=node-1"
    for path in (PODS, "/api/v1/pods"):
        found = await agent.get(path, fieldSelector=mine)
        assert [each["metadata"]["name"] for each in found["items"]] == ["on-node-1"]
        async with agent.watch(path, fieldSelector=mine) as watch:
            assert await watch.names(1) == [("ADDED", "on-node-1")]
    await agent.get(f"{PODS}/on-node-1")
    await agent.get(PODS, fieldSelector="metadata.name=on-node-1")
    # A second term only takes away.
    found = await agent.get("/api/v1/pods", fieldSelector=f"{mine},spec.nodeName=node-2")
    assert found["items"] == []
    for path, query in (
        (PODS, {}),
        ("/api/v1/pods", {}),
        ("/api/v1/pods", {"watch": "true"}),
        (PODS, {"fieldSelector": "spec.nodeName=node-2"}),
        (PODS, {"fieldSelector": "spec.nodeName!=node-2"}),
        (PODS, {"fieldSelector": "spec.nodeName="}),
        (PODS, {"fieldSelector": "metadata.name=on-node-2"}),
        (f"{PODS}/on-node-2", {}),
        (f"{PODS}/none", {}),
        (f"{PODS}/on-node-1/log", {}),
        (f"{PODS}/on-node-1/status", {}),
    ):
        assert (await agent.call("GET", path, query=query)).code == 403, (path, query)


@pytest.mark.parametrize("kind", [MERGE, STRATEGIC, JSON])
async def test_a_node_changes_nothing_of_a_pod_but_its_status(agent: User, admin: User, kind: str) -> None:
    path = f"{PODS}/on-node-1"
    await admin.patch(path, {"metadata": {"annotations": {"a": "b"}, "finalizers": ["example.com/held"]}})
    status = {"status": {"phase": "Running"}}
    sent = [{"op": "add", "path": "/status/phase", "value": "Running"}] if kind == JSON else status
    assert await patched(agent, f"{path}/status", sent, kind) == 200
    assert await patched(agent, f"{PODS}/on-node-2/status", sent, kind) == 403
    for metadata in (
        {"labels": {"app": "somebody-elses"}},
        {"labels": {"app": None}} if kind != JSON else {"labels": {}},
        {"annotations": {"a": "c"}},
        {"ownerReferences": [OWNER]},
        {"finalizers": [] if kind != STRATEGIC else ["example.com/more"]},
    ):
        body: object = {"metadata": metadata, **status}
        if kind == JSON:
            body = [{"op": "add", "path": f"/metadata/{name}", "value": v} for name, v in metadata.items()]
        assert await patched(agent, f"{path}/status", body, kind) == 403, metadata
    assert await patched(agent, path, {"metadata": {"labels": {"x": "y"}}}) == 403
    after = await admin.get(path)
    assert after["metadata"]["labels"] == {"app": "on-node-1"}
    assert after["metadata"]["finalizers"] == ["example.com/held"]


async def test_a_pod_becomes_nobodys_endpoint_by_a_replaced_status(agent: User, admin: User) -> None:
    path = f"{PODS}/on-node-1"
    current = await agent.get(path)
    assert (await agent.call("PUT", f"{path}/status", current)).code == 200
    current = await agent.get(path)
    current["metadata"]["labels"] = {"app": "somebody-elses"}
    for query in ({}, {"dryRun": "All"}):
        assert (await agent.call("PUT", f"{path}/status", current, query=query)).code == 403
    current = await agent.get(path)
    current["status"]["resourceClaimStatuses"] = [{"name": "a", "resourceClaimName": "b"}]
    assert (await agent.call("PUT", f"{path}/status", current)).code == 403
    assert (await agent.call("PUT", path, await agent.get(path))).code == 403


async def test_a_node_deletes_and_evicts_its_own_pods(agent: User, admin: User) -> None:
    await admin.create(PODS, pod("unbound"))
    for name in ("on-node-2", "unbound"):
        assert (await agent.call("DELETE", f"{PODS}/{name}")).code == 403
        assert (await agent.call("POST", f"{PODS}/{name}/eviction", {})).code == 403
    assert (await agent.call("DELETE", PODS, query={"fieldSelector": "spec.nodeName=node-1"})).code == 403
    assert (await agent.call("DELETE", f"{PODS}/none")).code == 404
    await agent.create(f"{PODS}/on-node-1/eviction", {"metadata": {"name": "on-node-1"}})
    await agent.delete(f"{PODS}/on-node-1", {"gracePeriodSeconds": 0})
    await admin.get(f"{PODS}/on-node-2")


async def test_a_deletion_is_judged_by_the_pod_that_it_meets(agent: User, admin: User) -> None:
    """A body that comes late must not delete what was bound meanwhile to another node."""

    async def late() -> AsyncIterator[bytes]:
        yield b'{"gracePeriodSeconds": 0'
        await admin.create(PODS, pod("new"))
        await bind(admin, "new", "node-2")
        yield b"}"

    async with agent.session.delete(
        f"{agent.url}{PODS}/new", data=late(), headers={"Content-Type": "application/json"}
    ) as response:
        assert response.status == 403
    await admin.get(f"{PODS}/new")


def mirror(name: str, uid: str, **spec: object) -> Obj:
    owner = {"apiVersion": "v1", "kind": "Node", "name": "node-1", "uid": uid, "controller": True}
    created = pod(name, nodeName="node-1", **spec)
    created["metadata"] |= {
        "annotations": {"kubernetes.io/config.mirror": "x"},
        "ownerReferences": [owner],
    }
    return created


async def test_a_node_creates_mirror_pods_that_refer_to_nothing(agent: User, admin: User) -> None:
    uid = (await admin.get(f"{NODES}/node-1"))["metadata"]["uid"]
    await admin.create(SECRETS, {"metadata": {"name": "s"}, "stringData": {"a": "b"}})
    made = await agent.create(PODS, mirror("static", uid))
    assert "serviceAccountName" not in made["spec"]
    assert not made["spec"].get("volumes")

    async def refused(obj: Obj) -> None:
        assert (await agent.call("POST", PODS, obj)).code == 403, obj

    await refused(pod("plain", nodeName="node-1"))
    await refused(
        mirror("x", uid) | {"metadata": {"name": "x", "annotations": {"kubernetes.io/config.mirror": "x"}}}
    )
    await refused(mirror("x", "another"))
    foreign = mirror("x", uid)
    foreign["spec"]["nodeName"] = "node-2"
    await refused(foreign)
    for change in ({"name": "node-2"}, {"controller": False}, {"blockOwnerDeletion": True}, {"kind": "Pod"}):
        changed = mirror("x", uid)
        changed["metadata"]["ownerReferences"][0] |= change
        await refused(changed)
    twice = mirror("x", uid)
    twice["metadata"]["ownerReferences"].append(OWNER)
    await refused(twice)
    projected = [{"secret": {"name": "s"}}]
    container = {"name": "main", "image": "busybox"}
    for spec in (
        {"serviceAccountName": "default"},
        {"serviceAccount": "default"},
        {"volumes": [{"name": "v", "secret": {"secretName": "s"}}]},
        {"volumes": [{"name": "v", "configMap": {"name": "c"}}]},
        {"volumes": [{"name": "v", "projected": {"sources": projected}}]},
        {"volumes": [{"name": "v", "projected": {"sources": [{"serviceAccountToken": {"path": "t"}}]}}]},
        {"volumes": [{"name": "v", "persistentVolumeClaim": {"claimName": "p"}}]},
        {"resourceClaims": [{"name": "gpu", "resourceClaimName": "c"}]},
        {"imagePullSecrets": [{"name": "s"}]},
        {"containers": [container | {"envFrom": [{"secretRef": {"name": "s"}}]}]},
        {"initContainers": [container | {"name": "i", "envFrom": [{"configMapRef": {"name": "c"}}]}]},
    ):
        await refused(mirror("x", uid, **spec))
    # Nor does a mirror pod open what others have stored.
    assert (await agent.call("GET", f"{SECRETS}/s")).code == 403
    (await admin.call("POST", PODS, mirror("y", uid, serviceAccountName="default"))).expect(403)


async def test_a_node_reads_what_its_pods_refer_to(agent: User, admin: User) -> None:
    for name in ("used", "unused"):
        await admin.create(CONFIGMAPS, configmap(name))
        await admin.create(SECRETS, {"metadata": {"name": name}})
    volumes = [
        {"name": "v", "configMap": {"name": "used"}},
        {"name": "w", "projected": {"sources": [{"secret": {"name": "used"}}]}},
    ]
    await admin.create(PODS, pod("a", volumes=volumes))
    for path in (CONFIGMAPS, SECRETS):
        (await agent.call("GET", f"{path}/used")).expect(403)
    await bind(admin, "a", "node-1")
    for path in (CONFIGMAPS, SECRETS):
        await agent.get(f"{path}/used")
        await agent.get(path, fieldSelector="metadata.name=used")
        everywhere = path.replace("/namespaces/default", "")
        for denied, query in (
            (f"{path}/unused", {}),
            (path, {}),
            (path, {"fieldSelector": "metadata.name=unused"}),
            (everywhere, {"fieldSelector": "metadata.name=used"}),
        ):
            (await agent.call("GET", denied, query=query)).expect(403)
        (await agent.call("PATCH", f"{path}/used", {}, content_type="application/merge-patch+json")).expect(
            403
        )
        (await agent.call("DELETE", f"{path}/used")).expect(403)
        (
            await agent.call("POST", path, configmap("new"), query={"fieldSelector": "metadata.name=used"})
        ).expect(403)
    await agent.get(f"{ACCOUNTS}/default")
    (await agent.call("GET", ACCOUNTS)).expect(403)


async def test_a_node_asks_for_tokens_that_its_pods_volumes_name(agent: User, admin: User) -> None:
    sources = [{"serviceAccountToken": {"path": "vault", "audience": "vault"}}]
    await admin.create(PODS, pod("a", volumes=[{"name": "v", "projected": {"sources": sources}}]))
    await bind(admin, "a", "node-1")
    await admin.create(ACCOUNTS, service_account("other"))
    pods = {name: await admin.get(f"{PODS}/{name}") for name in ("a", "on-node-1", "on-node-2")}

    async def asked(name: str | None = "a", account: str = "default", uid: str = "", **spec: object) -> int:
        if name is not None:
            uid = uid or pods[name]["metadata"]["uid"]
            spec = {"boundObjectRef": {"kind": "Pod", "apiVersion": "v1", "name": name, "uid": uid}} | spec
        return (await agent.call("POST", f"{ACCOUNTS}/{account}/token", {"spec": spec})).code

    assert await asked() == 201
    assert await asked(audiences=["vault"]) == 201
    assert await asked("on-node-1") == 201
    assert await asked("on-node-1", audiences=["vault"]) == 403
    assert await asked(audiences=["another"]) == 403
    assert await asked(audiences=["vault", "another"]) == 403
    assert await asked("on-node-2") == 403
    assert await asked(account="other") == 403
    assert await asked(None) == 403
    assert await asked(uid="another") == 403
    without_uid = {"kind": "Pod", "apiVersion": "v1", "name": "a"}
    assert await asked(boundObjectRef=without_uid) == 403
    assert await asked(boundObjectRef={"kind": "Secret", "apiVersion": "v1", "name": "a", "uid": "x"}) == 403


async def test_a_node_keeps_its_own_lease(agent: User, admin: User) -> None:
    def lease(name: str) -> Obj:
        spec = {"holderIdentity": name, "leaseDurationSeconds": 40}
        return {"metadata": {"name": name}, "spec": spec}

    (await agent.call("POST", LEASES, lease("node-2"))).expect(403)
    (await agent.call("POST", LEASES.replace("kube-node-lease", "kube-system"), lease("node-1"))).expect(403)
    (await agent.call("PUT", f"{LEASES}/node-2", lease("node-2"))).expect(403)
    # An update that creates makes no other name, either.
    nameless = {"metadata": {"generateName": "x"}, "spec": lease("node-1")["spec"]}
    (await agent.call("PUT", f"{LEASES}/node-1", nameless)).expect(400)
    made = (await agent.call("PUT", f"{LEASES}/node-1", lease("node-1"))).expect(201)
    assert made["metadata"]["name"] == "node-1"
    await agent.update(f"{LEASES}/node-1", made)
    (await agent.call("GET", LEASES)).expect(403)
    await agent.delete(f"{LEASES}/node-1")


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/api/v1/namespaces"),
        ("GET", "/api/v1/endpoints"),
        ("GET", "/apis/discovery.k8s.io/v1/endpointslices"),
        ("GET", "/apis/apps/v1/deployments"),
        ("GET", f"{NODES}/node-1/proxy/pods"),
        ("GET", f"{NODES}/node-1/status"),
        ("POST", f"{PODS}/on-node-1/binding"),
        ("POST", f"{PODS}/on-node-1/exec"),
        ("GET", f"{PODS}/on-node-1/exec"),
        ("GET", "/metrics"),
        ("POST", "/api/v1/namespaces/default/services"),
    ],
)
async def test_a_node_has_no_business_elsewhere(agent: User, method: str, path: str) -> None:
    assert (await agent.call(method, path, {} if method == "POST" else None)).code == 403


@pytest.mark.parametrize(
    ("user", "groups"),
    [
        ("system:node:", ["system:nodes"]),
        ("system:node:node-1", ["others"]),
        ("node-1", ["system:nodes"]),
        ("system:nodes:node-1", ["system:nodes"]),
    ],
)
async def test_who_is_no_node_has_none_of_its_rights(
    agent: User, admin: User, user: str, groups: list[str]
) -> None:
    headers = {"Impersonate-User": user, "Impersonate-Group": groups[0]}
    for path in (f"{NODES}/node-1", f"{PODS}?fieldSelector=spec.nodeName%3Dnode-1", "/api/v1/services"):
        assert (await admin.call("GET", path, headers=headers)).code == 403
    body = msgspec.json.encode({"status": {}})
    answer = await admin.call(
        "PATCH",
        f"{NODES}/node-1/status",
        body,
        content_type="application/merge-patch+json",
        headers=headers,
    )
    assert answer.code == 403
