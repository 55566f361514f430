"""Hints that keep traffic near: `spec.trafficDistribution` and the annotation topology-mode.

Source: KEP-4444 and KEP-3015 (traffic distribution), KEP-2433 (topology aware routing).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from wellhead.api.meta import annotations as annotations_of
from wellhead.api.names import TOPOLOGY_MODE_ANNOTATION
from wellhead.api.types.endpointslice import Endpoint, EndpointHints
from wellhead.api.types.service import Service


def distribution_of(service: Service) -> str:
    """ "Zone", "Node" or "" as the Service asks for. The annotation, where it is on, overrides the field."""
    if annotations_of(service).get(TOPOLOGY_MODE_ANNOTATION, "").lower() == "auto":
        return ""
    match service["spec"].get("trafficDistribution"):
        case "PreferClose" | "PreferSameZone":
            return "Zone"
        case "PreferSameNode":
            return "Node"
    return ""


def hinted(endpoint: Endpoint, distribution: str) -> Endpoint:
    """The endpoint with the hint to use it from its own zone (and node). Only ready ones have hints."""
    hints: EndpointHints = {}
    if distribution and endpoint["conditions"].get("ready"):
        if zone := endpoint.get("zone"):
            hints["forZones"] = [{"name": zone}]
        if distribution == "Node" and (node := endpoint.get("nodeName")):
            hints["forNodes"] = [{"name": node}]
    return {**endpoint, "hints": hints} if hints else endpoint


def shared_out(endpoints: Iterable[Endpoint], cpus: Mapping[str, float]) -> list[Endpoint]:
    """Endpoints hinted so that each zone gets a share of them like its share of the CPUs.

    `cpus` holds the allocatable CPUs of ready nodes per zone. No hints at all where a zone is unknown, where
    there is only one, or where there are too few endpoints to give each zone one (KEP-2433's safeguards).
    """
    everything = list(endpoints)
    ready = [each for each in everything if each["conditions"].get("ready")]
    total = sum(cpus.values())
    if len(cpus) < 2 or not total or any(each.get("zone") not in cpus for each in ready):
        return everything
    wanted = {zone: len(ready) * share / total for zone, share in cpus.items()}
    if any(share < 1 for share in wanted.values()):
        return everything
    floors = {zone: int(share) for zone, share in wanted.items()}
    rest = len(ready) - sum(floors.values())
    for zone in sorted(cpus, key=lambda zone: (floors[zone] - wanted[zone], zone))[:rest]:
        floors[zone] += 1
    zone_for: dict[int, str] = {}
    spare: list[Endpoint] = []
    for each in ready:
        if floors[each["zone"]] > 0:
            floors[each["zone"]] -= 1
            zone_for[id(each)] = each["zone"]
        else:
            spare.append(each)
    for each in spare:
        zone = next(zone for zone in sorted(floors) if floors[zone] > 0)
        floors[zone] -= 1
        zone_for[id(each)] = zone
    return [
        {**each, "hints": {"forZones": [{"name": zone_for[id(each)]}]}} if id(each) in zone_for else each
        for each in everything
    ]
