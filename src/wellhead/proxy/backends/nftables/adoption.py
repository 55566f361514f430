"""Going on with the numbers that a table holds already."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count

from wellhead.linux.nftables.content import Content
from wellhead.linux.nftables.objects import ElementKey
from wellhead.proxy.backends.nftables import layout
from wellhead.proxy.backends.nftables.numbers import Placement
from wellhead.services.endpointslice import EndpointAddress
from wellhead.services.names import Frontend
from wellhead.services.view import PortView, Scope


def adopted_placement(held: Content, view: PortView) -> Placement | None:
    """The numbers that a table has for a port; None when it does not know the port.

    A number is taken from any frontend of the port: at worst it was another port's, and that one's endpoints
    change.
    """
    packed = next((found for each in view.frontends if (found := _held_id(held, each.frontend))), b"")
    if not packed:
        return None
    number, _, _ = layout.split_id(packed)
    return Placement(
        number,
        cluster=_held_order(held, view, number, Scope.CLUSTER),
        local=_held_order(held, view, number, Scope.LOCAL),
        slots=_held_slots(held, view, number) if view.affinity_seconds is not None else None,
    )


def _held_id(held: Content, frontend: Frontend) -> bytes:
    if frontend.address is None:
        at = ElementKey(layout.NODE_PORTS, layout.node_port_key(frontend.protocol, frontend.port))
    else:
        key = layout.frontend_key(frontend.address.packed, frontend.protocol, frontend.port)
        at = ElementKey(layout.SERVICES, key)
    found = held.elements.get(at)
    return found if isinstance(found, bytes) else b""


def _held_order(held: Content, view: PortView, number: int, scope: Scope) -> tuple[EndpointAddress, ...]:
    known = {layout.endpoint_data(each): each for each in view.endpoints(scope)}
    found = []
    for data, _ in _held_endpoints(held, view, number, scope):
        if data not in known:
            break
        found.append(known.pop(data))
    return tuple(found)


def _held_slots(held: Content, view: PortView, number: int) -> dict[EndpointAddress, int]:
    found: dict[EndpointAddress, int] = {}
    for scope in Scope:
        known = {layout.endpoint_data(each): each for each in view.endpoints(scope)}
        for data, slot in _held_endpoints(held, view, number, scope):
            endpoint = known.get(data)
            if endpoint is not None and slot and slot not in found.values():
                found.setdefault(endpoint, slot)
    return found


def _held_endpoints(held: Content, view: PortView, number: int, scope: Scope) -> Iterator[tuple[bytes, int]]:
    """The endpoints of a port by index, with their slots: 0 without affinity, which knows none."""
    packed = layout.port_id(number, layout.LOCAL if scope is Scope.LOCAL else 0)
    protocol = layout.transport(view.protocol)
    for index in count():
        slot = 0
        if view.affinity_seconds is None:
            at = ElementKey(layout.ENDPOINTS, protocol + packed + layout.word(index))
        else:
            chosen = held.elements.get(ElementKey(layout.SLOTS, packed + layout.word(index)))
            if not isinstance(chosen, bytes):
                return
            slot = layout.split_id(chosen)[2]
            at = ElementKey(layout.SLOT_ENDPOINTS, protocol + chosen)
        data = held.elements.get(at)
        if not isinstance(data, bytes):
            return
        yield data, slot
