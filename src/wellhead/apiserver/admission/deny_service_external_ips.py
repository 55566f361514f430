"""DenyServiceExternalIPs: who may write Services takes any address's traffic by them (CVE-2020-8554)."""

from __future__ import annotations

from wellhead.api.errors import Forbidden
from wellhead.api.meta import Obj
from wellhead.api.resources import SERVICES
from wellhead.apiserver.admission.plugin import Plugin
from wellhead.apiserver.admission.request import Request


class DenyServiceExternalIPs(Plugin):
    name = "DenyServiceExternalIPs"
    resources = (SERVICES,)

    async def validate(self, request: Request) -> None:
        """Raises Forbidden for an external IP that is new."""
        if _external_ips(request.obj) - _external_ips(request.old):
            text = "Use of external IPs is denied by admission control."
            raise Forbidden.of(SERVICES, request.name, text)


def _external_ips(service: Obj) -> set[str]:
    return set((service.get("spec") or {}).get("externalIPs") or ())
