"""What an administrator may turn on beside the rules that always hold."""

from __future__ import annotations

from pathlib import Path

from tests.integration.apiserver.cluster import Cluster, User, serve
from tests.integration.apiserver.objects import SERVICES, service
from tests.integration.apiserver.pki import Pki
from wellhead.api.meta import Obj
from wellhead.apiserver.admission.deny_service_external_ips import DenyServiceExternalIPs


async def test_external_ips_can_be_denied(pki: Pki, tmp_path: Path) -> None:
    async with serve(pki, tmp_path, plugins=(DenyServiceExternalIPs.name,)) as cluster:
        admin = await cluster.user()
        taken = service("taken", externalIPs=["203.0.113.9"])
        refused = (await admin.call("POST", SERVICES, taken)).expect(403)
        assert "Use of external IPs is denied by admission control." in refused["message"]
        await admin.create(SERVICES, service("a"))
        for kind in ("merge-patch", "strategic-merge-patch"):
            answer = await admin.call(
                "PATCH",
                f"{SERVICES}/a",
                {"spec": {"externalIPs": ["203.0.113.9"]}},
                content_type=f"application/{kind}+json",
            )
            assert answer.code == 403
        (await admin.call("PUT", f"{SERVICES}/taken", taken)).expect(403)


async def test_external_ips_are_allowed_otherwise(cluster: Cluster, admin: User) -> None:
    await admin.create(SERVICES, service("a", externalIPs=["203.0.113.9"]))


CLAIMS = "/apis/resource.k8s.io/v1/namespaces/default/resourceclaims"
TEMPLATES = CLAIMS.replace("claims", "claimtemplates")


def claim(name: str, *, admin_access: bool) -> Obj:
    wanted = {"deviceClassName": "x.example.com", "adminAccess": admin_access}
    spec = {"devices": {"requests": [{"name": "one", "exactly": wanted}]}}
    return {
        "apiVersion": "resource.k8s.io/v1",
        "kind": "ResourceClaim",
        "metadata": {"name": name},
        "spec": spec,
    }


async def test_admins_devices_are_for_labelled_namespaces(admin: User) -> None:
    label = "resource.kubernetes.io/admin-access"
    text = f"admin access to devices requires the `{label}: true` label on the containing namespace"
    template = claim("a", admin_access=True)
    template |= {"kind": "ResourceClaimTemplate", "spec": {"spec": template["spec"]}}
    given = {"request": "one", "driver": "x.example.com", "pool": "p", "device": "d", "adminAccess": True}
    granted = {"status": {"allocation": {"devices": {"results": [given]}}}}
    await admin.create(CLAIMS, claim("without", admin_access=False))
    plain = claim("without", admin_access=False) | granted
    writes = [
        ("POST", CLAIMS, claim("a", admin_access=True), "spec.devices.requests[0].adminAccess", 201),
        ("POST", TEMPLATES, template, "spec.devices.requests[0].adminAccess", 201),
        ("PUT", f"{CLAIMS}/without/status", plain, "status.allocation.devices.results[0].adminAccess", 200),
    ]
    for method, path, body, field, _ in writes:
        refused = (await admin.call(method, path, body)).expect(422)
        [cause] = refused["details"]["causes"]
        assert cause["message"] == f"Forbidden: {text}"
        assert cause["field"] == field
    await admin.patch("/api/v1/namespaces/default", {"metadata": {"labels": {label: "true"}}})
    for method, path, body, _, code in writes:
        (await admin.call(method, path, body)).expect(code)
