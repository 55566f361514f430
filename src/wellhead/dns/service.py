"""The Service by which pods reach this server: `kube-dns` in kube-system, with slices that lead here.

Kept as it should be by the Kubernetes API, like anybody's. A Service with a selector is somebody else's, who
has brought a server of their own: then our slices are removed, and the rest is left to them.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence

from wellhead.api.errors import AlreadyExists, NotFound
from wellhead.api.meta import Obj
from wellhead.api.names import SERVICE_NAME_LABEL, SLICE_MANAGER_LABEL
from wellhead.api.resource import Resource
from wellhead.api.well_known import ENDPOINTSLICES, SERVICES
from wellhead.client.informer import Informer
from wellhead.client.reconciler import Reconciler
from wellhead.client.rest import Client
from wellhead.health import Check
from wellhead.ip import IPAddress

NAMESPACE, NAME = "kube-system", "kube-dns"
_MANAGED_BY = (SLICE_MANAGER_LABEL, "wellhead-dns")
_LABELS = {
    "k8s-app": NAME,
    "kubernetes.io/cluster-service": "true",
    "kubernetes.io/name": "wellhead-dns",
}
MOST_SERVERS = 5
"""So many may share the Service; a server's rights name each one's slices."""
_PORT = 53
_PORTS = (("dns", "UDP"), ("dns-tcp", "TCP"))


class ServiceKeeper:
    """Keeps the Service on `cluster_ips` (the primary family's first), leading to `addresses` at `port`.

    Several servers share it, whose slices have other numbers: each keeps its own.
    """

    def __init__(
        self,
        client: Client,
        cluster_ips: Sequence[IPAddress],
        addresses: Sequence[IPAddress],
        port: int,
        number: int = 1,
    ) -> None:
        self._client = client
        self._cluster_ips = cluster_ips
        self._addresses = addresses
        self._port = port
        self._number = number
        self._services = Informer(
            client, SERVICES, namespace=NAMESPACE, field_selector=f"metadata.name={NAME}"
        )
        self._slices = Informer(
            client, ENDPOINTSLICES, namespace=NAMESPACE, label_selector=f"{SERVICE_NAME_LABEL}={NAME}"
        )
        self._reconciler = Reconciler("kube-dns", self._reconcile, workers=1)

    def checks(self) -> list[Check]:
        """That the Service is looked after."""
        return self._reconciler.checks()

    async def run(self) -> None:
        """Until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._services.run())
            group.create_task(self._slices.run())
            await self._services.synced()
            await self._slices.synced()
            for informer in (self._services, self._slices):
                informer.on_change(lambda _old, _new: self._reconciler.enqueue(NAME))
            self._reconciler.enqueue(NAME)
            group.create_task(self._reconciler.run())

    async def _reconcile(self, _: str) -> None:
        service = self._services.get(NAME, NAMESPACE)
        if service is None:
            await self._create(SERVICES, _service(self._cluster_ips))
            return
        if service["metadata"].get("deletionTimestamp"):
            return
        theirs = bool(service["spec"].get("selector"))
        if not theirs and service["spec"].get("ports") != _service_ports():
            changed = service | {"spec": service["spec"] | {"ports": _service_ports()}}
            await self._client.update(SERVICES, changed)
        for wanted in [_slice(service, each, self._port, self._number) for each in self._addresses]:
            found = self._slices.get(wanted["metadata"]["name"], NAMESPACE)
            if theirs and found is not None:
                await self._remove(wanted["metadata"]["name"])
            elif not theirs and found is None:
                await self._create(ENDPOINTSLICES, wanted)
            elif not theirs and found is not None and _content(found) != _content(wanted):
                metadata = wanted["metadata"] | {
                    "resourceVersion": found["metadata"]["resourceVersion"],
                }
                await self._client.update(ENDPOINTSLICES, wanted | {"metadata": metadata})

    async def _create(self, resource: Resource, wanted: Obj) -> None:
        """Its news comes back, or is under way already."""
        with contextlib.suppress(AlreadyExists):
            await self._client.create(resource, wanted)

    async def _remove(self, name: str) -> None:
        with contextlib.suppress(NotFound):
            await self._client.delete(ENDPOINTSLICES, name, NAMESPACE)


def _service(cluster_ips: Sequence[IPAddress]) -> Obj:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": NAME, "namespace": NAMESPACE, "labels": _LABELS},
        "spec": {
            "type": "ClusterIP",
            "clusterIP": str(cluster_ips[0]),
            "clusterIPs": [str(each) for each in cluster_ips],
            "ipFamilies": [f"IPv{each.version}" for each in cluster_ips],
            "ipFamilyPolicy": "RequireDualStack" if len(cluster_ips) > 1 else "SingleStack",
            "ports": _service_ports(),
        },
    }


def _service_ports() -> list[Obj]:
    return [
        {"name": name, "protocol": protocol, "port": _PORT, "targetPort": _PORT} for name, protocol in _PORTS
    ]


def _slice(service: Obj, address: IPAddress, port: int, number: int) -> Obj:
    """Owned by the Service, so that who deletes that deletes it all."""
    name = f"{NAME}-ipv{address.version}"
    owner = {"apiVersion": "v1", "kind": "Service", "name": NAME, "uid": service["metadata"]["uid"]}
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {
            "name": name if number == 1 else f"{name}-{number}",
            "namespace": NAMESPACE,
            "labels": {SERVICE_NAME_LABEL: NAME, _MANAGED_BY[0]: _MANAGED_BY[1]},
            "ownerReferences": [owner],
        },
        "addressType": f"IPv{address.version}",
        "endpoints": [{"addresses": [str(address)], "conditions": {"ready": True}}],
        "ports": [{"name": name, "protocol": protocol, "port": port} for name, protocol in _PORTS],
    }


def _content(endpoint_slice: Obj) -> tuple[object, ...]:
    """What we want of a slice, comparable: what others add beside it is theirs."""
    metadata = endpoint_slice["metadata"]
    endpoints = [
        (each["addresses"], (each.get("conditions") or {}).get("ready"))
        for each in endpoint_slice.get("endpoints") or ()
    ]
    ports = [
        (each.get("name"), each.get("protocol"), each.get("port"))
        for each in endpoint_slice.get("ports") or ()
    ]
    owners = [each["uid"] for each in metadata.get("ownerReferences") or ()]
    return endpoints, ports, owners, (metadata.get("labels") or {}).get(_MANAGED_BY[0])
