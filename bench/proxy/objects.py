"""Services and EndpointSlices as an API server gives them."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import ip_address

import msgspec

from wellhead.api.meta import Obj

NAMESPACE = "wellhead-bench"
SERVICE_PORT = 80
ENDPOINTS_EACH = 2
NODE = "bench-node"
_NODES = 15
"""Of so many nodes, one is the node that is measured: so many endpoints run elsewhere."""
_FIRST_CLUSTER_IP = ip_address("10.96.0.1")
_FIRST_POD = ip_address("10.245.0.1")


def service(name: str, cluster_ip: str = "") -> Obj:
    """A Service without a selector. Without a ClusterIP it is one for an API server to complete."""
    allocated = {"clusterIP": cluster_ip, "clusterIPs": [cluster_ip]} if cluster_ip else {}
    return {
        "metadata": _metadata(name),
        "spec": {
            **allocated,
            "type": "ClusterIP",
            "ports": [
                {"name": "http", "port": SERVICE_PORT, "protocol": "TCP", "targetPort": "http"},
            ],
            "sessionAffinity": "None",
            "internalTrafficPolicy": "Cluster",
            "ipFamilyPolicy": "SingleStack",
            "ipFamilies": ["IPv4"],
        },
    }


def endpoint_slice(service: str, addresses: Iterable[tuple[str, str]], port: int) -> Obj:
    """The slice of a Service: pods' addresses and their nodes."""
    metadata = _metadata(f"{service}-1")
    metadata["labels"] = {
        "kubernetes.io/service-name": service,
        "endpointslice.kubernetes.io/managed-by": "wellhead-bench",
    }
    return {
        "metadata": metadata,
        "addressType": "IPv4",
        "ports": [{"name": "http", "port": port, "protocol": "TCP"}],
        "endpoints": [
            {
                "addresses": [address],
                "conditions": {"ready": True, "serving": True, "terminating": False},
                "nodeName": node,
            }
            for address, node in addresses
        ],
    }


def filler(number: int) -> tuple[str, Obj]:
    """The name and the slice of one of many Services. Nothing answers at its endpoints."""
    name = f"service-{number}"
    first = number * ENDPOINTS_EACH
    pods = [
        (str(_FIRST_POD + pod), NODE if pod % _NODES == 0 else f"node-{pod % _NODES}")
        for pod in range(first, first + ENDPOINTS_EACH)
    ]
    return name, endpoint_slice(name, pods, 8080)


def listed(count: int, target: Obj) -> tuple[list[bytes], list[bytes]]:
    """`count` Services and their slices, the last of them `target`'s, as JSON, which is how they come."""
    services, slices = [], []
    for number in range(count - 1):
        name, its_slice = filler(number)
        services.append(service(name, cluster_ip(number)))
        slices.append(its_slice)
    services.append(service(target["metadata"]["labels"]["kubernetes.io/service-name"], target_ip()))
    slices.append(target)
    for version, obj in enumerate((*services, *slices), start=1000):
        obj["metadata"] |= {
            "uid": f"00000000-0000-4000-8000-{version:012}",
            "resourceVersion": str(version),
            "creationTimestamp": "2026-01-01T00:00:00Z",
        }
    encode = msgspec.json.encode
    return [encode(each) for each in services], [encode(each) for each in slices]


def cluster_ip(number: int) -> str:
    return str(_FIRST_CLUSTER_IP + number + 1)


def target_ip() -> str:
    """The ClusterIP of the Service that connections are made to."""
    return str(_FIRST_CLUSTER_IP)


def _metadata(name: str) -> Obj:
    return {"name": name, "namespace": NAMESPACE}
