"""The cloud component: everything put together."""

from __future__ import annotations

from dataclasses import dataclass, field

from wellhead.client.connection import load
from wellhead.client.events import EventRecorder
from wellhead.client.rest import Client
from wellhead.cloud.controller import Controller
from wellhead.cloud.forwarder.plane import Forwarder
from wellhead.cloud.health import Settings
from wellhead.cloud.metrics import Metrics
from wellhead.cloud.proxy import plane
from wellhead.cloud.proxy.plane import TerminatingProxy
from wellhead.cloud.server import serving
from wellhead.cloud.vips import IPNetwork, VIPPool


@dataclass(frozen=True)
class Config:
    """How to run the component."""

    vip_pools: tuple[IPNetwork, ...]
    """Where VIPs come from; clients' packets to them must reach the forwarder. At least one."""
    kubeconfig: str | None = None
    """Path; None: $KUBECONFIG, or a pod's service account."""
    forwarder_netns: str | None = None
    """Path of the network namespace of the router that forwards; None: this process's own."""
    proxy: plane.Settings | None = None
    """The terminating proxy; None: Services of its class are refused."""
    no_proxy: str = "there is no proxy here"
    """Why there is none, for the Services that want it."""
    health: Settings = field(default_factory=Settings)
    metrics_host: str = "127.0.0.1"
    metrics_port: int = 10258
    """0: any free port."""


async def run(config: Config) -> None:
    """Run until cancelled. What the forwarder has put into the kernel stays and goes on forwarding, and so
    does HAProxy.

    Raises:
        KubeconfigError: there is no way to find the API server.
        OSError: the metrics address can't be listened on, or the network namespace can't be joined.
    """
    metrics = Metrics()
    forwarder = Forwarder(config.vip_pools, config.forwarder_netns, metrics.observe_change)
    proxy = TerminatingProxy(config.proxy, metrics.observe_proxy_change) if config.proxy is not None else None
    async with Client(load(config.kubeconfig), user_agent="wellhead-cloud") as client:
        controller = Controller(
            client,
            EventRecorder(client, "service-controller"),
            VIPPool(config.vip_pools),
            forwarder,
            config.health,
            metrics.count_check,
            proxy=proxy,
            no_proxy=config.no_proxy,
        )
        metrics.follow(controller)
        async with serving(config.metrics_host, config.metrics_port, controller, metrics):
            await controller.run()


async def clean_up(config: Config) -> None:
    """Remove every trace of the forwarder and the proxy. Breaks the connections that they carry."""
    await Forwarder(config.vip_pools, config.forwarder_netns).remove()
    if config.proxy is not None:
        await TerminatingProxy(config.proxy).remove()
