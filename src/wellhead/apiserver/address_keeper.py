"""Keeps to one IPAddress for each ClusterIP, whoever deletes what: all at the start, then what is in doubt.

Upstream: pkg/registry/core/service/ipallocator/controller/repairip.go.
"""

from __future__ import annotations

import asyncio
import logging
from ipaddress import ip_address

from wellhead.api.formats import parse_ip
from wellhead.api.kinds.ipaddress import MANAGED_BY, MANAGED_BY_LABEL, service_of
from wellhead.api.meta import labels
from wellhead.api.ranges import Address
from wellhead.api.resources import IPADDRESSES
from wellhead.apiserver.registry.ip_addresses import creation, key_of
from wellhead.apiserver.registry.services import ServiceAllocator
from wellhead.storage.cache import WatchCache
from wellhead.storage.encoding import decode
from wellhead.storage.store import RevisionConflict, StoreFailed, Write

_log = logging.getLogger(__name__)

_AT_ONCE = 32
_RETRY_SECONDS = 0.05
_STORE_RETRY_SECONDS = 5.0


class AddressKeeper:
    """Follows an allocator that has started."""

    def __init__(self, cache: WatchCache, allocator: ServiceAllocator) -> None:
        self._cache = cache
        self._allocator = allocator
        self._addresses = cache[IPADDRESSES.storage_prefix]
        self._doubtful: set[Address] = set()
        self._wake = asyncio.Event()
        allocator.on_given_up(self._doubt)

    async def repair(self) -> None:
        """Look at every ClusterIP and every IPAddress. Raises StoreFailed."""
        named = (parse_ip(item.name) for item in self._addresses.items())
        every = self._allocator.owned() | {address for address in named if address is not None}
        writes = [write for address in every for write in self._corrections(address)]
        if writes:
            _log.warning("repairing IPAddresses: %d writes", len(writes))
        for start in range(0, len(writes), _AT_ONCE):
            some = writes[start : start + _AT_ONCE]
            try:
                await self._cache.transact(some)
            except RevisionConflict:  # another server is at it, too
                for write in some:
                    self._doubt(ip_address(write.key.name))

    async def run(self) -> None:
        """Look again at whatever a Service or an IPAddress has given up, until cancelled."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            doubtful, self._doubtful = self._doubtful, set()
            for address in doubtful:
                writes = self._corrections(address)
                if not writes:
                    continue
                _log.warning("ClusterIP %s and its IPAddress don't agree; repairing", address)
                try:
                    await self._cache.transact(writes)
                except RevisionConflict:
                    self._doubt(address)
                    await asyncio.sleep(_RETRY_SECONDS)
                except StoreFailed as error:
                    _log.error("IPAddress %s can't be repaired yet: %s", address, error)
                    self._doubt(address)
                    await asyncio.sleep(_STORE_RETRY_SECONDS)

    def _doubt(self, address: Address) -> None:
        self._doubtful.add(address)
        self._wake.set()

    def _corrections(self, address: Address) -> list[Write]:
        """What makes the address's IPAddress right: nothing, usually. Users' own stay as they are."""
        owner = self._allocator.owner(address)
        item = self._addresses.get("", str(address))
        if item is None:
            return [] if owner is None else [creation(address, owner)]
        found = decode(item.data)
        managed = labels(found).get(MANAGED_BY_LABEL) == MANAGED_BY
        deletion = Write(key_of(address), None, item.revision)
        if owner is None:
            return [deletion] if managed else []
        if managed and service_of(found) == owner:
            return []
        return [deletion]  # which gives it up, and so brings it into doubt again
