"""What operators ask for by HTTP: health, /metrics and /status."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
from aiohttp import web

from wellhead.cloud.metrics import Metrics
from wellhead.cloud.report import Report, Standby
from wellhead.health import Health
from wellhead.health_server import routes


def application(health: Health, report: Callable[[], Report | Standby], metrics: Metrics) -> web.Application:
    """The endpoints. A process that stands by is as healthy as one that controls."""

    async def scrape(_: web.Request) -> web.Response:
        headers = {"Content-Type": "text/plain; version=0.0.4; charset=utf-8"}
        return web.Response(body=metrics.text(), headers=headers)

    async def status(_: web.Request) -> web.Response:
        body = msgspec.json.format(msgspec.json.encode(report()))
        return web.Response(body=body + b"\n", content_type="application/json")

    app = web.Application()
    app.add_routes([*routes(health), web.get("/metrics", scrape), web.get("/status", status)])
    return app
