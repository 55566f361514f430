"""Which ClusterIPs and node ports a Service gets: decisions only, the pool is the caller's to keep.

`allocate` looks at the pool and changes nothing, so that a dry run is one that isn't committed. To commit,
add the `holdings` of the new Service to the pool before it is stored, and remove what it gave up after.
Rules: upstream's pkg/registry/core/service (storage/alloc.go), KEP-3070 and KEP-3668 for the two bands.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Container, Iterable
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from itertools import chain

from wellhead.api.errors import Cause, InternalError, Invalid
from wellhead.api.formats import parse_ip
from wellhead.api.meta import Obj
from wellhead.api.resources import SERVICES

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

DEFAULT_NODE_PORTS = range(30000, 32768)

_RANDOM_TRIES = 32
_FAMILIES = {4: "IPv4", 6: "IPv6"}
# Of an IPv6 range, only this many addresses are handed out at random (upstream's allocators do the same).
_MAX_ADDRESSES = 1 << 16


@dataclass(frozen=True)
class Holdings:
    """What one Service occupies: addresses, and node port numbers (healthCheckNodePort among them)."""

    addresses: frozenset[Address] = frozenset()
    ports: frozenset[int] = frozenset()

    def __sub__(self, other: Holdings) -> Holdings:
        return Holdings(self.addresses - other.addresses, self.ports - other.ports)


def holdings(service: Obj | None) -> Holdings:
    """What a stored Service occupies; nothing for None."""
    spec = (service or {}).get("spec") or {}
    addresses = (parse_ip(text) for text in spec.get("clusterIPs") or [spec.get("clusterIP") or ""])
    ports = [port.get("nodePort") for port in spec.get("ports") or ()]
    return Holdings(
        frozenset(address for address in addresses if address is not None),
        frozenset(number for number in [*ports, spec.get("healthCheckNodePort")] if number),
    )


@dataclass
class ServicePool:
    """The ranges of a cluster and what is taken of them. The first range's family is the default one."""

    ranges: tuple[Network, ...]
    node_ports: range = DEFAULT_NODE_PORTS
    addresses: set[Address] = field(default_factory=set)
    ports: set[int] = field(default_factory=set)

    def add(self, held: Holdings) -> None:
        self.addresses |= held.addresses
        self.ports |= held.ports

    def remove(self, held: Holdings) -> None:
        self.addresses -= held.addresses
        self.ports -= held.ports

    @property
    def families(self) -> tuple[str, ...]:
        """The IP families that the cluster has, the default one first."""
        return tuple(_FAMILIES[network.version] for network in self.ranges)

    def range_of(self, family: str) -> Network:
        return next(network for network in self.ranges if _FAMILIES[network.version] == family)


def allocate(new: Obj, old: Obj | None, pool: ServicePool) -> Obj:
    """`new` with its IP families, ClusterIPs, node ports and healthCheckNodePort filled in, as a new object.

    `new` is defaulted and valid; `old` is the Service that it replaces, whose holdings it may keep.
    Raises Invalid if it asks for what can't be had, InternalError if a range is used up.
    """
    service = {**new, "spec": dict(new["spec"])}
    own = holdings(old)
    causes = _allocate_addresses(service["spec"], old, own, pool)
    causes += _allocate_ports(service["spec"], own, pool)
    if causes:
        raise Invalid.for_object(SERVICES, new, causes)
    return service


def needs_cluster_ip(spec: Obj) -> bool:
    """Whether a Service has an address of its own."""
    return spec.get("type") != "ExternalName" and spec.get("clusterIP") != "None"


def needs_node_ports(spec: Obj) -> bool:
    if spec.get("type") == "LoadBalancer":
        return spec.get("allocateLoadBalancerNodePorts") is not False
    return spec.get("type") == "NodePort"


def needs_health_check_port(spec: Obj) -> bool:
    return spec.get("type") == "LoadBalancer" and spec.get("externalTrafficPolicy") == "Local"


def _allocate_addresses(spec: Obj, old: Obj | None, own: Holdings, pool: ServicePool) -> list[Cause]:
    if spec.get("type") == "ExternalName":
        return []
    causes = _decide_families(spec, old, pool)
    if causes:
        return causes
    if spec.get("clusterIP") == "None":
        spec["clusterIPs"] = ["None"]
        return []
    requested = list(spec.get("clusterIPs") or ())[: len(spec["ipFamilies"])]
    chosen = [
        _requested_address(text, family, own, pool, requested, causes)
        for text, family in zip(requested, spec["ipFamilies"], strict=False)
    ]
    if causes:
        return causes
    missing = spec["ipFamilies"][len(chosen) :]
    chosen += [str(_free_address(pool.range_of(family), pool.addresses)) for family in missing]
    spec["clusterIPs"] = chosen
    spec["clusterIP"] = chosen[0]
    return []


