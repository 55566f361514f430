"""The proxy's first moments: it asks for what it follows, and loads the rest of itself while that comes.

The first is the API server's work, the second Python's, and each takes about as long.
"""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import Iterator
from typing import Any

from wellhead.api.well_known import ENDPOINTSLICES, NODES, SERVICES
from wellhead.client.collector import lasting
from wellhead.client.connection import load
from wellhead.client.informer import Informer, TypedInformer
from wellhead.client.rest import Client
from wellhead.proxy.api_client import MeasuredClient
from wellhead.proxy.config import Config
from wellhead.proxy.metrics import Metrics
from wellhead.proxy.watches import SERVICE_SELECTOR, SLICE_SELECTOR, read_service, read_slice
from wellhead.services.endpointslice import EndpointSliceForm
from wellhead.services.service import ServiceForm


class Followed:
    """What a proxy follows of the cluster."""

    def __init__(self, client: Client, node_name: str) -> None:
        self.services = TypedInformer(
            client,
            SERVICES,
            read_service,
            form=ServiceForm,
            label_selector=SERVICE_SELECTOR,
            lasting=True,
        )
        self.slices = TypedInformer(
            client,
            ENDPOINTSLICES,
            read_slice,
            form=EndpointSliceForm,
            label_selector=SLICE_SELECTOR,
            lasting=True,
        )
        self.nodes = Informer(client, NODES, field_selector=f"metadata.name={node_name}")

    def __iter__(self) -> Iterator[TypedInformer[Any]]:
        return iter((self.services, self.slices, self.nodes))


async def run(config: Config) -> None:
    """Serve until cancelled. The rules stay in force afterwards: a proxy's restart interrupts nothing.

    Raises:
        wellhead.client.connection.KubeconfigError: there is no way to find the API server.
        ExceptionGroup: of what `wellhead.proxy.main.follow` raises.
    """
    connection = load(config.kubeconfig, config.master)
    metrics = Metrics(config.mode)
    async with (
        MeasuredClient(connection, user_agent="wellhead-proxy", metrics=metrics) as client,
        asyncio.TaskGroup() as tasks,
    ):
        followed = Followed(client, config.node_name)
        for each in followed:
            tasks.create_task(each.run())
        with lasting():
            main = await asyncio.to_thread(importlib.import_module, "wellhead.proxy.main")
        tasks.create_task(main.follow(config, client, metrics, followed))
