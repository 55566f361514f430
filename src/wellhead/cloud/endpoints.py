"""What a load balancer has to know of a Service's endpoints. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from wellhead.api.meta import Key
from wellhead.ip import Family, Protocol
from wellhead.services.endpointslice import EndpointAddress, EndpointSlice, join_slices
from wellhead.services.traffic import usable


@dataclass(frozen=True)
class Endpoints:
    """A Service's endpoints.

    `serving_nodes` are the names of the nodes with an endpoint whose flows may go on. `usable` are, for each
    family and name of a TCP port, the endpoints that take new connections.
    """

    serving_nodes: frozenset[str] = frozenset()
    usable: Mapping[tuple[Family, str], tuple[EndpointAddress, ...]] = field(default_factory=dict)


def service_of(endpoint_slice: EndpointSlice | None) -> list[Key]:
    """The Service that an EndpointSlice belongs to: an index function, so none or one."""
    if endpoint_slice is None:
        return []
    return [(endpoint_slice.service.namespace, endpoint_slice.service.name)]


def endpoints(slices: Iterable[EndpointSlice | None]) -> Endpoints:
    """The endpoints of one Service, from all of its EndpointSlices."""
    used = [each for each in slices if each is not None]
    ports = {
        (each.family, port.name) for each in used for port in each.ports if port.protocol is Protocol.TCP
    }
    return Endpoints(
        frozenset(
            endpoint.node
            for each in used
            for endpoint in each.endpoints
            if endpoint.node and endpoint.keeps_flows
        ),
        {
            (family, name): tuple(usable(join_slices(used, family, name, Protocol.TCP)))
            for family, name in ports
        },
    )
