"""Health-check node ports: tell load balancers whether this node has endpoints of a Service."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import msgspec
from aiohttp import web

from wellhead.backoff import Backoff
from wellhead.ip import Family, IPNetwork
from wellhead.linux.routing import local_addresses
from wellhead.proxy.health import ProxyHealth
from wellhead.services.names import ServiceKey
from wellhead.services.node_view import HealthCheck
from wellhead.waiting import comes

log = logging.getLogger(__name__)

_RETRY_SECONDS = (0.5, 5.0)  # at first, and at most


@dataclass(frozen=True, slots=True)
class _Listening:
    port: int
    addresses: frozenset[str]
    runner: web.AppRunner


class HealthCheckPorts:
    """Listens on the health-check node port of every Service that has one.

    On the addresses where node ports answer, those in `networks(family)`, and on loopback. A port that can't
    be had, because something else listens there, is reported through `complain` and tried again.
    """

    def __init__(
        self,
        families: tuple[Family, ...],
        networks: Callable[[Family], tuple[IPNetwork, ...]],
        health: ProxyHealth,
        complain: Callable[[ServiceKey, str], None],
    ) -> None:
        self._families = families
        self._networks = networks
        self._health = health
        self._complain = complain
        self._checks: dict[ServiceKey, HealthCheck] = {}
        self._listening: dict[ServiceKey, _Listening] = {}
        self._changed = asyncio.Event()

    def update(self, changes: Mapping[ServiceKey, tuple[HealthCheck | None, HealthCheck | None]]) -> None:
        """Take in what changed. A new number of endpoints is told from now on; ports open and close soon."""
        for key, (_, check) in changes.items():
            if check is None:
                self._checks.pop(key, None)
            else:
                self._checks[key] = check
        if changes:
            self._changed.set()

    def refresh(self) -> None:
        """Look again at the node's addresses, if it matters which they are."""
        if any(self._networks(family) != (family.everywhere,) for family in self._families):
            self._changed.set()

    async def run(self) -> None:
        """Open and close ports until cancelled, then close all."""
        retry: float | None = None
        backoff = Backoff(*_RETRY_SECONDS)
        try:
            while True:
                await comes(self._changed, retry)
                self._changed.clear()
                if await self._reconcile():
                    retry = None
                    backoff.reset()
                else:
                    retry = backoff.next()
        finally:
            for each in self._listening.values():
                await each.runner.cleanup()

    async def _reconcile(self) -> bool:
        """Returns whether every port is open that should be."""
        if not self._checks and not self._listening:
            return True
        addresses = await self._addresses()
        for key, now in list(self._listening.items()):
            check = self._checks.get(key)
            if check is None or check.node_port != now.port or addresses != now.addresses:
                del self._listening[key]
                await now.runner.cleanup()
        complete = True
        for key, check in list(self._checks.items()):
            if key not in self._listening:
                complete &= await self._open(key, check.node_port, addresses)
        return complete

    async def _addresses(self) -> frozenset[str]:
        found: set[str] = set()
        for family in self._families:
            networks = self._networks(family)
            if networks == (family.everywhere,):
                found.add(str(family.everywhere.network_address))
                continue
            mine = await asyncio.to_thread(local_addresses, family)
            found |= {
                str(each) for each in mine if each.is_loopback or any(each in network for network in networks)
            }
        return frozenset(found)

    async def _open(self, key: ServiceKey, port: int, addresses: frozenset[str]) -> bool:
        runner = web.AppRunner(self._app(key), access_log=None, handle_signals=False, shutdown_timeout=1)
        await runner.setup()
        try:
            for address in sorted(addresses):
                await web.TCPSite(runner, address, port).start()
        except OSError as error:
            await runner.cleanup()
            why = f"can't listen on health-check node port {port}: {error.strerror or error}"
            log.error("%s: %s", key, why)
            self._complain(key, why)
            return False
        self._listening[key] = _Listening(port, addresses, runner)
        return True

    def _app(self, key: ServiceKey) -> web.Application:
        async def answer(request: web.Request) -> web.Response:
            count = self._checks[key].local_endpoints if key in self._checks else 0
            return check_response(key, count, self._health.fresh, request.headers.get("Accept", ""))

        app = web.Application()
        app.router.add_route("*", "/{path:.*}", answer)
        return app


def check_response(key: ServiceKey, local_endpoints: int, fresh: bool, accept: str) -> web.Response:
    """What a health check is told: 200 if this node has endpoints and its rules are not stale, else 503."""
    passes = local_endpoints > 0 and fresh
    response = web.Response(status=200 if passes else 503)
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["X-Load-Balancing-Endpoint-Weight"] = str(local_endpoints)
    if "application/json" in accept:
        body = {
            "service": {"namespace": key.namespace, "name": key.name},
            "localEndpoints": local_endpoints,
            "serviceProxyHealthy": fresh,
        }
        response.content_type = "application/json"
        response.body = msgspec.json.format(msgspec.json.encode(body), indent=2)
    else:
        response.text = (
            f"{local_endpoints} Service Endpoints found\n" if passes else "No Service Endpoints Found\n"
        )
    return response
