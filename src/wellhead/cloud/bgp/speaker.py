"""One node's speaker: what it knows of Services, its own health, and what it has BIRD say."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec
from aiohttp import web
from aiohttp.typedefs import Handler
from prometheus_client import CollectorRegistry, Gauge

from wellhead import health_server, ports
from wellhead.api.meta import Obj
from wellhead.api.well_known import ENDPOINTSLICES, NODES, SERVICES
from wellhead.client.connection import load
from wellhead.client.events import EventRecorder
from wellhead.client.informer import Informer, TypedInformer, tolerant, watches
from wellhead.client.rest import Client
from wellhead.cloud.bgp.advertised import Advertised, ReadService, read_service
from wellhead.cloud.bgp.bird import Bird
from wellhead.cloud.bgp.config import Peer, Session, config
from wellhead.cloud.health import Check as HealthCheck
from wellhead.cloud.health import HealthMonitor, Settings, State
from wellhead.cloud.nodes import is_excluded
from wellhead.cloud.plane import Follower, PlaneError
from wellhead.health import Check, Health
from wellhead.ip import IPAddress
from wellhead.services.endpointslice import EndpointSlice, parse_endpoint_slice

log = logging.getLogger(__name__)

_SETTLE_SECONDS = 1.5
_parse_slice = tolerant(parse_endpoint_slice)


@dataclass(frozen=True)
class Config:
    """How to run. `kubeconfig` is a path (None: as kubectl finds it); `bird` the program; `directory` where
    its configuration and socket are; `proxy` where this node's service proxy tells its health, on
    ports.PROXY_HEALTH; `health` is where our own is told (None: nowhere)."""

    kubeconfig: str | None
    node_name: str
    session: Session
    peers: tuple[Peer, ...]
    bird: Path
    directory: Path
    proxy: IPAddress
    health: health_server.Address | None = None


async def run(config: Config) -> None:
    """Announce until cancelled. BIRD goes on then, with what it was told last.

    Raises:
        KubeconfigError: there is no way to find the API server.
        OSError: the health address can't be listened on.
        Stuck: only a new process helps.
    """
    async with Client(load(config.kubeconfig), user_agent="wellhead-bgp") as client:
        speaker = Speaker(config, client)
        async with health_server.serving(speaker.health, config.health, speaker.app):
            await speaker.run()


async def clean_up(config: Config) -> None:
    """End BIRD: peers forget this node's VIPs."""
    await Bird(config.bird, config.directory, lambda: None).stop()


