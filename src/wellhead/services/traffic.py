"""Which endpoints of a Service port a node uses, under the Cluster and under the Local policy."""

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


def candidates(endpoints: Mapping[EndpointAddress, Endpoint], node: LocalNode) -> Candidates:
    """Choose among a port's endpoints, given in order of their addresses.

    Ready endpoints are used; where none is ready, those that terminate but still serve (KEP-1669). The
    fallback is taken for the two views apart: a node whose own endpoints all terminate goes on serving Local
    traffic from them while the Cluster view uses ready ones elsewhere.
    """
    if all(each.ready for each in endpoints.values()):
        return Candidates(_nearest(endpoints, node), _on(node, endpoints))
    ready = {address: each for address, each in endpoints.items() if each.ready}
    draining = {
        address: each
        for address, each in endpoints.items()
        if not each.ready and each.serving and each.terminating
    }
    return Candidates(
        cluster=_nearest(ready, node) or tuple(draining),
        local=_on(node, ready) or _on(node, draining),
    )


def _on(node: LocalNode, endpoints: Mapping[EndpointAddress, Endpoint]) -> tuple[EndpointAddress, ...]:
    return tuple([address for address, each in endpoints.items() if each.node == node.name])


def _nearest(ready: Mapping[EndpointAddress, Endpoint], node: LocalNode) -> tuple[EndpointAddress, ...]:
    """Apply topology hints (KEP-2433, KEP-3015): node hints first, then zone hints, else no preference.

    A kind of hint counts only when every ready endpoint has one and at least one names this node or zone;
    anything less would overload the few that are hinted, or leave the node with nothing.
    """
    if ready and all(each.node_hints for each in ready.values()):
        near = tuple(address for address, each in ready.items() if node.name in each.node_hints)
        if near:
            return near
    if node.zone and ready and all(each.zone_hints for each in ready.values()):
        near = tuple(address for address, each in ready.items() if node.zone in each.zone_hints)
        if near:
            return near
    return tuple(ready)
