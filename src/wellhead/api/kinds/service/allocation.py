"""Which ClusterIPs and node ports a Service gets: decisions only, the pool is the caller's to keep.

`allocate` takes nothing out of the pool, so that a dry run is one that isn't committed. To commit, add the
`holdings` of the new Service to the pool before it is stored, and remove what it gave up after.
Rules: upstream's pkg/registry/core/service (storage/alloc.go and ipallocator).
"""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass, field
from typing import NamedTuple

from wellhead.api.errors import Cause, InternalError, Invalid
from wellhead.api.formats import parse_ip
from wellhead.api.kinds.service.families import has_addresses, is_headless
from wellhead.api.meta import Obj
from wellhead.api.ranges import Address, AddressRanges, free_port
from wellhead.api.well_known import SERVICES

DEFAULT_NODE_PORTS = range(30000, 32768)


class Holdings(NamedTuple):
    """What one Service occupies: addresses, and node port numbers (healthCheckNodePort among them)."""

    addresses: frozenset[Address] = frozenset()
    ports: frozenset[int] = frozenset()

    def without(self, other: Holdings) -> Holdings:
        """What it occupies beyond the other."""
        return Holdings(self.addresses - other.addresses, self.ports - other.ports)


def holdings(service: Obj | None) -> Holdings:
    """What a stored Service occupies; nothing for None."""
    if service is None:
        return _NOTHING
    spec = service.get("spec") or {}
    addresses = map(parse_ip, spec.get("clusterIPs") or [spec.get("clusterIP") or ""])
    ports = [port.get("nodePort") for port in spec.get("ports") or ()]
    return Holdings(
        frozenset([address for address in addresses if address is not None]),
        frozenset([number for number in [*ports, spec.get("healthCheckNodePort")] if number]),
    )


_NOTHING = Holdings()


@dataclass
class ServicePool:
    """The ranges of a cluster and what is taken of them."""

    ranges: AddressRanges
    node_ports: range = DEFAULT_NODE_PORTS
    addresses: set[Address] = field(default_factory=set)
    ports: set[int] = field(default_factory=set)

    def add(self, held: Holdings) -> None:
        self.addresses |= held.addresses
        self.ports |= held.ports

    def remove(self, held: Holdings) -> None:
        self.ports -= held.ports
        if held.addresses:
            self.addresses -= held.addresses
            self.ranges.returned()


def allocate(new: Obj, old: Obj | None, pool: ServicePool) -> Obj:
    """`new` with its ClusterIPs, node ports and healthCheckNodePort filled in, as a new object.

    `new` is defaulted and valid, its IP families are decided; `old` is the Service that it replaces, whose
    holdings it may keep.
    Raises Invalid if it asks for what can't be had, InternalError if a range is used up.
    """
    service = {**new, "spec": dict(new["spec"])}
    own = holdings(old)
    causes = _allocate_addresses(service["spec"], own, pool)
    causes += _allocate_ports(service["spec"], own, pool)
    if causes:
        raise Invalid.for_object(SERVICES, new, causes)
    return service


def needs_cluster_ip(spec: Obj) -> bool:
    """Whether a Service has an address of its own."""
    return has_addresses(spec) and not is_headless(spec)


def needs_node_ports(spec: Obj) -> bool:
    if spec.get("type") == "LoadBalancer":
        return spec.get("allocateLoadBalancerNodePorts") is not False
    return spec.get("type") == "NodePort"


def needs_health_check_port(spec: Obj) -> bool:
    return spec.get("type") == "LoadBalancer" and spec.get("externalTrafficPolicy") == "Local"


def _allocate_addresses(spec: Obj, own: Holdings, pool: ServicePool) -> list[Cause]:
    if not needs_cluster_ip(spec):
        return []
    requested = list(spec.get("clusterIPs") or ())
    causes = [
        Cause.invalid("spec.clusterIPs", requested, f"failed to allocate IP {text}: {problem}")
        for text in requested
        if (problem := _problem_with(parse_ip(text), own, pool))
    ]
    if causes:
        return causes
    chosen = requested + [_draw(family, pool) for family in spec["ipFamilies"][len(requested) :]]
    spec["clusterIP"], spec["clusterIPs"] = chosen[0], chosen
    return []


def _problem_with(address: Address | None, own: Holdings, pool: ServicePool) -> str:
    if address in own.addresses:
        return ""
    if address is None or not pool.ranges.holds(address):
        return "the provided network does not match the current range"
    return "provided IP is already allocated" if address in pool.addresses else ""


def _draw(family: str, pool: ServicePool) -> str:
    address = pool.ranges.draw(family, pool.addresses)
    if address is None:
        raise InternalError("failed to allocate a serviceIP: range is full")
    return str(address)


def _allocate_ports(spec: Obj, own: Holdings, pool: ServicePool) -> list[Cause]:
    causes: list[Cause] = []
    spec["ports"] = ports = [dict(port) for port in spec.get("ports") or ()]
    if not ports:
        del spec["ports"]
    requested = {port["nodePort"] for port in ports if port.get("nodePort")}
    health = spec.get("healthCheckNodePort") or 0
    for index, port in enumerate(ports):
        if number := port.get("nodePort"):
            at = f"spec.ports[{index}].nodePort"
            causes += _check_port(at, number, own, pool)
    if health and needs_health_check_port(spec):
        if health in requested:
            causes.append(Cause.invalid("spec.healthCheckNodePort", health, _TAKEN))
        else:
            causes += _check_port("spec.healthCheckNodePort", health, own, pool)
    if causes:
        return causes
    if not needs_node_ports(spec) and not needs_health_check_port(spec):
        return []
    taken = pool.ports | requested | {health}
    if needs_node_ports(spec):
        # Two protocols on one port number share their node port, too.
        by_number = {port["port"]: port["nodePort"] for port in reversed(ports) if port.get("nodePort")}
        used = {(port["nodePort"], port.get("protocol")) for port in ports if port.get("nodePort")}
        for port in ports:
            if port.get("nodePort"):
                continue
            number = by_number.get(port["port"])
            if number is None or (number, port.get("protocol")) in used:
                number = _free_port(pool.node_ports, taken)
            port["nodePort"] = by_number[port["port"]] = number
            used.add((number, port.get("protocol")))
            taken.add(number)
    if needs_health_check_port(spec) and not health:
        spec["healthCheckNodePort"] = _free_port(pool.node_ports, taken)
    return []


_TAKEN = "provided port is already allocated"


def _check_port(at: str, number: int, own: Holdings, pool: ServicePool) -> list[Cause]:
    if number in own.ports:
        return []
    if number not in pool.node_ports:
        valid = f"{pool.node_ports.start}-{pool.node_ports.stop - 1}"
        return [
            Cause.invalid(
                at, number, f"provided port is not in the valid range. The range of valid ports is {valid}"
            )
        ]
    return [Cause.invalid(at, number, _TAKEN)] if number in pool.ports else []


def _free_port(ports: range, taken: Container[int]) -> int:
    number = free_port(ports, taken)
    if number is None:
        raise InternalError("failed to allocate a nodePort: range is full")
    return number
