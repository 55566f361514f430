"""The HTTP endpoint for operators: /metrics, /health and /ready."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import web

from wellhead.dns.metrics import Metrics
from wellhead.dns.responder import Responder


@asynccontextmanager
async def serving(host: str, port: int, responder: Responder, metrics: Metrics) -> AsyncIterator[None]:
    """Serve while the block runs.

    Raises:
        OSError: the address can't be listened on.
    """

    async def health(_: web.Request) -> web.Response:
        return web.Response(text="OK")

    async def ready(_: web.Request) -> web.Response:
        if responder.is_ready:
            return web.Response(text="OK")
        return web.Response(status=503, text="the API server has not been read yet: kubernetes")

    async def scrape(_: web.Request) -> web.Response:
        headers = {"Content-Type": "text/plain; version=0.0.4; charset=utf-8"}
        return web.Response(body=metrics.text(), headers=headers)

    app = web.Application()
    app.add_routes([web.get("/health", health), web.get("/ready", ready), web.get("/metrics", scrape)])
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port).start()
        yield
    finally:
        await runner.cleanup()
