"""What a cluster can't be without comes back when somebody takes it away."""

from __future__ import annotations

from pathlib import Path

from tests.integration.apiserver.cluster import User, serve
from tests.integration.apiserver.pki import Pki
from tests.patience import reached

SLICE = "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices/kubernetes"
ENDPOINTS = "/api/v1/namespaces/default/endpoints/kubernetes"
SERVICE = "/api/v1/namespaces/default/services/kubernetes"
LEASES = "/api/v1/namespaces/kube-node-lease"
TRUST = "/api/v1/namespaces/kube-system/configmaps/extension-apiserver-authentication"


async def _comes_back(admin: User, path: str) -> None:
    before = await admin.get(path)
    await admin.delete(path)
    if path == LEASES:  # there is no controller here that would end it
        ending = await admin.get(path)
        ending["spec"]["finalizers"] = []
        await admin.update(f"{path}/finalize", ending)

    async def uid() -> str | None:
        answer = await admin.call("GET", path)
        return str(answer.body["metadata"]["uid"]) if answer.code == 200 else None

    await reached(uid, lambda found: found not in (None, before["metadata"]["uid"]))
    after = await admin.get(path)
    for field in ("subsets", "endpoints"):
        assert after.get(field) == before.get(field)
    assert (after.get("spec") or {}).get("clusterIP") == (before.get("spec") or {}).get("clusterIP")


async def test_it_is_made_anew(pki: Pki, tmp_path: Path) -> None:
    async with serve(pki, tmp_path) as cluster:
        admin = await cluster.user()
        for path in (SLICE, ENDPOINTS, SERVICE, TRUST, LEASES):
            await _comes_back(admin, path)
        trusted = await admin.get(TRUST)
        await admin.patch(TRUST, {"data": {"client-ca-file": "x"}})
        await reached(lambda: admin.get(TRUST), lambda found: found["data"] == trusted["data"])
        before = await admin.get(SLICE)
        await admin.patch(SLICE, {"endpoints": [{"addresses": ["192.0.2.1"]}]})

        async def endpoints() -> object:
            return (await admin.get(SLICE))["endpoints"]

        await reached(endpoints, lambda found: found == before["endpoints"])