class Speaker:
    """One node's. `run` it once."""

    def __init__(self, config: Config, client: Client) -> None:
        self._config = config
        self._advertised = Advertised(config.node_name)
        self._services = TypedInformer(client, SERVICES, read_service)
        self._slices = TypedInformer(client, ENDPOINTSLICES, _read_slice)
        self._nodes = Informer(client, NODES, field_selector=f"metadata.name={config.node_name}")
        self._events = EventRecorder(client, "wellhead-bgp", config.node_name)
        self._monitor = HealthMonitor(self, Settings())
        self._follower: Follower[None] = Follower("BIRD", lambda: None)
        self._bird = Bird(config.bird, config.directory, self._follower.wake)
        self._said: frozenset[IPAddress] = frozenset()
        self._why_silent = ""
        self.health = Health(self._checks)
        self.app = self._application()

    async def run(self) -> None:
        """Until cancelled."""
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._events.run())
                for informer in (self._services, self._slices, self._nodes):
                    group.create_task(informer.run())
                self._services.on_change(self._on_service)
                self._slices.on_change(self._on_slice)
                self._nodes.on_change(lambda _old, _new: self._follower.wake())
                await self._services.synced()
                await self._slices.synced()
                await self._nodes.synced()
                self._monitor.watch(ports.PROXY_HEALTH)
                self._monitor.set_nodes(frozenset({self._config.proxy}))
                group.create_task(self._monitor.run())
                await self._monitor.settled(_SETTLE_SECONDS)
                group.create_task(self._follower.run(self._follow))
        finally:
            self._bird.release()

    # ---- what changes

    def _on_service(self, old: ReadService | None, new: ReadService | None) -> None:
        if (either := new or old) is not None:
            self._advertised.set_service(either, gone=new is None)
            self._follower.wake()

    def _on_slice(self, old: _ReadSlice | None, new: _ReadSlice | None) -> None:
        if (either := new or old) is not None:
            self._advertised.set_slice(either.namespace, either.name, new.slice if new else None)
            self._follower.wake()

    def health_changed(self, check: HealthCheck, state: State) -> None:
        """The service proxy of this node is well, or isn't any more."""
        self._follower.wake()

    def node_died(self, node: IPAddress) -> None:
        """It is this one: `health_changed` says all that there is to say."""

    # ---- what follows

    async def _follow(self, _: None) -> None:
        why = self._silenced()
        vips = frozenset[IPAddress]() if why else self._advertised.vips()
        await self._bird.follow(config(self._config.session, self._config.peers, vips))
        if vips != self._said:
            log.info("announced: %s", ", ".join(sorted(map(str, vips))) or "nothing")
        if why != self._why_silent and (node := self._node()) is not None:
            if why:
                self._events.event(node, "Warning", "BGPWithdrawn", f"Announces no VIPs: {why}")
            else:
                self._events.event(node, "Normal", "BGPAnnounced", "Announces VIPs again")
        self._said, self._why_silent = vips, why

    def _node(self) -> Obj | None:
        return self._nodes.get(self._config.node_name)

    def _silenced(self) -> str:
        """Why this node is to get no connections; empty when it may."""
        node = self._node()
        if node is None:
            return f"there is no Node {self._config.node_name}"
        if node["metadata"].get("deletionTimestamp"):
            return "the Node is being deleted"
        if is_excluded(node):
            return "the Node is excluded from load balancers"
        state = self._monitor.state(HealthCheck(self._config.proxy, ports.PROXY_HEALTH))
        return "" if state.passing else f"its service proxy isn't well: {state.detail}"

    # ---- what is told

    def _checks(self) -> Iterator[Check]:
        yield watches(self._services, self._slices, self._nodes)
        yield from self._follower.checks()

    def _application(self) -> web.Application:
        registry = CollectorRegistry()
        announced = Gauge("wellhead_bgp_announced_vips", "VIPs that this node announces.", registry=registry)
        announced.set_function(lambda: len(self._said))
        up = Gauge("wellhead_bgp_session_up", "Whether a peer hears us.", ["peer"], registry=registry)

        @web.middleware
        async def fresh(request: web.Request, handler: Handler) -> web.StreamResponse:
            if request.path == "/metrics":
                for peer, state in (await self._sessions()).items():
                    up.labels(peer).set(state == "Established")
            return await handler(request)

        async def status(_: web.Request) -> web.Response:
            said = {"announced": sorted(map(str, self._said)), "silent": self._why_silent}
            return web.json_response({**said, "peers": await self._sessions()})

        app = health_server.application(self.health, registry)
        app.middlewares.append(fresh)
        app.add_routes([web.get("/status", status)])
        return app

    async def _sessions(self) -> dict[str, str]:
        """How the session with each peer is, by the peer's address. BIRD is asked when somebody asks us."""
        try:
            found = await self._bird.sessions()
        except PlaneError:
            found = {}
        return {str(each.address): found.get(each.name, "unknown") for each in self._config.peers}


class _ReadSlice(msgspec.Struct, frozen=True, gc=False):
    namespace: str
    name: str
    slice: EndpointSlice | None


def _read_slice(obj: Obj) -> _ReadSlice:
    metadata = obj["metadata"]
    return _ReadSlice(metadata["namespace"], metadata["name"], _parse_slice(obj))
