"""The API servers on one store: each keeps a Lease, and the Service `kubernetes` leads to those that do.

A server whose Lease hasn't changed for its duration is gone, by the clock of whoever watches it. Upstream:
pkg/controlplane/reconcilers/lease.go, and the identity leases of pkg/controlplane/apiserver/server.go.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import logging
from collections.abc import Sequence
from ipaddress import ip_address
from typing import NamedTuple

from wellhead.api.errors import ApiError, NotFound
from wellhead.api.meta import Obj, now_micro
from wellhead.api.ranges import Address
from wellhead.api.resources import LEASES
from wellhead.apiserver.bootstrap import ensure_kubernetes_endpoints
from wellhead.apiserver.registry.deletion import DeleteOptions
from wellhead.apiserver.registry.registry import Registry
from wellhead.storage.encoding import decode

_log = logging.getLogger(__name__)

NAMESPACE = "kube-system"
DURATION = 15  # seconds
_RENEW_SECONDS = DURATION / 3
_IDENTITY = {"apiserver.kubernetes.io/identity": "kube-apiserver"}
ADDRESS = "wellhead.dev/advertise-address"


class Sighting(NamedTuple):
    """What a Lease said, and when it was first seen saying so."""

    renewed: str
    at: float


def alive(seen: dict[str, Sighting], leases: dict[str, str], now: float) -> dict[str, Sighting]:
    """Which of the leases (name → renewTime) are held, and since when they are as they are."""
    found = {}
    for name, renewed in leases.items():
        before = seen.get(name)
        sighting = before if before is not None and before.renewed == renewed else Sighting(renewed, now)
        if now - sighting.at < DURATION:
            found[name] = sighting
    return found


class Peers:
    """One server among those on its store."""

    def __init__(self, registry: Registry, advertised: Address, port: int) -> None:
        self._registry = registry
        self._advertised = advertised
        self._port = port
        self._seen: dict[str, Sighting] = {}
        digest = hashlib.sha256(f"{advertised} {port}".encode()).hexdigest()
        self.name = f"apiserver-{digest[:26]}"

    async def join(self) -> None:
        """Be one of them. Raises ApiError."""
        await self._renew()
        await self._reconcile()

    async def run(self) -> None:
        """Renew the Lease, and follow those of the others, until cancelled; then leave."""
        try:
            while True:
                await asyncio.sleep(_RENEW_SECONDS)
                try:
                    await self.join()
                except ApiError as error:
                    _log.warning("the Lease %s: %s", self.name, error)
        finally:
            try:
                await self._forget(self.name)
                await self._reconcile()
            except ApiError as error:
                _log.warning("the Lease %s stays behind: %s", self.name, error)

    async def _renew(self) -> None:
        spec = {
            "holderIdentity": self.name,
            "leaseDurationSeconds": DURATION,
            "renewTime": now_micro(),
        }
        try:
            await self._registry.update(LEASES, NAMESPACE, self.name, lambda old: {**old, "spec": spec})
        except NotFound:
            annotations = {ADDRESS: str(self._advertised)}
            metadata = {"name": self.name, "labels": _IDENTITY, "annotations": annotations}
            lease: Obj = {
                "apiVersion": LEASES.api_version,
                "kind": LEASES.kind,
                "metadata": metadata,
                "spec": spec,
            }
            await self._registry.create(LEASES, NAMESPACE, lease)

    async def _reconcile(self) -> None:
        leases = self._leases()
        renewals = {name: (lease.get("spec") or {}).get("renewTime") or "" for name, lease in leases.items()}
        self._seen = alive(self._seen, renewals, asyncio.get_running_loop().time())
        for name in renewals.keys() - self._seen.keys():
            _log.warning("the API server of Lease %s is gone", name)
            await self._forget(name)
        addresses = {leases[name]["metadata"]["annotations"][ADDRESS] for name in self._seen}
        if addresses:  # the last one that leaves will be back, as a server that is alone
            await ensure_kubernetes_endpoints(self._registry, _sorted(addresses), self._port)

    def _leases(self) -> dict[str, Obj]:
        """Those of API servers, by name."""
        found = {}
        for item in self._registry.collection(LEASES).items(NAMESPACE):
            if item.name.startswith("apiserver-"):
                lease = decode(item.data)
                if ADDRESS in (lease["metadata"].get("annotations") or {}):
                    found[item.name] = lease
        return found

    async def _forget(self, name: str) -> None:
        with contextlib.suppress(NotFound):
            await self._registry.delete(LEASES, NAMESPACE, name, DeleteOptions())


def _sorted(addresses: set[str]) -> Sequence[Address]:
    return sorted(map(ip_address, addresses), key=lambda address: (address.version, int(address)))
