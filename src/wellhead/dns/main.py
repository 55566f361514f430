"""The DNS component: everything put together."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import time
from dataclasses import dataclass

from wellhead import health_server
from wellhead.client.connection import load
from wellhead.client.rest import Client
from wellhead.dns.forwarding import Address, Forwarder
from wellhead.dns.http import serving
from wellhead.dns.metrics import Metrics
from wellhead.dns.responder import Responder
from wellhead.dns.server import Server
from wellhead.dns.service import ServiceKeeper
from wellhead.dns.watches import Watches
from wellhead.health import Health
from wellhead.ip import IPAddress
from wellhead.linux.sockets import bind_udp_and_tcp

_log = logging.getLogger(__name__)
_PATIENCE = 5.0  # seconds for which queries wait for the API server, before they get SERVFAIL


@dataclass(frozen=True)
class Config:
    """How to run the server.

    `kubeconfig` is a path (None: as kubectl finds it). `listen_fds` are sockets to serve instead of making
    them on `addresses` and `port`. With `cluster_ips` the Service `kube-dns` is kept on them; `number` tells
    servers that share it apart. `upstreams` are asked for names that aren't the cluster's. `health` is where
    health is told; None: nowhere.
    """

    kubeconfig: str | None
    domain: str
    addresses: tuple[IPAddress, ...]
    port: int
    listen_fds: tuple[int, ...] = ()
    cluster_ips: tuple[IPAddress, ...] = ()
    upstreams: tuple[Address, ...] = ()
    metrics_host: str = "127.0.0.1"
    metrics_port: int = 9153
    health: health_server.Address | None = None
    number: int = 1


async def run(config: Config) -> None:
    """Run until cancelled.

    Raises:
        KubeconfigError: there is no way to find the API server.
        OSError: an address can't be listened on.
        Stuck: only a new process helps.
    """
    with contextlib.ExitStack() as stack:
        if config.listen_fds:
            sockets = [socket.socket(fileno=each) for each in config.listen_fds]
        else:
            sockets = bind_udp_and_tcp(config.addresses, config.port)
        for each in sockets:
            stack.enter_context(each)
        await _serve(config, sockets)


async def _serve(config: Config, sockets: list[socket.socket]) -> None:
    metrics = Metrics(f"dns://:{config.port}")
    own = tuple(map(str, config.cluster_ips or config.addresses))
    responder = Responder(config.domain, own, int(time.time()), forwards=bool(config.upstreams))
    forwarder = Forwarder(config.upstreams, metrics) if config.upstreams else None
    async with (
        Client(load(config.kubeconfig), user_agent="wellhead-dns") as client,
        serving(config.metrics_host, config.metrics_port, responder, metrics),
    ):
        watches = Watches(client, responder.zone)
        keeper = None
        if config.cluster_ips:
            keeper = ServiceKeeper(client, config.cluster_ips, config.addresses, config.port, config.number)
        checks = [*watches.checks(), *(keeper.checks() if keeper is not None else ())]
        async with health_server.serving(Health(lambda: checks), config.health):
            await _answer(Server(sockets, responder, forwarder, metrics), responder, watches, keeper)


async def _answer(
    server: Server, responder: Responder, watches: Watches, keeper: ServiceKeeper | None
) -> None:
    async with asyncio.TaskGroup() as group:
        group.create_task(watches.run())
        if keeper is not None:
            group.create_task(keeper.run())
        ready = group.create_task(_become_ready(watches, responder))
        # Until then queries wait in the sockets: better than an answer that is wrong.
        await asyncio.wait([ready], timeout=_PATIENCE)
        await server.run()


async def _become_ready(watches: Watches, responder: Responder) -> None:
    await watches.synced()
    responder.is_ready = True
    _log.info("ready")
