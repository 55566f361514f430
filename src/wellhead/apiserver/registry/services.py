"""What Services hold: ClusterIPs and node ports, given out once each.

The pool is what the watch cache's Services hold, plus what the writes under way will hold. It follows
the cache's events, so a failed, overtaken or dry write leaks nothing, and a restart finds the same pool.
"""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Iterator

from wellhead.api.allocation import Holdings, ServicePool, allocate, holdings
from wellhead.api.meta import Obj
from wellhead.api.ranges import Address, AddressRanges, Network, family_of
from wellhead.api.resources import SERVICES
from wellhead.storage.cache import WatchCache
from wellhead.storage.encoding import decode
from wellhead.storage.watcher import Event


class ServiceAllocator:
    """Fills in what a Service needs, and keeps it from others while it is being written."""

    def __init__(self, cache: WatchCache, ranges: tuple[Network, ...], node_ports: range) -> None:
        self._cache = cache
        self._pool = ServicePool(AddressRanges(ranges), node_ports)
        self.families = tuple(map(family_of, ranges))
        """The IP families of the cluster's Services, the default one first."""
        # How often each is held: by a Service as stored, by the write that will replace it.
        self._addresses: Counter[Address] = Counter()
        self._ports: Counter[int] = Counter()

    def start(self) -> None:
        """Take in all Services, and follow their changes from here on."""
        services = self._cache[SERVICES.storage_prefix]
        for item in services.items():
            self._hold(holdings(decode(item.data)))
        services.observe(self._follow)

    @contextlib.contextmanager
    def reserve(self, new: Obj, old: Obj | None) -> Iterator[Obj]:
        """`new` with everything allocated, and held until the context ends; by then it is stored, or isn't.

        Raises Invalid if it asks for what can't be had, InternalError if a range is used up.
        """
        allocated = allocate(new, old, self._pool)
        held = holdings(allocated)
        self._hold(held)
        try:
            yield allocated
        finally:
            self._release(held)

    def _follow(self, event: Event) -> None:
        if event.type != "DELETED":
            self._hold(holdings(decode(event.item.data)))
        if event.previous is not None:
            self._release(holdings(decode(event.previous.data)))

    def _hold(self, held: Holdings) -> None:
        self._addresses.update(held.addresses)
        self._ports.update(held.ports)
        self._pool.add(held)

    def _release(self, held: Holdings) -> None:
        self._addresses.subtract(held.addresses)
        self._ports.subtract(held.ports)
        free = Holdings(
            frozenset(address for address in held.addresses if self._addresses[address] <= 0),
            frozenset(port for port in held.ports if self._ports[port] <= 0),
        )
        for address in free.addresses:
            del self._addresses[address]
        for port in free.ports:
            del self._ports[port]
        self._pool.remove(free)
