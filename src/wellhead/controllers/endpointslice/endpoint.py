"""A pod as an endpoint of a Service."""

from __future__ import annotations

from wellhead.api.meta import is_deleting, labels
from wellhead.api.names import ZONE_LABEL
from wellhead.api.types.endpointslice import Endpoint
from wellhead.api.types.node import Node
from wellhead.api.types.pod import Pod
from wellhead.api.types.service import Service
from wellhead.controllers.pods import is_ready, is_terminal
from wellhead.ip import parse_address


def pod_ips(pod: Pod) -> list[str]:
    status = pod.get("status") or {}
    listed = [entry["ip"] for entry in status.get("podIPs") or [] if entry.get("ip")]
    return listed or ([status["podIP"]] if status.get("podIP") else [])


def address_of(pod: Pod, family: str) -> str | None:
    """The pod's address of a family ("IPv4" or "IPv6"). On the host's network, that is the node's.

    In the one spelling that slices may have, whichever the node chose.
    """
    version = 6 if family == "IPv6" else 4
    addresses = map(parse_address, pod_ips(pod))
    return next((str(each) for each in addresses if each and each.version == version), None)


def endpoint_of(pod: Pod, service: Service, node: Node | None, family: str) -> Endpoint | None:
    """The pod as an entry of `endpoints`; None if it is no endpoint.

    A pod whose node is gone is left out, unless the Service publishes what isn't ready.
    """
    address = address_of(pod, family)
    publish_all = bool(service["spec"].get("publishNotReadyAddresses"))
    node_name = pod["spec"].get("nodeName")
    if address is None or is_terminal(pod) or (node_name and node is None and not publish_all):
        return None
    serving, terminating = is_ready(pod), is_deleting(pod)
    metadata = pod["metadata"]
    endpoint: Endpoint = {
        "addresses": [address],
        "conditions": {
            "ready": publish_all or (serving and not terminating),
            "serving": serving,
            "terminating": terminating,
        },
        "targetRef": {
            "kind": "Pod",
            "namespace": metadata["namespace"],
            "name": metadata["name"],
            "uid": metadata["uid"],
        },
    }
    if node_name:
        endpoint["nodeName"] = node_name
    zone = labels(node).get(ZONE_LABEL) if node else None
    if zone:
        endpoint["zone"] = zone
    if hostname := hostname_of(pod, service):
        endpoint["hostname"] = hostname
    return endpoint


def hostname_of(pod: Pod, service: Service) -> str | None:
    """The pod's name within the Service's DNS name, if its subdomain says it belongs there."""
    spec = pod["spec"]
    if spec.get("hostname") and spec.get("subdomain") == service["metadata"]["name"]:
        return str(spec["hostname"])
    return None


def relevant(pod: Pod) -> tuple[object, ...]:
    """All of a pod that endpoints are made of: while it is the same, no Service needs a look."""
    spec = pod["spec"]
    return (
        pod["metadata"].get("uid"),
        is_ready(pod),
        is_deleting(pod),
        is_terminal(pod),
        pod_ips(pod),
        spec.get("nodeName"),
        spec.get("hostname"),
        spec.get("subdomain"),
        labels(pod),
    )
