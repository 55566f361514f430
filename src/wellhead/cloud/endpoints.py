"""What a load balancer has to know of a Service's endpoints. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address

from wellhead.api.meta import Key, Obj, labels
from wellhead.cloud.vips import IPAddress

SERVICE_LABEL = "kubernetes.io/service-name"

Address = tuple[IPAddress, int]
Port = tuple[int, str]
"""IP version and name."""

_VERSIONS = {"IPv4": 4, "IPv6": 6}


@dataclass(frozen=True)
class Endpoints:
    """A Service's endpoints.

    `serving_nodes` are the names of the nodes with an endpoint that serves, terminating or not (KEP-1672).
    `usable` are, for each IP version and port name, the endpoints that take new connections: those that are
    ready; if none is, those that serve though they terminate.
    """

    serving_nodes: frozenset[str] = frozenset()
    usable: Mapping[Port, frozenset[Address]] = field(default_factory=dict)


def service_of(endpoint_slice: Obj) -> list[Key]:
    """The Service that an EndpointSlice belongs to: an index function, so none or one."""
    name = labels(endpoint_slice).get(SERVICE_LABEL)
    return [(endpoint_slice["metadata"]["namespace"], name)] if name else []


def endpoints(slices: Iterable[Obj]) -> Endpoints:
    """The endpoints of one Service, from all of its EndpointSlices."""
    nodes: set[str] = set()
    ready: defaultdict[Port, set[Address]] = defaultdict(set)
    serving: defaultdict[Port, set[Address]] = defaultdict(set)
    for each in slices:
        ports = {port.get("name") or "": port["port"] for port in each.get("ports") or [] if port.get("port")}
        for endpoint in each.get("endpoints") or []:
            conditions = endpoint.get("conditions") or {}
            is_ready, serves = _ready(conditions), _serves(conditions)
            if serves and endpoint.get("nodeName"):
                nodes.add(endpoint["nodeName"])
            if (version := _VERSIONS.get(each.get("addressType", "IPv4"))) is None:
                continue  # host names
            for name, port in ports.items():
                # An endpoint's addresses are all the same endpoint; consumers use the first (API reference).
                address = ip_address(endpoint["addresses"][0]), int(port)
                if is_ready:
                    ready[version, name].add(address)
                elif serves:
                    serving[version, name].add(address)
    return Endpoints(
        frozenset(nodes),
        {port: frozenset(ready[port] or serving[port]) for port in ready.keys() | serving.keys()},
    )


def _ready(conditions: Obj) -> bool:
    """An unset condition counts as ready, as the API says."""
    return bool(conditions.get("ready") is not False)


def _serves(conditions: Obj) -> bool:
    serving = conditions.get("serving")
    return _ready(conditions) if serving is None else bool(serving)
