"""Compile the view of one Service port into elements of maps and sets."""

from __future__ import annotations

from typing import NamedTuple

from wellhead.ip import collapse
from wellhead.linux.nftables.objects import COMMENT_LENGTH, Element, ElementKey
from wellhead.proxy.backends.nftables import layout
from wellhead.proxy.backends.nftables.dispatch import (
    PREPARED,
    Dispatch,
    affinity,
    pick,
    pick_slot,
    policy,
    scopes_of,
)
from wellhead.proxy.backends.nftables.numbers import Placement
from wellhead.proxy.claims import sets
from wellhead.proxy.claims.sets import of_port
from wellhead.services.names import FrontendKind
from wellhead.services.view import PortView, Scope

_KIND = {
    FrontendKind.CLUSTER_IP: " cluster IP",
    FrontendKind.EXTERNAL_IP: " external IP",
    FrontendKind.LOAD_BALANCER_IP: " load balancer IP",
    FrontendKind.NODE_PORT: " node port",
}


class PortElements(NamedTuple):
    """What one Service port puts into a table."""

    own: list[Element]
    """Elements that no other port has."""
    shared: list[Element]
    """Elements that other ports may have as well: there for as long as any of them is."""
    dispatches: list[Dispatch]
    """The codes that its elements hold."""


def compile_port(view: PortView, placement: Placement) -> PortElements:
    """The elements of one Service port.

    Only what can be reached is compiled: a port that nothing forwards to has frontends, but no endpoints.
    """
    found = PortElements([], [], [])
    name = _comment(str(view.key))
    uncounted = _frontends(found, view, placement, name)
    if placement.cluster:
        _endpoints(found, view, placement, Scope.CLUSTER, name, Scope.CLUSTER in uncounted)
    if placement.local:
        _endpoints(found, view, placement, Scope.LOCAL, name, Scope.LOCAL in uncounted)
    for address in view.hairpins:
        found.shared.append(Element(ElementKey(sets.HAIRPINS, address.packed * 2)))
    found.shared.extend(of_port(view))
    if view.preserved:
        for address in view.preserved.returning:
            found.shared.append(Element(ElementKey(sets.RETURNING, address.packed)))
    return found


def _frontends(found: PortElements, view: PortView, placement: Placement, name: str) -> set[Scope]:
    """Returns the scopes whose number of endpoints not all of these frontends say."""
    guards = False
    uncounted: set[Scope] = set()
    for kind, frontend in view.frontends:
        of_cluster_ip = kind is FrontendKind.CLUSTER_IP
        routing = view.internal if of_cluster_ip else view.external
        guarded = not of_cluster_ip and view.guards(kind)
        guards = guards or guarded
        endpoints = here = 0
        scopes = scopes_of(routing)
        if len(scopes) == 1 and view.affinity_seconds is None:
            local = Scope.LOCAL in scopes
            endpoints = len(placement.local if local else placement.cluster)
            here = layout.LOCAL if local else 0
        if not 0 < endpoints <= PREPARED:
            endpoints = here = 0
            uncounted |= scopes
        dispatch = policy(routing, guarded, endpoints)
        found.dispatches.append(dispatch)
        value = layout.port_id(placement.number, here | dispatch.code)
        address = frontend.address
        if address is None:
            at = ElementKey(layout.NODE_PORTS, layout.node_port_key(frontend.protocol, frontend.port))
        else:
            packed = address.packed
            at = ElementKey(layout.SERVICES, layout.frontend_key(packed, frontend.protocol, frontend.port))
            if of_cluster_ip:
                found.shared.append(Element(ElementKey(sets.CLUSTER_IPS, packed)))
        found.own.append(Element(at, value, _comment(name + _KIND[kind])))
    if guards:
        for network in collapse(view.allowed_sources):
            found.own.append(Element(layout.source_range(placement.number, network), None, name))
    return uncounted


def _endpoints(
    found: PortElements, view: PortView, placement: Placement, scope: Scope, name: str, uncounted: bool
) -> None:
    endpoints = placement.endpoints(scope)
    own, number = found.own, placement.number
    here = layout.LOCAL if scope is Scope.LOCAL else 0
    packed, protocol = layout.port_id(number, here), layout.transport(view.protocol)
    pick_one = pick(len(endpoints)) if view.affinity_seconds is None else pick_slot(len(endpoints))
    found.dispatches.append(pick_one)
    picks = layout.port_id(number, here | pick_one.code)
    if view.affinity_seconds is None:
        if uncounted:
            own.append(Element(ElementKey(layout.ENDPOINT_COUNTS, packed), picks, name))
        prefix = protocol + packed
        for packed_index, each in zip(layout.indexes(len(endpoints)), endpoints, strict=True):
            at = ElementKey(layout.ENDPOINTS, prefix + packed_index)
            own.append(Element(at, layout.endpoint_data(each), name))
        return
    returns = affinity(view.affinity_seconds, placement.timeout_code, scope)
    found.dispatches.append(returns)
    first = layout.port_id(number, here | returns.code)
    own.append(Element(ElementKey(layout.ENDPOINT_COUNTS, packed), first, name))
    own.append(Element(ElementKey(layout.SLOT_COUNTS, packed), picks, name))
    slots = placement.slots or {}
    for index, each in enumerate(endpoints):
        chosen = layout.port_id(number, here | slots[each])
        own.append(Element(ElementKey(layout.SLOTS, packed + layout.word(index)), chosen, name))
        data = layout.endpoint_data(each)
        own.append(Element(ElementKey(layout.SLOT_ENDPOINTS, protocol + chosen), data, name))


def _comment(text: str) -> str:
    """As much of `text` as nft shows. Kubernetes' names are ASCII."""
    return text if len(text) <= COMMENT_LENGTH else text[:COMMENT_LENGTH]
