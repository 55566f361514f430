"""What an administrator may turn on beside the rules that always hold."""

from __future__ import annotations

from pathlib import Path

from tests.integration.apiserver.cluster import Cluster, User, serve
from tests.integration.apiserver.objects import SERVICES, service
from tests.integration.apiserver.pki import Pki
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
