"""The EndpointSlices that a Service with a selector should have: pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping

from wellhead.api.meta import annotations as annotations_of
from wellhead.api.meta import is_condition_true, labels, owner_reference
from wellhead.api.names import (
    HEADLESS_LABEL,
    SERVICE_NAME_LABEL,
    SLICE_MANAGER_LABEL,
    TOPOLOGY_MODE_ANNOTATION,
    ZONE_LABEL,
)
from wellhead.api.quantity import Quantity
from wellhead.api.types.endpointslice import Endpoint
from wellhead.api.types.node import Node
from wellhead.api.types.pod import Pod
from wellhead.api.types.service import Service
from wellhead.controllers.endpointslice.endpoint import endpoint_of
from wellhead.controllers.endpointslice.hints import distribution_of, hinted, shared_out
from wellhead.controllers.endpointslice.ports import ports_of
from wellhead.controllers.endpointslice.slices import Frame, SliceKind

MANAGED_BY = "endpointslice-controller.k8s.io"

_LONGEST_BASE = 58


def families_of(service: Service) -> list[str]:
    """The address types of its slices."""
    spec = service["spec"]
    if families := spec.get("ipFamilies"):
        return list(families)
    return ["IPv6" if ":" in (spec.get("clusterIP") or "") else "IPv4"]


def is_headless(service: Service) -> bool:
    return service["spec"].get("clusterIP") in (None, "", "None")


def frame_of(service: Service, trigger_time: str | None) -> Frame:
    """The Service's labels go along, except those that have a meaning on slices."""
    metadata = service["metadata"]
    own = {SERVICE_NAME_LABEL, SLICE_MANAGER_LABEL, HEADLESS_LABEL}
    copied = {name: value for name, value in labels(service).items() if name not in own}
    copied |= {SERVICE_NAME_LABEL: metadata["name"], SLICE_MANAGER_LABEL: MANAGED_BY}
    if is_headless(service):
        copied[HEADLESS_LABEL] = ""
    return Frame(
        generate_name=f"{metadata['name']}-"[:_LONGEST_BASE],
        namespace=metadata["namespace"],
        labels=copied,
        annotations={},
        owner_references=[owner_reference(service)],
        trigger_time=trigger_time,
    )


def desired_endpoints(
    service: Service, pods: Iterable[Pod], nodes: Mapping[str, Node]
) -> dict[SliceKind, list[Endpoint]]:
    """The endpoints of a Service, by address type and ports. `nodes` holds at least the pods' nodes."""
    desired: dict[SliceKind, list[Endpoint]] = defaultdict(list)
    distribution = distribution_of(service)
    families = families_of(service)
    for pod in pods:
        ports = ports_of(service, pod)
        for family in families:
            endpoint = endpoint_of(pod, service, nodes.get(pod["spec"].get("nodeName") or ""), family)
            if endpoint is not None:
                desired[family, ports].append(hinted(endpoint, distribution))
    if annotations_of(service).get(TOPOLOGY_MODE_ANNOTATION, "").lower() == "auto":
        cpus = _cpus_by_zone(nodes.values())
        return {kind: shared_out(each, cpus) for kind, each in desired.items()}
    return desired


def _cpus_by_zone(nodes: Iterable[Node]) -> dict[str, float]:
    cpus: dict[str, float] = defaultdict(float)
    for node in nodes:
        zone = labels(node).get(ZONE_LABEL)
        if zone and is_condition_true(node, "Ready"):
            allocatable = (node.get("status") or {}).get("allocatable") or {}
            cpus[zone] += Quantity.parse(allocatable.get("cpu", "0")).milli_value
    return cpus
