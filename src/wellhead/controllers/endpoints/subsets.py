"""A Service's pods as the `subsets` of its Endpoints.

Source: upstream's pkg/controller/endpoint and pkg/api/v1/endpoints (RepackSubsets).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from wellhead.api.meta import Obj, is_deleting
from wellhead.api.types.endpointslice import EndpointPort
from wellhead.api.types.pod import Pod
from wellhead.api.types.service import Service
from wellhead.controllers.endpointslice.desired import families_of, is_headless
from wellhead.controllers.endpointslice.endpoint import address_of, hostname_of
from wellhead.controllers.endpointslice.ports import Port, Ports, ports_of
from wellhead.controllers.pods import is_ready, is_terminal

MOST_ADDRESSES = 1000


def subsets_of(service: Service, pods: Iterable[Pod]) -> tuple[list[Obj], bool]:
    """(subsets, whether addresses beyond a thousand were left out).

    Addresses with the same ports stand together; an address of the Service's first family only.
    """
    family = families_of(service)[0]
    publish_all = bool(service["spec"].get("publishNotReadyAddresses"))
    without_ports = is_headless(service) and not service["spec"].get("ports")
    by_address: dict[tuple[str, str], tuple[Obj, bool, Ports]] = {}
    for pod in pods:
        address = _address(pod, service, family)
        if address is None or is_terminal(pod) or (is_deleting(pod) and not publish_all):
            continue
        ports = ports_of(service, pod)
        if not ports and not without_ports:
            continue
        identity = (address["ip"], address["targetRef"]["uid"])
        by_address[identity] = (address, publish_all or is_ready(pod), ports)
    kept = sorted(by_address.items(), key=lambda item: (not item[1][1], item[0]))[:MOST_ADDRESSES]
    by_ports: dict[Ports, tuple[list[Obj], list[Obj]]] = defaultdict(lambda: ([], []))
    for _, (address, is_up, ports) in sorted(kept, key=lambda item: item[0]):
        by_ports[ports][0 if is_up else 1].append(address)
    subsets = [_subset(ports, *addresses) for ports, addresses in sorted(by_ports.items(), key=_subset_order)]
    return subsets, len(by_address) > MOST_ADDRESSES


def _address(pod: Pod, service: Service, family: str) -> Obj | None:
    ip = address_of(pod, family)
    if ip is None:
        return None
    metadata = pod["metadata"]
    address: Obj = {
        "ip": ip,
        "targetRef": {
            "kind": "Pod",
            "namespace": metadata["namespace"],
            "name": metadata["name"],
            "uid": metadata["uid"],
        },
    }
    if node := pod["spec"].get("nodeName"):
        address["nodeName"] = node
    if hostname := hostname_of(pod, service):
        address["hostname"] = hostname
    return address


def _subset(ports: Ports, ready: list[Obj], waiting: list[Obj]) -> Obj:
    subset: Obj = {}
    if ready:
        subset["addresses"] = ready
    if waiting:
        subset["notReadyAddresses"] = waiting
    if ports:
        subset["ports"] = [_port(port) for port in ports]
    return subset


def _port(port: Port) -> EndpointPort:
    obj = port.to_object()
    if not port.name:
        del obj["name"]
    return obj


def _port_order(port: Port) -> tuple[str, int, str]:
    return port.name, port.port or 0, port.protocol


def _subset_order(item: tuple[Ports, tuple[list[Obj], list[Obj]]]) -> list[tuple[str, int, str]]:
    return [_port_order(port) for port in item[0]]
