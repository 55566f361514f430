"""Informers that keep the zone as the API server has it."""

from __future__ import annotations

import asyncio

from wellhead.api.meta import Obj
from wellhead.api.well_known import ENDPOINTSLICES, NAMESPACES, SERVICES
from wellhead.client.informer import TypedInformer, tolerant, watches
from wellhead.client.rest import Client
from wellhead.dns.objects import read_service, read_slice
from wellhead.dns.zone import Zone
from wellhead.health import Check


class Watches:
    """Watches namespaces, Services and EndpointSlices, and nothing else."""

    def __init__(self, client: Client, zone: Zone) -> None:
        namespaces = TypedInformer(client, NAMESPACES, _name)
        namespaces.on_change(zone.namespace_changed)
        services = TypedInformer(client, SERVICES, tolerant(read_service))
        services.on_change(zone.service_changed)
        slices = TypedInformer(client, ENDPOINTSLICES, tolerant(read_slice))
        slices.on_change(zone.slice_changed)
        self._informers = (namespaces, services, slices)

    def checks(self) -> list[Check]:
        """That it hears of what changes."""
        return [watches(*self._informers)]

    async def run(self) -> None:
        """Until cancelled."""
        async with asyncio.TaskGroup() as group:
            for each in self._informers:
                group.create_task(each.run())

    async def synced(self) -> None:
        """Wait until the zone holds everything."""
        for each in self._informers:
            await each.synced()


def _name(namespace: Obj) -> str:
    name: str = namespace["metadata"]["name"]
    return name
