"""API objects for the tests of the core, each from the few facts that a test cares about."""

from __future__ import annotations

from typing import Any

from wellhead.ip import Family, networks_of
from wellhead.services.endpointslice import EndpointSlice, parse_endpoint_slice
from wellhead.services.node import Detector, FromNetwork, LocalNode
from wellhead.services.node_view import NodeView
from wellhead.services.service import Service, parse_service
from wellhead.services.service_map import ServiceMap

Obj = dict[str, Any]


def service_object(
    name: str = "web",
    *,
    namespace: str = "default",
    cluster_ips: tuple[str, ...] = ("10.0.0.10",),
    ports: tuple[Obj, ...] = ({"port": 80, "protocol": "TCP"},),
    created: str = "2024-01-01T00:00:00Z",
    ingress: tuple[Obj, ...] = (),
    labels: dict[str, str] | None = None,
    annotations: dict[str, str] | None = None,
    **spec: Any,
) -> Obj:
    return {
        "metadata": {
            "namespace": namespace,
            "name": name,
            "creationTimestamp": created,
            "labels": labels or {},
            "annotations": annotations or {},
        },
        "spec": {
            "type": "ClusterIP",
            "clusterIP": cluster_ips[0],
            "clusterIPs": list(cluster_ips),
            "ports": [dict(port) for port in ports],
            **spec,
        },
        "status": {"loadBalancer": {"ingress": list(ingress)} if ingress else {}},
    }


def service(name: str = "web", **facts: Any) -> Service:
    parsed = parse_service(service_object(name, **facts))
    assert parsed is not None
    return parsed


def endpoint(
    address: str,
    node: str | None = "node-1",
    *,
    for_nodes: tuple[str, ...] = (),
    for_zones: tuple[str, ...] = (),
    **conditions: bool,
) -> Obj:
    found: Obj = {"addresses": [address], "conditions": conditions}
    if node is not None:
        found["nodeName"] = node
    if for_nodes or for_zones:
        found["hints"] = {
            "forNodes": [{"name": each} for each in for_nodes],
            "forZones": [{"name": each} for each in for_zones],
        }
    return found


def slice_object(
    *endpoints: Obj,
    of: str = "web",
    name: str = "web-1",
    namespace: str = "default",
    family: str = "IPv4",
    ports: tuple[Obj, ...] = ({"name": "", "port": 8080, "protocol": "TCP"},),
    labels: dict[str, str] | None = None,
) -> Obj:
    return {
        "metadata": {
            "namespace": namespace,
            "name": name,
            "labels": {"kubernetes.io/service-name": of, **(labels or {})},
        },
        "addressType": family,
        "endpoints": list(endpoints),
        "ports": [dict(port) for port in ports],
    }


def endpoint_slice(*endpoints: Obj, **facts: Any) -> EndpointSlice:
    parsed = parse_endpoint_slice(slice_object(*endpoints, **facts))
    assert parsed is not None
    return parsed


def node(name: str = "node-1", *, detects: bool = True, **facts: Any) -> LocalNode:
    detectors: tuple[tuple[Family, Detector], ...] = ()
    if detects:
        detectors = (
            (Family.IPV4, FromNetwork(networks_of(Family.IPV4, ["10.244.1.0/24"])[0])),
            (Family.IPV6, FromNetwork(networks_of(Family.IPV6, ["fd00:10:244:1::/64"])[0])),
        )
    return LocalNode(name=name, detectors=detectors, **facts)


DRAINING: dict[str, Any] = {"ready": False, "serving": True, "terminating": True}
STOPPING: dict[str, Any] = {"ready": False, "serving": False, "terminating": True}


def node_view(services: ServiceMap, node: LocalNode) -> NodeView:
    """The view that `node` has of `services`, complete."""
    view = NodeView(services, node)
    view.update()
    return view
