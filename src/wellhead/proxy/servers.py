"""The proxy's own HTTP ports: 10249 for operators on the node, 10256 for load balancers and the kubelet."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import msgspec
from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST

from wellhead.backoff import Backoff
from wellhead.proxy.health import ProxyHealth
from wellhead.proxy.metrics import Metrics
from wellhead.proxy.profiling import profiling_routes

log = logging.getLogger(__name__)

_RETRY_SECONDS = (0.5, 5.0)  # at first, and at most


class CannotListen(OSError):
    """A port can't be had, and the configuration wants that to be fatal."""


def operator_app(
    mode: str, metrics: Metrics, configuration: Mapping[str, Any], *, profiling: bool = False
) -> web.Application:
    """/proxyMode (the mode's name, nothing else), /metrics, /configz, and a /healthz that says “ok”.

    With `profiling` also /debug/profile?seconds=N, what Python was doing meanwhile, and /debug/tasks.
    """

    async def proxy_mode(_: web.Request) -> web.Response:
        return web.Response(text=mode, headers={"X-Content-Type-Options": "nosniff"})

    async def scrape(_: web.Request) -> web.Response:
        return web.Response(body=metrics.render(), headers={"Content-Type": CONTENT_TYPE_LATEST})

    async def configz(_: web.Request) -> web.Response:
        shown = msgspec.json.encode({"kubeproxy.config.k8s.io": configuration})
        return web.Response(body=shown, content_type="application/json")

    async def healthz(_: web.Request) -> web.Response:
        return web.Response(text="ok")

    app = web.Application()
    app.add_routes(
        [
            web.get("/proxyMode", proxy_mode),
            web.get("/metrics", scrape),
            web.get("/configz", configz),
            web.get("/healthz", healthz),
        ]
    )
    if profiling:
        app.add_routes(profiling_routes())
    return app


def health_app(health: ProxyHealth, metrics: Metrics) -> web.Application:
    """/healthz: 503 when the rules are stale or the node is leaving; /livez: 503 when they are stale."""

    def answer(ok: bool, **facts: bool) -> web.Response:
        last_updated, now = health.times()
        body = {"lastUpdated": _go_time(last_updated), "currentTime": _go_time(now), **facts}
        return web.Response(
            status=200 if ok else 503,
            body=msgspec.json.encode(body),
            content_type="application/json",
            headers={"X-Content-Type-Options": "nosniff"},
        )

    async def healthz(_: web.Request) -> web.Response:
        found = answer(health.fresh and health.node_eligible, nodeEligible=health.node_eligible)
        metrics.healthz.labels(code=str(found.status)).inc()
        return found

    async def livez(_: web.Request) -> web.Response:
        found = answer(health.fresh)
        metrics.livez.labels(code=str(found.status)).inc()
        return found

    app = web.Application()
    app.add_routes([web.get("/healthz", healthz), web.get("/livez", livez)])
    return app


def _go_time(time: datetime | None) -> str:
    """A time as Go prints it, as kube-proxy does; its zero time for never."""
    if time is None:
        return "0001-01-01 00:00:00 +0000 UTC"
    return time.strftime("%Y-%m-%d %H:%M:%S.%f +0000 UTC")


async def serve(app: web.Application, host: str, port: int, *, hard_fail: bool = False) -> None:
    """Answer on an address until cancelled. While it can't be had, log why and try again.

    Raises:
        CannotListen: it can't be had, and `hard_fail` is set.
    """
    runner = web.AppRunner(app, access_log=None, handle_signals=False, shutdown_timeout=1)
    await runner.setup()
    backoff = Backoff(*_RETRY_SECONDS)
    try:
        while True:
            try:
                await web.TCPSite(runner, host, port).start()
            except OSError as error:
                why = f"can't listen on {host} port {port}: {error.strerror or error}"
                if hard_fail:
                    raise CannotListen(why) from error
                log.error("%s", why)
                await asyncio.sleep(backoff.next())
            else:
                await asyncio.Event().wait()
    finally:
        await runner.cleanup()
