"""Which endpoints of a Service port take new connections: anywhere, and as one node sees them."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from wellhead.services.endpointslice import Endpoint, EndpointAddress
from wellhead.services.node import LocalNode


class Candidates(msgspec.Struct, frozen=True, gc=False):
    """The usable endpoints of a Service port as one node sees them, each tuple ordered by address."""

    cluster: tuple[EndpointAddress, ...]
    """Under the Cluster policy, topology hints applied. Empty only when no node has a usable endpoint."""
    local: tuple[EndpointAddress, ...]
    """Under the Local policy: on this node."""


def usable(endpoints: Mapping[EndpointAddress, Endpoint]) -> Mapping[EndpointAddress, Endpoint]:
    """Those that take new connections: who is ready; where nobody is, who drains (KEP-1669)."""
    for each in endpoints.values():
        if not each.ready:
            break
    else:
        return endpoints
    ready = {address: each for address, each in endpoints.items() if each.ready}
    return ready or {address: each for address, each in endpoints.items() if each.is_draining}


def candidates(endpoints: Mapping[EndpointAddress, Endpoint], node: LocalNode) -> Candidates:
    """Choose among a port's endpoints, given in order of their addresses.

    What is usable is decided for the two views apart: a node whose own endpoints all drain goes on serving
    Local traffic from them while the Cluster view uses ready ones elsewhere.
    """
    here = {address: each for address, each in endpoints.items() if each.node == node.name}
    return Candidates(_nearest(usable(endpoints), node), tuple(usable(here)) if here else ())


def _nearest(usable: Mapping[EndpointAddress, Endpoint], node: LocalNode) -> tuple[EndpointAddress, ...]:
    """Apply topology hints (KEP-2433, KEP-3015): node hints first, then zone hints, else no preference.

    A kind of hint counts only when every ready endpoint has one and at least one names this node or zone;
    anything less would overload the few that are hinted, or leave the node with nothing.
    """
    first = next(iter(usable.values()), None)
    if first is None or not first.ready:  # all of them are, or none
        return tuple(usable)
    if first.node_hints and all(each.node_hints for each in usable.values()):
        near = tuple(address for address, each in usable.items() if node.name in each.node_hints)
        if near:
            return near
    if first.zone_hints and node.zone and all(each.zone_hints for each in usable.values()):
        near = tuple(address for address, each in usable.items() if node.zone in each.zone_hints)
        if near:
            return near
    return tuple(usable)
