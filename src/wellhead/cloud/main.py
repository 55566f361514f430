"""The cloud component: everything put together."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

from wellhead.client.connection import load
from wellhead.client.events import EventRecorder
from wellhead.client.leases import Elector, new_identity
from wellhead.client.rest import Client
from wellhead.cloud.announce.announcer import Announcer
from wellhead.cloud.balancers import MANAGER
from wellhead.cloud.controller import Controller
from wellhead.cloud.forwarder.plane import Forwarder
from wellhead.cloud.haproxy.plane import TerminatingProxy
from wellhead.cloud.metrics import Metrics
from wellhead.cloud.options import Config
from wellhead.cloud.report import Report, Standby, report
from wellhead.cloud.server import application
from wellhead.cloud.vips import VIPPool
from wellhead.health import Check, Health
from wellhead.health_server import serving


async def run(config: Config) -> None:
    """Run until cancelled. What the forwarder has put into the kernel stays and goes on forwarding, and so
    does HAProxy.

    Raises:
        KubeconfigError: there is no way to find the API server.
        OSError: the metrics address can't be listened on, or the network namespace can't be joined.
        Stuck: only a new process helps.
    """
    async with Client(load(config.kubeconfig), user_agent=MANAGER) as client:
        cloud = _Cloud(config, client)
        health = Health(cloud.checks)
        cloud.metrics.tell(health)
        app = application(health, cloud.report, cloud.metrics)
        async with serving(health, (config.metrics_host, config.metrics_port), app):
            if cloud.elector is None:
                await cloud.control()
            else:
                await cloud.elector.run(cloud.control)


class _Cloud:
    """One process: it controls, always or whenever it leads."""

    def __init__(self, config: Config, client: Client) -> None:
        self.metrics = Metrics()
        self.elector: Elector | None = None
        if config.lease is not None:
            self.elector = Elector(client, config.lease, new_identity())
        self._config = config
        self._client = client
        self._controller: Controller | None = None
        self._announcer: Announcer | None = None

    async def control(self) -> None:
        """Control until cancelled."""
        config, metrics = self._config, self.metrics
        announcer = None
        if config.announce:
            may = self.elector.leads if self.elector is not None else lambda: True
            announcer = Announcer(config.announce, config.forwarder_netns, may)
        forwarder = Forwarder(
            () if config.bgp else config.networks,  # without pools there is nothing to forward
            config.forwarder_netns,
            metrics.observe_change,
            announced=config.announce,
            on_vips=announcer.announce if announcer is not None else None,
        )
        proxy = None
        if config.proxy is not None:
            proxy = TerminatingProxy(config.proxy, metrics.observe_proxy_change)
        controller = Controller(
            self._client,
            EventRecorder(self._client, "service-controller"),
            VIPPool(config.pools),
            forwarder,
            config.health,
            metrics.count_check,
            proxy=proxy,
            no_proxy=config.no_proxy,
        )
        self._controller, self._announcer = controller, announcer
        metrics.follow(controller)
        try:
            async with asyncio.TaskGroup() as group:
                if announcer is not None:
                    group.create_task(announcer.run())
                group.create_task(controller.run())
        finally:
            self._controller = self._announcer = None
            metrics.follow(None)

    def checks(self) -> Iterator[Check]:
        """That it can agree with the others who controls and, while that is this process, that it does."""
        if self.elector is not None:
            yield from self.elector.checks()
        if self._controller is not None:
            yield from self._controller.checks()
        if self._announcer is not None:
            yield self._announcer.check()

    def report(self) -> Report | Standby:
        """How things are now, or who else knows."""
        if self._controller is not None:
            return report(self._controller, self._announcer.vips if self._announcer is not None else ())
        assert self.elector is not None
        return Standby(self.elector.holder, self.elector.identity)


async def clean_up(config: Config) -> None:
    """Remove every trace of the forwarder and the proxy. Breaks the connections that they carry."""
    await Forwarder(config.networks, config.forwarder_netns).remove()
    if config.proxy is not None:
        await TerminatingProxy(config.proxy).remove()
