"""What a table holds already: going on with its numbers, and finding what differs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import count
from typing import Protocol

from wellhead.proxy.backends.nftables import layout
from wellhead.proxy.backends.nftables.numbers import Placement
from wellhead.proxy.backends.nftables.objects import Chain, Element, ElementKey, Set, Transaction
from wellhead.services.endpointslice import EndpointAddress
from wellhead.services.names import Frontend
from wellhead.services.view import PortView, Scope


@dataclass(frozen=True, slots=True)
class Held:
    """What a table holds, as read from the kernel; the elements of dynamic maps left out."""

    exists: bool = False
    sets: Mapping[str, Set] = field(default_factory=dict)
    chains: Mapping[str, Chain] = field(default_factory=dict)
    elements: Mapping[ElementKey, object] = field(default_factory=dict)
    """Keys and values."""


class Wanted(Protocol):
    """What a table should hold, its elements left out."""

    @property
    def sets(self) -> tuple[Set, ...]: ...

    @property
    def chains(self) -> Mapping[str, Chain]: ...


def adopted_placement(held: Held, view: PortView) -> Placement | None:
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


def _held_id(held: Held, frontend: Frontend) -> bytes:
    if frontend.address is None:
        at = ElementKey(layout.NODE_PORTS, layout.node_port_key(frontend.protocol, frontend.port))
    else:
        key = layout.frontend_key(frontend.address, frontend.protocol, frontend.port)
        at = ElementKey(layout.SERVICES, key)
    found = held.elements.get(at)
    return found if isinstance(found, bytes) else b""


def _held_order(held: Held, view: PortView, number: int, scope: Scope) -> tuple[EndpointAddress, ...]:
    known = {layout.endpoint_data(each.ip, each.port): each for each in view.endpoints(scope)}
    found = []
    for data, _ in _held_endpoints(held, view, number, scope):
        if data not in known:
            break
        found.append(known.pop(data))
    return tuple(found)


def _held_slots(held: Held, view: PortView, number: int) -> dict[EndpointAddress, int]:
    found: dict[EndpointAddress, int] = {}
    for scope in Scope:
        known = {layout.endpoint_data(each.ip, each.port): each for each in view.endpoints(scope)}
        for data, slot in _held_endpoints(held, view, number, scope):
            endpoint = known.get(data)
            if endpoint is not None and slot and slot not in found.values():
                found.setdefault(endpoint, slot)
    return found


def _held_endpoints(held: Held, view: PortView, number: int, scope: Scope) -> Iterator[tuple[bytes, int]]:
    """The endpoints of a port by index, with their slots: 0 without affinity, which knows none."""
    packed, protocol = layout.port_id(number, local=scope is Scope.LOCAL), layout.transport(view.protocol)
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


def difference(wanted: Wanted, elements: Iterable[Element], held: Held) -> Transaction:
    """What makes a table that is as `held` says into what it should be: `elements` and `wanted`."""
    if not held.exists:
        return Transaction(
            add_table=True,
            add_sets=list(wanted.sets),
            add_chains=list(wanted.chains.values()),
            add_elements=list(elements),
        )
    if _incompatible(wanted, held):
        found = difference(wanted, elements, Held())
        found.rebuild = True
        return found
    transaction = Transaction()
    transaction.add_sets = [each for each in wanted.sets if each.name not in held.sets]
    wanted_sets = {each.name for each in wanted.sets}
    transaction.delete_sets = [name for name in held.sets if name not in wanted_sets]
    for chain in wanted.chains.values():
        there = held.chains.get(chain.name)
        if there is None:
            transaction.add_chains.append(chain)
        elif there.rules != chain.rules:
            transaction.replace_rules.append(chain)
    transaction.delete_chains = [name for name in held.chains if name not in wanted.chains]
    rest = dict(held.elements)
    ranges: list[Element] = []
    for each in elements:
        if each.id.set in layout.RANGES:
            ranges.append(each)
            continue
        data = rest.pop(each.id, _ABSENT)
        if data is _ABSENT:
            transaction.add_elements.append(each)
        elif data != each.data:
            transaction.delete_elements.append(each.id)
            transaction.add_elements.append(each)
    held_ranges = sorted(each for each in rest if each.set in layout.RANGES)
    transaction.delete_elements += (
        each for each in rest if each.set in wanted_sets and each.set not in layout.RANGES
    )
    replace_ranges(held_ranges, ranges, transaction)
    return transaction


def replace_ranges(old: Iterable[ElementKey], new: Iterable[Element], transaction: Transaction) -> None:
    """Change sets of address ranges: all of a set that changes at all.

    An interval is two elements, and the kernel is particular about seeing both, start before end.
    """
    for name in layout.RANGES:
        before = [each for each in old if each.set == name]
        after = [each for each in new if each.id.set == name]
        if before != [each.id for each in after]:
            transaction.delete_elements += before
            transaction.add_elements += after


_ABSENT = object()


def _incompatible(wanted: Wanted, held: Held) -> bool:
    """Whether something has our name and another nature: another version's, or somebody's own."""
    if any(each != held.sets.get(each.name, each) for each in wanted.sets):
        return True
    return any(
        each.name in held.chains and held.chains[each.name].hook != each.hook
        for each in wanted.chains.values()
    )
