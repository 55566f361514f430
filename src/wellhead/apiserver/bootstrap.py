"""What a cluster can't be without, and the server itself puts there: four namespaces and `kubernetes`.

Checked at every start, and corrected where it differs.
"""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address

from wellhead.api.meta import Obj
from wellhead.api.resources import ENDPOINTS, ENDPOINTSLICES, NAMESPACES, SERVICES, Resource
from wellhead.apiserver.registry.registry import SYSTEM_NAMESPACES, Registry

IPAddress = IPv4Address | IPv6Address

_NAMESPACE = "default"
_NAME = "kubernetes"
_PORT = 443


async def ensure_namespaces(registry: Registry) -> None:
    """Raises InternalError when they can't be stored."""
    for name in SYSTEM_NAMESPACES:
        if registry.lookup(NAMESPACES, ("", name)) is None:
            await registry.create(NAMESPACES, "", _object(NAMESPACES, name, {}))


async def ensure_kubernetes_service(
    registry: Registry, cluster_ip: IPAddress, advertised: IPAddress, port: int
) -> None:
    """The Service `kubernetes` on `cluster_ip`, and its one endpoint, this server at `advertised`:`port`.

    Raises InternalError when they can't be stored.
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
    endpoints = _object(
        ENDPOINTS,
        _NAME,
        {"endpointslice.kubernetes.io/skip-mirror": "true"},
        subsets=[
            {
                "addresses": [{"ip": str(advertised)}],
                "ports": [{"name": "https", "port": port, "protocol": "TCP"}],
            }
        ],
    )
    endpoint_slice = _object(
        ENDPOINTSLICES,
        _NAME,
        {"kubernetes.io/service-name": _NAME},
        addressType=f"IPv{advertised.version}",
        endpoints=[{"addresses": [str(advertised)], "conditions": {"ready": True}}],
        ports=[{"name": "https", "port": port, "protocol": "TCP"}],
    )
    for resource, wanted in ((SERVICES, service), (ENDPOINTS, endpoints), (ENDPOINTSLICES, endpoint_slice)):
        await _ensure(registry, resource, wanted)


async def _ensure(registry: Registry, resource: Resource, wanted: Obj) -> None:
    if registry.lookup(resource, (_NAMESPACE, _NAME)) is None:
        await registry.create(resource, _NAMESPACE, wanted)
        return

    def correct(found: Obj) -> Obj:
        labels = (found["metadata"].get("labels") or {}) | wanted["metadata"]["labels"]
        fields = {field: wanted[field] for field in wanted if field not in ("metadata", "spec")}
        if "spec" in wanted:
            # What the server filled in beside what is wanted stays.
            fields["spec"] = found["spec"] | wanted["spec"]
        return found | fields | {"metadata": found["metadata"] | {"labels": labels}}

    await registry.update(resource, _NAMESPACE, _NAME, correct)


def _object(resource: Resource, name: str, labels: dict[str, str], **fields: object) -> Obj:
    return {
        "apiVersion": resource.api_version,
        "kind": resource.kind,
        "metadata": {"name": name, "labels": labels},
        **fields,
    }