def _decide_families(spec: Obj, old: Obj | None, pool: ServicePool) -> list[Cause]:
    """Fill in ipFamilyPolicy and ipFamilies (KEP-563)."""
    headless = spec.get("clusterIP") == "None"
    before = (old or {}).get("spec") or {}
    if before and not spec.get("ipFamilyPolicy"):
        spec.pop("ipFamilyPolicy", None)
        if before.get("ipFamilyPolicy") and before.get("type") != "ExternalName":
            spec["ipFamilyPolicy"] = before["ipFamilyPolicy"]
    families = list(spec.get("ipFamilies") or before.get("ipFamilies") or ())
    policy = spec.get("ipFamilyPolicy")
    addresses = [] if headless else [parse_ip(text) for text in spec.get("clusterIPs") or ()]
    if policy == "SingleStack" and len(families) > 1 and families == before.get("ipFamilies"):
        families = families[:1]  # the client asks for one stack, and left the rest as it was
        addresses = addresses[:1]
        spec["clusterIPs"] = (spec.get("clusterIPs") or [])[:1]
    for address in addresses[len(families) :]:
        if address is not None:
            families.append(_FAMILIES[address.version])
    if headless and not spec.get("selector"):
        # Whoever writes the slices decides; the cluster's own families don't matter.
        spec["ipFamilyPolicy"] = policy or "RequireDualStack"
        spec["ipFamilies"] = _with_second(families or [pool.families[0]], spec["ipFamilyPolicy"])
        return []
    causes = []
    if len(families) > 1 and (policy or "SingleStack") == "SingleStack":
        causes.append(
            Cause.invalid(
                "spec.ipFamilyPolicy",
                policy,
                "must be RequireDualStack or PreferDualStack when multiple 'ipFamilies' are specified",
            )
        )
    causes += [
        Cause.invalid(f"spec.ipFamilies[{index}]", family, "not configured on this cluster")
        for index, family in enumerate(families)
        if family not in pool.families
    ]
    if policy == "RequireDualStack" and len(pool.families) < 2:
        causes.append(
            Cause.invalid(
                "spec.ipFamilyPolicy", policy, "this cluster is not configured for dual-stack services"
            )
        )
    if causes:
        return causes
    families = families or [pool.families[0]]
    kept = before.get("ipFamilyPolicy") == policy and len(before.get("ipFamilies") or ()) == len(families)
    if len(pool.families) > 1 and not (kept and policy == "PreferDualStack"):
        families = _with_second(families, policy or "SingleStack")
    spec["ipFamilyPolicy"] = policy or "SingleStack"
    spec["ipFamilies"] = families
    return []


def _with_second(families: list[str], policy: str) -> list[str]:
    if policy == "SingleStack" or len(families) > 1:
        return families
    return [families[0], "IPv6" if families[0] == "IPv4" else "IPv4"]


def _requested_address(
    text: str, family: str, own: Holdings, pool: ServicePool, all_requested: list[str], causes: list[Cause]
) -> str:
    address = parse_ip(text)
    network = pool.range_of(family)
    why = ""
    if address is None or address not in network or not _usable(address, network):
        why = f"the provided IP ({text}) is not in the valid range. The range of valid IPs is {network}"
    elif address not in own.addresses and address in pool.addresses:
        why = "provided IP is already allocated"
    if why:
        causes.append(Cause.invalid("spec.clusterIPs", all_requested, f"failed to allocate IP {text}: {why}"))
    return text


def _usable(address: Address, network: Network) -> bool:
    """Not the network's own address, nor (IPv4) its broadcast address."""
    if address == network.network_address:
        return False
    return address.version == 6 or address != network.broadcast_address


def _free_address(network: Network, taken: Container[Address]) -> Address:
    last = network.num_addresses - (2 if network.version == 4 else 1)
    numbers = range(1, min(last, _MAX_ADDRESSES - 1) + 1)
    band = min(max(16, len(numbers) // 16), 256)
    number = _free(numbers, band, lambda offset: network[offset] in taken)
    if number is None:
        raise InternalError("failed to allocate a serviceIP: range is full")
    return network[number]


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
    band = min(max(16, len(ports) // 32), 128)
    number = _free(ports, band if len(ports) > 16 else 0, lambda number: number in taken)
    if number is None:
        raise InternalError("failed to allocate a nodePort: range is full")
    return number


def _free(numbers: range, band: int, is_taken: Callable[[int], bool]) -> int | None:
    """A random free number; of the lower `band`, which people choose from, only when the rest is used up."""
    for part in (numbers[band:], numbers[:band]):
        if not len(part):
            continue
        tries = (random.choice(part) for _ in range(_RANDOM_TRIES))
        start = random.randrange(len(part))
        candidates: Iterable[int] = chain(tries, part[start:], part[:start])
        for number in candidates:
            if not is_taken(number):
                return number
    return None
