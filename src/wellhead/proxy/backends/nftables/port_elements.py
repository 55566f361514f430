"""Compile the view of one Service port into elements of maps and sets."""

from __future__ import annotations

from typing import NamedTuple

from wellhead.ip import collapse
from wellhead.linux.nftables.objects import COMMENT_LENGTH, Element, ElementKey
from wellhead.proxy.backends.nftables import layout
from wellhead.proxy.backends.nftables.dispatch import (
    Dispatch,
    affinity,
    pick,
    pick_slot,
    policy,
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
_SCOPES = (Scope.CLUSTER, Scope.LOCAL)


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
    _frontends(found, view, placement.number, name)
    for scope in _SCOPES:
        if placement.endpoints(scope):
            _endpoints(found, view, placement, scope, name)
    for address in view.hairpins:
        found.shared.append(Element(ElementKey(sets.HAIRPINS, address.packed * 2)))
    found.shared.extend(of_port(view))
    for address in view.preserved.returning if view.preserved else ():
        found.shared.append(Element(ElementKey(sets.RETURNING, address.packed)))
    return found


def _frontends(found: PortElements, view: PortView, number: int, name: str) -> None:
    guards = False
    for kind, frontend in view.frontends:
        routing = view.routing(kind)
        guarded = view.guards(kind)
        guards = guards or guarded
        dispatch = policy(routing, guarded)
        found.dispatches.append(dispatch)
        value = layout.port_id(number, code=dispatch.code)
        if frontend.address is None:
            at = ElementKey(layout.NODE_PORTS, layout.node_port_key(frontend.protocol, frontend.port))
        else:
            key = layout.frontend_key(frontend.address, frontend.protocol, frontend.port)
            at = ElementKey(layout.SERVICES, key)
        found.own.append(Element(at, value, _comment(name + _KIND[kind])))
        if kind is FrontendKind.CLUSTER_IP and frontend.address is not None:
            found.shared.append(Element(ElementKey(sets.CLUSTER_IPS, frontend.address.packed)))
    if guards:
        for network in collapse(view.allowed_sources):
            found.own.append(Element(layout.source_range(number, network), None, name))


def _endpoints(found: PortElements, view: PortView, placement: Placement, scope: Scope, name: str) -> None:
    endpoints = placement.endpoints(scope)
    count = len(endpoints)
    local = scope is Scope.LOCAL
    packed = layout.port_id(placement.number, local=local)
    protocol = layout.transport(view.protocol)

    def lead(counts: str, dispatch: Dispatch) -> None:
        value = layout.port_id(placement.number, local=local, code=dispatch.code)
        found.dispatches.append(dispatch)
        found.own.append(Element(ElementKey(counts, packed), value, name))

    if view.affinity_seconds is None:
        lead(layout.ENDPOINT_COUNTS, pick(count))
        prefix = protocol + packed
        found.own.extend(
            [
                Element(
                    ElementKey(layout.ENDPOINTS, prefix + layout.word(index)),
                    layout.endpoint_data(each.ip, each.port),
                    name,
                )
                for index, each in enumerate(endpoints)
            ]
        )
        return
    lead(layout.ENDPOINT_COUNTS, affinity(view.affinity_seconds, placement.timeout_code, scope))
    lead(layout.SLOT_COUNTS, pick_slot(count))
    slots = placement.slots or {}
    for index, each in enumerate(endpoints):
        chosen = layout.port_id(placement.number, local=local, code=slots[each])
        data = layout.endpoint_data(each.ip, each.port)
        found.own.append(Element(ElementKey(layout.SLOTS, packed + layout.word(index)), chosen, name))
        found.own.append(Element(ElementKey(layout.SLOT_ENDPOINTS, protocol + chosen), data, name))


def _comment(text: str) -> str:
    """As much of `text` as nft shows. Kubernetes' names are ASCII."""
    return text if len(text) <= COMMENT_LENGTH else text[:COMMENT_LENGTH]
