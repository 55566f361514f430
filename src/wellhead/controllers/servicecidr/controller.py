"""Puts the finalizer on ServiceCIDRs, says that they are ready, and lets them go when nothing needs them.

Upstream: pkg/controller/servicecidrs/servicecidrs_controller.go.
"""

from __future__ import annotations

from datetime import UTC, datetime

from wellhead.api.kinds.servicecidr import FINALIZER
from wellhead.api.meta import Obj, condition, is_deleting, now, parse_time
from wellhead.api.ranges import is_usable
from wellhead.api.resources import IPADDRESSES, SERVICECIDRS
from wellhead.client.reconciler import Reconciler
from wellhead.controllers.servicecidr.protection import cluster_ip_of, may_go, networks_of
from wellhead.controllers.store import Store, Stores
from wellhead.health import Check

GRACE_SECONDS = 10.0
"""How long API servers may take to hear that a range is not to be used any more."""

_READY: Obj = {
    "type": "Ready",
    "status": "True",
    "reason": "",
    "message": "Kubernetes Service CIDR is ready",
}
_IN_USE: Obj = {
    "type": "Ready",
    "status": "False",
    "reason": "Terminating",
    "message": "There are still IPAddresses referencing the ServiceCIDR, please remove them or create a new"
    " ServiceCIDR",
}


class ServiceCIDRController:
    """Reconciles ServiceCIDRs by name."""

    name = "service-cidr"

    def __init__(self, stores: Stores, grace_seconds: float = GRACE_SECONDS) -> None:
        self._stores = stores
        self._grace_seconds = grace_seconds
        self._servicecidrs: Store[Obj] = stores[SERVICECIDRS]
        self._addresses: Store[Obj] = stores[IPADDRESSES]
        self._reconciler = Reconciler(self.name, self._reconcile)
        self._servicecidrs.on_change(self._servicecidr_changed)
        self._addresses.on_change(self._address_changed)

    async def run(self) -> None:
        await self._stores.synced(SERVICECIDRS, IPADDRESSES)
        await self._reconciler.run()

    def checks(self) -> list[Check]:
        return self._reconciler.checks()

    def _servicecidr_changed(self, old: Obj | None, new: Obj | None) -> None:
        self._reconciler.enqueue((new or old or {})["metadata"]["name"])
        for going in self._going():  # a new one may take over its addresses
            self._reconciler.enqueue(going["metadata"]["name"])

    def _address_changed(self, old: Obj | None, new: Obj | None) -> None:
        if old is not None and new is not None:
            return
        for going in self._going():
            address = cluster_ip_of(new or old or {})
            if address is not None and any(is_usable(address, each) for each in networks_of(going)):
                self._reconciler.enqueue(going["metadata"]["name"])

    def _going(self) -> list[Obj]:
        return [each for each in self._servicecidrs.values() if is_deleting(each)]

    async def _reconcile(self, name: str) -> float | None:
        servicecidr = self._servicecidrs.get(name)
        if servicecidr is None:
            return None
        if is_deleting(servicecidr):
            return await self._let_go(servicecidr)
        finalizers = servicecidr["metadata"].get("finalizers") or []
        if FINALIZER not in finalizers:
            servicecidr = await self._put_finalizers(servicecidr, [*finalizers, FINALIZER])
        await self._put_condition(servicecidr, _READY)
        return None

    async def _let_go(self, servicecidr: Obj) -> float | None:
        finalizers = servicecidr["metadata"].get("finalizers") or []
        if FINALIZER not in finalizers:
            return None
        name = servicecidr["metadata"]["name"]
        others = [each for each in self._servicecidrs.values() if each["metadata"]["name"] != name]
        if not may_go(servicecidr, others, self._addresses.values()):
            await self._put_condition(servicecidr, _IN_USE)
            return None
        since = datetime.now(UTC) - parse_time(servicecidr["metadata"]["deletionTimestamp"])
        wait = self._grace_seconds - since.total_seconds()
        if wait > 0:
            return wait
        await self._put_finalizers(servicecidr, [each for each in finalizers if each != FINALIZER])
        return None

    async def _put_finalizers(self, servicecidr: Obj, finalizers: list[str]) -> Obj:
        metadata = {**servicecidr["metadata"], "finalizers": finalizers}
        return await self._servicecidrs.update({**servicecidr, "metadata": metadata})

    async def _put_condition(self, servicecidr: Obj, wanted: Obj) -> None:
        found = condition(servicecidr, "Ready") or {}
        if found.get("status") != wanted["status"]:
            await self._servicecidrs.put_condition(servicecidr, {**wanted, "lastTransitionTime": now()})
