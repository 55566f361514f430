"""The pools that VIPs come from, and which Services each is for. Pure.

A file of pools has the form of MetalLB's IPAddressPool objects, which many clusters have lying around:
`spec.addresses` (networks and ranges), `autoAssign`, `avoidBuggyIPs`, and of `serviceAllocation` priority,
namespaces and serviceSelectors. Ours is `spec.loadBalancerClasses`.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from ipaddress import ip_address, ip_network, summarize_address_range
from typing import Any

import msgspec
import yaml

from wellhead.api.documents import check_extent
from wellhead.api.errors import BadRequest
from wellhead.api.formats import dns_label
from wellhead.api.names import FORWARDER_CLASS, PROXY_CLASS
from wellhead.api.selectors import LabelSelector
from wellhead.ip import IPAddress, IPNetwork

KIND = "IPAddressPool"


_UNREACHABLE: tuple[tuple[IPNetwork, str], ...] = tuple(
    (ip_network(network), what)
    for network, what in (
        ("0.0.0.0/8", "no machine's"),
        ("127.0.0.0/8", "loopback"),
        ("169.254.0.0/16", "link-local"),
        ("224.0.0.0/4", "multicast"),
        ("255.255.255.255/32", "broadcast"),
        ("::/127", "no machine's"),
        ("fe80::/10", "link-local"),
        ("ff00::/8", "multicast"),
    )
)


class PoolError(ValueError):
    """A pool that can't be. The message says which, and why."""


@dataclass(frozen=True)
class Range:
    """Consecutive addresses of one family, from `first` to `last`."""

    first: IPAddress
    last: IPAddress

    @property
    def version(self) -> int:
        return self.first.version

    @property
    def size(self) -> int:
        return int(self.last) - int(self.first) + 1

    def __contains__(self, address: IPAddress) -> bool:
        return address.version == self.version and int(self.first) <= int(address) <= int(self.last)

    def __getitem__(self, index: int) -> IPAddress:
        return self.first + index

    def __str__(self) -> str:
        networks = self.networks
        return str(networks[0]) if len(networks) == 1 else f"{self.first}-{self.last}"

    @property
    def networks(self) -> list[IPNetwork]:
        """The same in networks."""
        return list(summarize_address_range(self.first, self.last))


@dataclass(frozen=True)
class Asker:
    """A Service, as far as it decides which pools are for it. `pool` is the one that it names."""

    namespace: str
    labels: Mapping[str, str]
    load_balancer_class: str = FORWARDER_CLASS
    pool: str = ""


@dataclass(frozen=True)
class Pool:
    """Addresses, and whom they are for.

    Without `auto_assign` who wants one must name the pool or the address. Pools that say whom they are for
    are asked first, by their priority (1 before 2, before none).
    """

    name: str
    ranges: tuple[Range, ...]
    auto_assign: bool = True
    avoid_buggy: bool = False
    """Never give an IPv4 address that ends in .0 or .255: old routers drop packets to these."""
    priority: int = 0
    namespaces: tuple[str, ...] = ()
    selectors: tuple[LabelSelector, ...] = ()
    classes: tuple[str, ...] = ()
    network: IPNetwork | None = None
    """What it was given as, if that was a network, of which it has all but what no host can have."""

    @property
    def networks(self) -> list[IPNetwork]:
        """Few networks that have all its addresses, and nobody else's."""
        if self.network is not None:
            return [self.network]
        return [each for found in self.ranges for each in found.networks]

    def admits(self, asker: Asker) -> bool:
        """Whether it is for this Service."""
        return (
            asker.pool in ("", self.name)
            and (not self.namespaces or asker.namespace in self.namespaces)
            and (not self.selectors or any(each.matches(asker.labels) for each in self.selectors))
            and (not self.classes or asker.load_balancer_class in self.classes)
        )

    def gives_to(self, asker: Asker) -> bool:
        """Whether a Service that names no address gets one from here."""
        return self.admits(asker) and (self.auto_assign or asker.pool == self.name)

    def holds(self, address: IPAddress) -> bool:
        """Whether this is an address to be given."""
        return any(address in each for each in self.ranges) and not (self.avoid_buggy and is_buggy(address))

    def size(self, version: int) -> int:
        """How many addresses of an IP version there are to be given."""
        found = [each for each in self.ranges if each.version == version]
        avoided = sum(map(_buggy_in, found)) if self.avoid_buggy and version == 4 else 0
        return sum(each.size for each in found) - avoided

    @property
    def order(self) -> tuple[bool, float]:
        """Sorts pools: those that are for somebody first."""
        for_somebody = bool(self.namespaces or self.selectors or self.classes or self.priority)
        return not for_somebody, self.priority or float("inf")

    def __str__(self) -> str:
        return self.name if self.network else f"{self.name}: {', '.join(map(str, self.ranges))}"


def is_buggy(address: IPAddress) -> bool:
    """Whether it ends in .0 or .255."""
    return address.version == 4 and int(address) & 0xFF in (0, 0xFF)


def _buggy_in(found: Range) -> int:
    def below(number: int) -> int:
        return (number + 0xFF) // 0x100 + number // 0x100

    return below(int(found.last) + 1) - below(int(found.first))


