"""Where ClusterIPs come from: the ServiceCIDR objects."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from ipaddress import ip_network

from wellhead.api.errors import ApiError, Forbidden, NotFound
from wellhead.api.meta import Obj
from wellhead.api.well_known import SERVICECIDRS
from wellhead.backoff import Backoff
from wellhead.client.informer import Informer
from wellhead.client.rest import Client, ConnectionLost
from wellhead.ip import IPNetwork
from wellhead.proxy.backends.base import BackendError

log = logging.getLogger(__name__)

_ASK_AGAIN_SECONDS = 600.0


class ServiceRanges:
    """Passes on what networks the ServiceCIDRs name, whenever that changes.

    Servers before Kubernetes 1.33 have no ServiceCIDRs, and a role may leave them out: then nobody knows the
    ranges, and nothing is passed on.
    """

    def __init__(self, client: Client, use: Callable[[tuple[IPNetwork, ...]], Awaitable[None]]) -> None:
        self._client = client
        self._use = use
        self._changed = asyncio.Event()
        self._informer = Informer(client, SERVICECIDRS)
        self._informer.on_change(lambda old, new: self._changed.set())

    async def run(self) -> None:
        """Follow the objects until cancelled."""
        await self._served()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._informer.run())
            await self._informer.synced()
            tasks.create_task(self._pass_on())

    async def _served(self) -> None:
        """Wait until the server has such objects for us."""
        backoff = Backoff(0.5, 30.0)
        while True:
            try:
                await self._client.list(SERVICECIDRS)
            except (NotFound, Forbidden) as error:
                log.info("stray addresses of the Service ranges won't be dropped: %s", error)
                await asyncio.sleep(_ASK_AGAIN_SECONDS)
            except (ApiError, ConnectionLost) as error:
                log.debug("ServiceCIDRs: %s", error)
                await asyncio.sleep(backoff.next())
            else:
                return

    async def _pass_on(self) -> None:
        backoff = Backoff(0.5, 30.0)
        used: tuple[IPNetwork, ...] = ()
        while True:
            self._changed.clear()
            ranges = ranges_of(self._informer.values())
            if ranges != used:
                try:
                    await self._use(ranges)
                except BackendError as error:
                    log.error("the Service ranges can't be put in force: %s", error)
                    await asyncio.sleep(backoff.next())
                    continue
                backoff.reset()
                used = ranges
            await self._changed.wait()


def ranges_of(objects: list[Obj]) -> tuple[IPNetwork, ...]:
    """All networks of some ServiceCIDRs, in order. One that is being deleted counts until it is gone."""
    found: set[IPNetwork] = set()
    for each in objects:
        for cidr in each.get("spec", {}).get("cidrs") or ():
            try:
                found.add(ip_network(cidr))
            except ValueError:
                log.error("ServiceCIDR %s: %r is not a network", each["metadata"]["name"], cidr)
    return tuple(sorted(found, key=lambda each: (each.version, each.network_address, each.prefixlen)))
