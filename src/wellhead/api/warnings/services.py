"""Services: what is ignored, and what is called otherwise today. Upstream: pkg/api/service/warnings.go."""

from __future__ import annotations

from collections.abc import Iterator

from wellhead.api.meta import Obj
from wellhead.api.warnings.addresses import of_address, of_network

_HINTS, _MODE = "service.kubernetes.io/topology-aware-hints", "service.kubernetes.io/topology-mode"


def of_service(service: Obj) -> Iterator[str]:
    """A Service, with defaults or without."""
    spec, annotations = service["spec"], service["metadata"].get("annotations") or {}
    kind, external = spec.get("type") or "ClusterIP", spec.get("externalIPs") or ()
    headless = kind == "ClusterIP" and spec.get("clusterIP") == "None"
    if _HINTS in annotations:
        yield f"annotation {_HINTS} is deprecated, please use {_MODE} instead"
    for index, address in enumerate(spec.get("clusterIPs") or ()):
        if address != "None":
            yield from of_address(f"spec.clusterIPs[{index}]", address)
    if headless:
        yield from _of_headless(spec)
    for index, address in enumerate(external):
        yield from of_address(f"spec.externalIPs[{index}]", address)
    if external and not headless and kind != "ExternalName":
        yield "spec.externalIPs is deprecated and may no longer be implemented in some clusters"
    if address := spec.get("loadBalancerIP"):
        yield from of_address("spec.loadBalancerIP", address)
    for index, network in enumerate(spec.get("loadBalancerSourceRanges") or ()):
        yield from of_network(f"spec.loadBalancerSourceRanges[{index}]", network)
    if kind == "ExternalName" and external:
        yield 'spec.externalIPs is ignored when spec.type is "ExternalName"'
    if kind != "ExternalName" and spec.get("externalName"):
        yield 'spec.externalName is ignored when spec.type is not "ExternalName"'
    if spec.get("trafficDistribution") == "PreferClose":
        yield 'spec.trafficDistribution: "PreferClose" is deprecated; use "PreferSameZone"'


def _of_headless(spec: Obj) -> Iterator[str]:
    if spec.get("loadBalancerIP"):
        yield "spec.loadBalancerIP is ignored for headless services"
    if spec.get("externalIPs"):
        yield "spec.externalIPs is ignored for headless services"
    if spec.get("sessionAffinity", "None") != "None":
        yield "spec.SessionAffinity is ignored for headless services"
