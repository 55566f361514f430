"""What Services hold: ClusterIPs and node ports, given out once each.

The pool is what the watch cache's Services and IPAddresses hold, plus what the writes under way will hold;
its ranges are those of the ServiceCIDRs. It follows the cache's events, so a failed, overtaken or dry write
leaks nothing, and a restart finds the same pool.
"""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Callable, Iterator
from ipaddress import ip_network
from typing import TypeVar

from wellhead.api.formats import parse_ip
from wellhead.api.kinds.service.allocation import Holdings, ServicePool, allocate, holdings
from wellhead.api.kinds.servicecidr import cidrs_of, is_ready
from wellhead.api.meta import Key, Obj
from wellhead.api.ranges import Address, AddressRanges
from wellhead.api.resources import IPADDRESSES, SERVICECIDRS, SERVICES
from wellhead.storage.cache import WatchCache
from wellhead.storage.encoding import decode
from wellhead.storage.event_log import Event, Item

T = TypeVar("T")


class ServiceAllocator:
    """Fills in what a Service needs, and keeps it from others while it is being written."""

    def __init__(self, cache: WatchCache, families: tuple[str, ...], node_ports: range) -> None:
        self.families = families
        """The IP families of the cluster's Services, the default one first."""
        self._services = cache[SERVICES.storage_prefix]
        self._addresses = cache[IPADDRESSES.storage_prefix]
        self._cidrs = cache[SERVICECIDRS.storage_prefix]
        self._pool = ServicePool(AddressRanges(()), node_ports)
        # How often each is held: by a Service as stored, by the write that will replace it, by an IPAddress.
        self._held_addresses: Counter[Address] = Counter()
        self._held_ports: Counter[int] = Counter()
        self._owners: dict[Address, Key] = {}
        self._handlers: list[Callable[[Address], None]] = []

    def start(self) -> None:
        """Take in what is stored, and follow its changes from here on."""
        for item in self._services.items():
            self._take_service(item)
        for item in self._addresses.items():
            self._hold(_named_by(item))
        self._read_ranges()
        self._services.observe(self._follow_service)
        self._addresses.observe(self._follow_address)
        self._cidrs.observe(lambda event: self._read_ranges())

    def owner(self, address: Address) -> Key | None:
        """The stored Service that has the address as a ClusterIP."""
        return self._owners.get(address)

    def owned(self) -> set[Address]:
        """All ClusterIPs of stored Services."""
        return set(self._owners)

    def on_given_up(self, handler: Callable[[Address], None]) -> None:
        """Call `handler` with every address that a stored Service or an IPAddress gives up from now on."""
        self._handlers.append(handler)

    @contextlib.contextmanager
    def reserve(self, new: Obj, old: Obj | None) -> Iterator[Obj]:
        """`new` with everything allocated, and kept until the context ends; by then it is stored, or isn't.

        Raises Invalid if it asks for what can't be had, InternalError if a range is used up.
        """
        allocated = allocate(new, old, self._pool)
        held = holdings(allocated)
        self._hold(held)
        try:
            yield allocated
        finally:
            self._release(held)

    def _follow_service(self, event: Event) -> None:
        after = Holdings() if event.type == "DELETED" else self._take_service(event.item)
        if event.previous is not None:
            before = holdings(decode(event.previous.data))
            self._release(before)
            for address in before.addresses - after.addresses:
                if self._owners.get(address) == (event.item.namespace, event.item.name):
                    del self._owners[address]
                self._tell(address)

    def _take_service(self, item: Item) -> Holdings:
        held = holdings(decode(item.data))
        for address in held.addresses:
            self._owners.setdefault(address, (item.namespace, item.name))
        self._hold(held)
        return held

    def _follow_address(self, event: Event) -> None:
        named = _named_by(event.item)
        if event.type == "ADDED":
            self._hold(named)
        elif event.type == "DELETED":
            self._release(named)
            for address in named.addresses:
                self._tell(address)

    def _tell(self, address: Address) -> None:
        for handler in self._handlers:
            handler(address)

    def _read_ranges(self) -> None:
        found = [servicecidr for item in self._cidrs.items() if is_ready(servicecidr := decode(item.data))]
        networks = {cidr: None for servicecidr in found for cidr in cidrs_of(servicecidr)}
        self._pool.ranges = AddressRanges(tuple(map(ip_network, networks)))

    def _hold(self, held: Holdings) -> None:
        for address in held.addresses:
            self._held_addresses[address] += 1
        for port in held.ports:
            self._held_ports[port] += 1
        self._pool.add(held)

    def _release(self, held: Holdings) -> None:
        free = Holdings(
            frozenset(address for address in held.addresses if _one_less(self._held_addresses, address)),
            frozenset(port for port in held.ports if _one_less(self._held_ports, port)),
        )
        self._pool.remove(free)


def _one_less(counts: Counter[T], value: T) -> bool:
    """Count it down; whether there is none left."""
    counts[value] -= 1
    if counts[value]:
        return False
    del counts[value]
    return True


def _named_by(ip_address: Item) -> Holdings:
    """An IPAddress keeps the address that it is named after, whatever it belongs to."""
    address = parse_ip(ip_address.name)
    return Holdings(frozenset() if address is None else frozenset({address}))