def of_network(network: IPNetwork) -> Pool:
    """A network as a pool of its own name, without the addresses that no host can have.

    A /31 has none of those (RFC 3021). The highest address of an IPv6 network is an ordinary one; the lowest
    is the routers' anycast address.

    Raises:
        PoolError: no machine can have such addresses.
    """
    try:
        check_reachable(Range(network.network_address, network.broadcast_address))
    except ValueError as error:
        raise PoolError(str(error)) from None
    first, last = network.network_address, network.broadcast_address
    if network.num_addresses > 2:
        first, last = first + 1, last - 1 if network.version == 4 else last
    return Pool(str(network), (Range(first, last),), network=network)


# ---- a file of them


class _Allocation(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    priority: int = 0
    namespaces: list[str] = []
    namespace_selectors: list[dict[str, Any]] = []
    service_selectors: list[dict[str, Any]] = []


class _Spec(msgspec.Struct, forbid_unknown_fields=True):
    addresses: list[str]
    auto_assign: bool = msgspec.field(default=True, name="autoAssign")
    avoid_buggy: bool = msgspec.field(default=False, name="avoidBuggyIPs")
    allocation: _Allocation = msgspec.field(default_factory=_Allocation, name="serviceAllocation")
    classes: list[str] = msgspec.field(default_factory=list, name="loadBalancerClasses")


class _Metadata(msgspec.Struct):
    name: str


class _Object(msgspec.Struct):
    metadata: _Metadata
    spec: _Spec


def read_pools(text: str) -> tuple[Pool, ...]:
    """The pools of a file of YAML documents. Objects of other kinds are none of ours, and refused.

    Raises:
        PoolError: something in it can't be.
    """
    try:
        check_extent(text)
        documents = [each for each in yaml.safe_load_all(text) if each is not None]
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise PoolError(f"no YAML: {' '.join(str(error).split())}") from None
    found: dict[str, Pool] = {}
    for number, each in enumerate(documents, 1):
        if isinstance(each, dict) and each.get("kind") != KIND:
            raise PoolError(f"document {number}: kind {each.get('kind')}: only {KIND} is known here")
        try:
            obj = msgspec.convert(each, _Object)
        except msgspec.ValidationError as error:
            raise PoolError(f"document {number}: {error}") from None
        name = obj.metadata.name
        if not name:
            raise PoolError(f"document {number}: metadata.name is empty")
        if name in found:
            raise PoolError(f"pool {name} is there twice")
        try:
            found[name] = _pool(name, obj.spec)
        except (ValueError, BadRequest) as error:
            raise PoolError(f"pool {name}: {error}") from None
    if not found:
        raise PoolError(f"there is no {KIND} in it")
    _check_overlaps(found.values())
    return tuple(found.values())


def _pool(name: str, spec: _Spec) -> Pool:
    allocation = spec.allocation
    if allocation.namespace_selectors:
        raise ValueError("namespaceSelectors can't be had here: name the namespaces")
    if not spec.addresses:
        raise ValueError("it has no addresses")
    if allocation.priority < 0:
        raise ValueError(f"priority {allocation.priority}: 1 is the first, 0 is none")
    for namespace in allocation.namespaces:
        for problem in dns_label(namespace):
            raise ValueError(f"namespaces: {namespace!r} {problem}")
    for each in spec.classes:
        if each not in (FORWARDER_CLASS, PROXY_CLASS):
            raise ValueError(f"loadBalancerClasses: {each} is no class of ours")
    selectors = [LabelSelector.from_object(each) for each in allocation.service_selectors]
    return Pool(
        name,
        tuple(_range(each) for each in spec.addresses),
        spec.auto_assign,
        spec.avoid_buggy,
        allocation.priority,
        tuple(allocation.namespaces),
        tuple(selectors),
        tuple(spec.classes),
    )


def _range(text: str) -> Range:
    first, dash, last = (each.strip() for each in text.partition("-"))
    if not dash:
        network = ip_network(first)
        found = Range(network.network_address, network.broadcast_address)
    else:
        found = Range(ip_address(first), ip_address(last))
    if found.first.version != found.last.version or int(found.first) > int(found.last):
        raise ValueError(f"{text} is no range: it goes from a lower address to a higher one of its family")
    check_reachable(found)
    return found


def check_reachable(found: Range) -> None:
    """Raises ValueError if nobody could send packets to some of these from another machine."""
    for each, what in _UNREACHABLE:
        overlaps = int(found.first) <= int(each[-1]) and int(each[0]) <= int(found.last)
        if each.version == found.version and overlaps:
            raise ValueError(f"{found} has {what} addresses ({each})")


def _check_overlaps(pools: Iterable[Pool]) -> None:
    """An address in two pools would be given by the rules of either."""
    ranges = [(found, pool.name) for pool in pools for found in pool.ranges]
    ranges.sort(key=lambda each: (each[0].version, int(each[0].first)))
    for (before, name), (after, other) in itertools.pairwise(ranges):
        if after.first in before:
            raise PoolError(f"pools {name} and {other}: {after.first} is in both ranges")
