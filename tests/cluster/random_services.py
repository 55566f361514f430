"""Random Services with random endpoints, for prediction and packets to be held against each other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st

Obj = dict[str, Any]

TYPES = ("ClusterIP", "NodePort", "LoadBalancer")
POLICIES = ("Cluster", "Local")
FAMILIES = ("IPv4", "IPv6")
CLIENTS = "198.51.100.0/24"
ELSEWHERE = "192.0.2.128/25"
PRESERVE = "wellhead.dev/preserve-client-ip"


@dataclass(frozen=True)
class Backend:
    """A server that there is: its addresses by family, and its node."""

    name: str
    node: str
    addresses: dict[str, str]


def services(backends: Sequence[Backend]) -> st.SearchStrategy[list[Obj]]:
    """Some Services without selectors, and their EndpointSlices: `[service, slice, slice, service …]`."""
    one = st.builds(_service, *_choices(backends))
    return st.lists(one, min_size=6, max_size=10).map(_named)


def _choices(backends: Sequence[Backend]) -> Sequence[st.SearchStrategy[Any]]:
    conditions = st.fixed_dictionaries(
        {}, optional={name: st.booleans() for name in ("ready", "serving", "terminating")}
    )
    # Where an endpoint is may be left out; that it is somewhere else would be a lie.
    placed = st.tuples(st.sampled_from(backends), conditions, st.booleans())
    return (
        st.sampled_from(TYPES),
        st.sampled_from(POLICIES),
        st.sampled_from(POLICIES),
        st.sampled_from(("None", "None", "ClientIP")),
        st.sampled_from(("SingleStack", "RequireDualStack")),
        st.sampled_from(FAMILIES),
        st.sampled_from(((), (), (CLIENTS,), (ELSEWHERE,))),
        st.booleans(),
        st.booleans(),
        st.lists(placed, max_size=4, unique_by=lambda each: each[0].name),
    )


def _service(
    kind: str,
    external: str,
    internal: str,
    affinity: str,
    families: str,
    first: str,
    ranges: tuple[str, ...],
    preserving: bool,
    publishing: bool,
    endpoints: list[tuple[Backend, Obj, bool]],
) -> list[Obj]:
    both = (first, *(each for each in FAMILIES if each != first))
    mine = both if families == "RequireDualStack" else both[:1]
    spec: Obj = {
        "type": kind,
        "ports": [{"name": "http", "port": 80, "targetPort": 8080}],
        "internalTrafficPolicy": internal,
        "sessionAffinity": affinity,
        "ipFamilyPolicy": families,
        "ipFamilies": list(mine),
        "publishNotReadyAddresses": publishing,
    }
    if kind != "ClusterIP":
        spec["externalTrafficPolicy"] = external
    if kind == "LoadBalancer" and ranges:
        spec["loadBalancerSourceRanges"] = list(ranges)
    annotations = {PRESERVE: "true"} if preserving and kind != "ClusterIP" else {}
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"annotations": annotations},
        "spec": spec,
    }
    return [service, *(_slice(family, endpoints) for family in mine)]


def _slice(family: str, endpoints: list[tuple[Backend, Obj, bool]]) -> Obj:
    entries = []
    for backend, conditions, is_placed in endpoints:
        entry: Obj = {"addresses": [backend.addresses[family]], "conditions": conditions}
        if is_placed:
            entry["nodeName"] = backend.node
        entries.append(entry)
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {},
        "addressType": family,
        "endpoints": entries,
        "ports": [{"name": "http", "port": 8080, "protocol": "TCP"}],
    }


def _named(groups: list[list[Obj]]) -> list[Obj]:
    """With names, and slices that say whose they are."""
    for number, (service, *slices) in enumerate(groups):
        name = f"s{number}"
        service["metadata"]["name"] = name
        for each in slices:
            each["metadata"] = {
                "name": f"{name}-{each['addressType'].lower()}",
                "labels": {"kubernetes.io/service-name": name},
            }
    return [obj for group in groups for obj in group]
