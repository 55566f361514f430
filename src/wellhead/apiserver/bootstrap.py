"""What a cluster can't be without, and the server itself puts there: four namespaces, two PriorityClasses,
the ServiceCIDR and the Service `kubernetes`.

Checked at every start, and corrected where it differs; `system_keeper` puts back what is taken away.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Sequence

from wellhead.api.errors import AlreadyExists, Invalid
from wellhead.api.kinds.priorityclass import SYSTEM_CLASSES
from wellhead.api.kinds.servicecidr import DEFAULT_NAME, cidrs_of
from wellhead.api.meta import Obj, condition, is_deleting, now
from wellhead.api.names import SERVICE_NAME_LABEL, SKIP_MIRROR_LABEL
from wellhead.api.ranges import Address, Network
from wellhead.api.resource import Resource
from wellhead.api.resources import (
    ENDPOINTS,
    ENDPOINTSLICES,
    NAMESPACES,
    PRIORITYCLASSES,
    SERVICECIDRS,
    SERVICES,
)
from wellhead.apiserver.registry.registry import SYSTEM_NAMESPACES, Registry

_log = logging.getLogger(__name__)

_NAMESPACE = "default"
_NAME = "kubernetes"
KUBERNETES = (_NAMESPACE, _NAME)
"""The namespace and the name of the Service that leads to the server."""

_PORT = 443
_KEPT = ("clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy")


async def ensure_namespaces(registry: Registry) -> None:
    """Raises InternalError when they can't be stored."""
    for name in SYSTEM_NAMESPACES:
        if registry.lookup(NAMESPACES, ("", name)) is None:
            with contextlib.suppress(AlreadyExists):  # another server is starting, too
                await registry.create(NAMESPACES, "", _object(NAMESPACES, name))


async def ensure_priority_classes(registry: Registry) -> None:
    """The two of the system. Raises InternalError when they can't be stored."""
    for name, (value, description) in SYSTEM_CLASSES.items():
        if registry.lookup(PRIORITYCLASSES, ("", name)) is None:
            wanted = _object(PRIORITYCLASSES, name, value=value, description=description)
            with contextlib.suppress(AlreadyExists):
                await registry.create(PRIORITYCLASSES, "", wanted)


async def ensure_service_ranges(registry: Registry, ranges: Sequence[Network]) -> None:
    """The ServiceCIDR `kubernetes`, made of the ranges that the server was given.

    One that exists stays, except that a second family is added (upstream: defaultservicecidr).
    Raises InternalError when it can't be stored.
    """
    cidrs = list(map(str, ranges))
    found = registry.lookup(SERVICECIDRS, ("", DEFAULT_NAME))
    if found is None:
        with contextlib.suppress(AlreadyExists):
            await registry.create(
                SERVICECIDRS, "", _object(SERVICECIDRS, DEFAULT_NAME, spec={"cidrs": cidrs})
            )
    elif is_deleting(found):
        return
    elif cidrs_of(found) == cidrs[:1]:
        await registry.update(SERVICECIDRS, "", DEFAULT_NAME, lambda old: old | {"spec": {"cidrs": cidrs}})
    elif cidrs_of(found) != cidrs:
        _log.warning(
            "the ServiceCIDR %s has %s, not %s as this server was told; to change that, delete it",
            *(DEFAULT_NAME, cidrs_of(found), cidrs),
        )
        return
    if found is None or condition(found, "Ready") is None:
        await registry.modify(SERVICECIDRS, "", DEFAULT_NAME, _set_ready)


def _set_ready(servicecidr: Obj) -> None:
    ready = {
        "type": "Ready",
        "status": "True",
        "reason": "",
        "message": "Kubernetes default Service CIDR is ready",
        "lastTransitionTime": now(),
    }
    servicecidr["status"] = {"conditions": [ready]}


async def ensure_kubernetes_service(registry: Registry, cluster_ip: Address, port: int) -> None:
    """The Service `kubernetes` on `cluster_ip`, for servers that listen on `port`.

    Raises InternalError when it can't be stored.
    """
    service = _object(
        SERVICES,
        _NAME,
        {"component": "apiserver", "provider": "kubernetes"},
        spec={
            "type": "ClusterIP",
            "clusterIP": str(cluster_ip),
            "clusterIPs": [str(cluster_ip)],
            "ipFamilies": [f"IPv{cluster_ip.version}"],
            "ipFamilyPolicy": "SingleStack",
            "sessionAffinity": "None",
            "ports": [{"name": "https", "protocol": "TCP", "port": _PORT, "targetPort": port}],
        },
    )
    await _ensure(registry, SERVICES, service)


async def ensure_kubernetes_endpoints(registry: Registry, addresses: Sequence[Address], port: int) -> None:
    """The endpoints of the Service `kubernetes`: the servers at these addresses, at least one.

    Raises InternalError when they can't be stored.
    """
    endpoints = _object(
        ENDPOINTS,
        _NAME,
        {SKIP_MIRROR_LABEL: "true"},
        subsets=[
            {
                "addresses": [{"ip": str(address)} for address in addresses],
                "ports": [{"name": "https", "port": port, "protocol": "TCP"}],
            }
        ],
    )
    endpoint_slice = _object(
        ENDPOINTSLICES,
        _NAME,
        {SERVICE_NAME_LABEL: _NAME},
        addressType=f"IPv{addresses[0].version}",
        endpoints=[{"addresses": [str(address)], "conditions": {"ready": True}} for address in addresses],
        ports=[{"name": "https", "port": port, "protocol": "TCP"}],
    )
    for resource, wanted in ((ENDPOINTS, endpoints), (ENDPOINTSLICES, endpoint_slice)):
        await _ensure(registry, resource, wanted)


async def _ensure(registry: Registry, resource: Resource, wanted: Obj) -> None:
    if registry.lookup(resource, (_NAMESPACE, _NAME)) is None:
        try:
            await registry.create(resource, _NAMESPACE, wanted)
            return
        except (
            AlreadyExists,
            Invalid,
        ):  # its address is taken by itself, if another server made it meanwhile
            if registry.lookup(resource, (_NAMESPACE, _NAME)) is None:
                raise

    def correct(found: Obj) -> Obj:
        labels = (found["metadata"].get("labels") or {}) | wanted["metadata"]["labels"]
        fields = {field: wanted[field] for field in wanted if field not in ("metadata", "spec")}
        if "spec" in wanted:
            # What the server filled in beside what is wanted stays, and no Service changes its address.
            spec = {name: value for name, value in wanted["spec"].items() if name not in _KEPT}
            fields["spec"] = found["spec"] | spec
        return found | fields | {"metadata": found["metadata"] | {"labels": labels}}

    await registry.update(resource, _NAMESPACE, _NAME, correct)


def _object(resource: Resource, name: str, labels: dict[str, str] | None = None, **fields: object) -> Obj:
    metadata = {"name": name, "labels": labels} if labels else {"name": name}
    return {"apiVersion": resource.api_version, "kind": resource.kind, "metadata": metadata, **fields}
