"""Priority and fairness at a server: its objects, its headers, who waits and who is turned away."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from tests.integration.apiserver.cluster import Answer, Cluster, User, serve
from tests.integration.apiserver.objects import configmap
from tests.integration.apiserver.pki import Pki
from tests.patience import reached
from wellhead.api.flowcontrol.bootstrap import levels, schemas
from wellhead.api.limits import Limits
from wellhead.api.meta import Obj, condition

LEVELS = "/apis/flowcontrol.apiserver.k8s.io/v1/prioritylevelconfigurations"
SCHEMAS = "/apis/flowcontrol.apiserver.k8s.io/v1/flowschemas"
CONFIGMAPS = "/api/v1/namespaces/default/configmaps"
BINDINGS = "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings"
MAY_EVERYTHING = {
    "apiVersion": "rbac.authorization.k8s.io/v1",
    "kind": "ClusterRoleBinding",
    "metadata": {"name": "nobody"},
    "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"},
    "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "nobody"}],
}


def level(name: str) -> Obj:
    """One seat, and one who may wait for it."""
    queuing = {"queues": 1, "handSize": 1, "queueLengthLimit": 1}
    limited = {
        "nominalConcurrencyShares": 0,
        "borrowingLimitPercent": 0,
        "limitResponse": {"type": "Queue", "queuing": queuing},
    }
    return {
        "apiVersion": "flowcontrol.apiserver.k8s.io/v1",
        "kind": "PriorityLevelConfiguration",
        "metadata": {"name": name},
        "spec": {"type": "Limited", "limited": limited},
    }


def schema(name: str, of: str, user: str) -> Obj:
    everything = {field: ["*"] for field in ("verbs", "apiGroups", "resources", "namespaces")}
    rule = {
        "subjects": [{"kind": "User", "user": {"name": user}}],
        "resourceRules": [everything | {"clusterScope": True}],
    }
    return {
        "apiVersion": "flowcontrol.apiserver.k8s.io/v1",
        "kind": "FlowSchema",
        "metadata": {"name": name},
        "spec": {
            "priorityLevelConfiguration": {"name": of},
            "matchingPrecedence": 50,
            "rules": [rule],
        },
    }


async def test_the_objects_are_there_and_put_back(cluster: Cluster, admin: User) -> None:
    found = {each["metadata"]["name"] for each in (await admin.get(LEVELS))["items"]}
    assert found == set(levels())
    assert {each["metadata"]["name"] for each in (await admin.get(SCHEMAS))["items"]} == set(schemas())

    await admin.delete(f"{SCHEMAS}/probes")
    await reached(lambda: admin.call("GET", f"{SCHEMAS}/probes"), lambda answer: answer.code == 200)

    # Whoever changes one without its annotation is put right; whoever takes that away keeps what he has.
    await admin.patch(f"{LEVELS}/system", {"spec": {"limited": {"nominalConcurrencyShares": 31}}})

    async def shares() -> int:
        return int((await admin.get(f"{LEVELS}/system"))["spec"]["limited"]["nominalConcurrencyShares"])

    await reached(shares, lambda count: count == 30)
    mine = {
        "metadata": {"annotations": {"apf.kubernetes.io/autoupdate-spec": "false"}},
        "spec": {"limited": {"nominalConcurrencyShares": 31}},
    }
    await admin.patch(f"{LEVELS}/system", mine)
    await admin.patch(f"{LEVELS}/system", {"metadata": {"labels": {"a": "b"}}})
    assert await shares() == 31

    refused = await admin.call(
        "PATCH",
        f"{LEVELS}/catch-all",
        {"spec": {"limited": {"nominalConcurrencyShares": 6}}},
        content_type="application/merge-patch+json",
    )
    assert "spec of 'catch-all' must equal the fixed value" in refused.expect(422)["message"]
    assert "suggested" not in await cluster.ok("get", "flowschemas,prioritylevelconfigurations")


async def test_a_schema_says_whether_its_level_is_there(admin: User) -> None:
    async def dangling() -> str:
        found = condition(await admin.get(f"{SCHEMAS}/a"), "Dangling")
        return "" if found is None else f"{found['status']} {found['reason']}"

    await admin.create(SCHEMAS, schema("a", "later", "nobody"))
    await reached(dangling, lambda said: said == "True NotFound")
    await admin.create(LEVELS, level("later"))
    await reached(dangling, lambda said: said == "False Found")
    await admin.delete(f"{LEVELS}/later")
    await reached(dangling, lambda said: said == "True NotFound")


@pytest.fixture
async def patient(pki: Pki, tmp_path: Path) -> AsyncIterator[Cluster]:
    """A server where who waits may do so for a minute."""
    async with serve(pki, tmp_path, limits=Limits(request_seconds=600.0)) as cluster:
        yield cluster


async def test_who_waits_and_who_is_turned_away(patient: Cluster) -> None:
    cluster, admin = patient, await patient.user()
    made = await admin.create(LEVELS, level("narrow"))
    uid = (await admin.create(SCHEMAS, schema("narrow", "narrow", "nobody")))["metadata"]["uid"]
    nobody = await cluster.user("nobody")
    rest = asyncio.Event()

    async def slowly() -> AsyncIterator[bytes]:
        body = msgspec.json.encode(configmap("slow"))
        yield body[:1]
        await rest.wait()
        yield body[1:]

    async def post() -> int:
        headers = {"Content-Type": "application/json"}
        async with nobody.session.post(cluster.url + CONFIGMAPS, data=slowly(), headers=headers) as answer:
            return answer.status

    # What isn't a resource's request isn't this schema's, so the metrics can be asked for.
    async def metric(name: str) -> bool:
        return f'{name}{{flow_schema="narrow",priority_level="narrow"}} 1.0' in str(
            (await admin.call("GET", "/metrics")).body
        )

    await admin.create(BINDINGS, MAY_EVERYTHING)
    slow = asyncio.ensure_future(post())
    await reached(lambda: metric("apiserver_flowcontrol_current_executing_requests"))
    waits: asyncio.Future[Answer] = asyncio.ensure_future(nobody.call("GET", CONFIGMAPS))
    await reached(lambda: metric("apiserver_flowcontrol_current_inqueue_requests"))
    refused = await nobody.call("GET", CONFIGMAPS)
    assert (refused.code, refused.headers["Retry-After"]) == (429, "1")
    assert refused.headers["X-Kubernetes-PF-FlowSchema-UID"] == uid
    assert refused.headers["X-Kubernetes-PF-PriorityLevel-UID"] == made["metadata"]["uid"]
    # Others, and what needs no seat, aren't concerned.
    await admin.get(CONFIGMAPS)
    rest.set()
    assert await slow == 201
    assert (await waits).code == 200


async def test_a_watch_gives_its_seat_back_once_it_stands(cluster: Cluster, admin: User) -> None:
    await admin.create(LEVELS, level("narrow"))
    await admin.create(SCHEMAS, schema("narrow", "narrow", "nobody"))
    await admin.create(BINDINGS, MAY_EVERYTHING)
    nobody = await cluster.user("nobody")
    async with nobody.watch(CONFIGMAPS), nobody.watch(CONFIGMAPS), nobody.watch(CONFIGMAPS):
        (await nobody.call("GET", CONFIGMAPS)).expect(200)


async def test_a_lease_is_renewed_under_a_flood_that_does_not_end(cluster: Cluster, admin: User) -> None:
    await admin.create(BINDINGS, MAY_EVERYTHING)
    for number in range(20):
        await admin.create(CONFIGMAPS, configmap(f"large-{number}", text="x" * 4000))
    nobody, node = await cluster.user("nobody"), await cluster.user("node-1")
    answered = 0

    async def flood() -> None:
        nonlocal answered
        while True:
            await nobody.call("GET", CONFIGMAPS)
            answered += 1

    leases = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases"
    lease: Obj = {
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": {"name": "node-1", "namespace": "kube-node-lease"},
        "spec": {"holderIdentity": "node-1", "leaseDurationSeconds": 40},
    }
    floods = [asyncio.create_task(flood()) for _ in range(30)]
    try:
        await reached(lambda: answered)
        lease = await node.create(leases, lease)
        for number in range(3):
            lease["spec"]["leaseTransitions"] = number
            lease = await node.update(f"{leases}/node-1", lease)  # 200, and never 429
    finally:
        for each in floods:
            each.cancel()
        ended = await asyncio.gather(*floods, return_exceptions=True)
    assert all(isinstance(each, asyncio.CancelledError) for each in ended)
