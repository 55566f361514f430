"""The HTTP endpoint for operators: /healthz, /metrics and /status."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import msgspec
from aiohttp import web

from wellhead.cloud.metrics import Metrics
from wellhead.cloud.report import Report, Standby


@asynccontextmanager
async def serving(
    host: str, port: int, report: Callable[[], Report | Standby], metrics: Metrics
) -> AsyncIterator[None]:
    """Serve while the block runs. A process that stands by is as healthy as one that controls.

    Raises:
        OSError: the address can't be listened on.
    """

    async def healthz(_: web.Request) -> web.Response:
        return web.Response(text="ok")

    async def scrape(_: web.Request) -> web.Response:
        headers = {"Content-Type": "text/plain; version=0.0.4; charset=utf-8"}
        return web.Response(body=metrics.text(), headers=headers)

    async def status(_: web.Request) -> web.Response:
        body = msgspec.json.format(msgspec.json.encode(report()))
        return web.Response(body=body + b"\n", content_type="application/json")

    app = web.Application()
    app.add_routes([web.get("/healthz", healthz), web.get("/metrics", scrape), web.get("/status", status)])
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port).start()
        yield
    finally:
        await runner.cleanup()
