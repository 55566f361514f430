"""A component's /healthz, /livez, /readyz and /metrics, and its end when nothing else helps."""

from __future__ import annotations

import asyncio
import logging
import os
import threading
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager

from aiohttp import web
from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from wellhead.health import ENDPOINTS, Health

_log = logging.getLogger(__name__)

_LOOK_SECONDS = 10.0
_LOOKS = 30
_ENDING_SECONDS = 30.0
_METRICS = "text/plain; version=0.0.4; charset=utf-8"
Address = tuple[str, int]


class Stuck(Exception):
    """The component's work is stuck, and only a new process helps. The message says with what."""


def routes(health: Health) -> list[web.RouteDef]:
    """The health endpoints, each also as /ENDPOINT/CHECK: 200, or 500 with what is wrong."""

    async def answer(request: web.Request) -> web.Response:
        endpoint, _, one = request.path.strip("/").partition("/")
        found = health.answer(
            asyncio.get_running_loop().time(),
            endpoint,
            one,
            verbose="verbose" in request.query,
            exclude=request.query.getall("exclude", []),
        )
        if found is None:
            raise web.HTTPNotFound
        headers = {"Cache-Control": "no-cache, private", "X-Content-Type-Options": "nosniff"}
        return web.Response(text=found.text, status=200 if found.ok else 500, headers=headers)

    return [web.get(f"/{each}{rest}", answer) for each in ENDPOINTS for rest in ("", "/{check}")]


def application(health: Health, registry: CollectorRegistry | None = None) -> web.Application:
    """The health endpoints, and /metrics with the process' own, each check's result, and `registry`'s."""
    registry = registry or CollectorRegistry()
    ProcessCollector(registry=registry)
    registry.register(Results(health))

    async def metrics(_: web.Request) -> web.Response:
        return web.Response(body=generate_latest(registry), headers={"Content-Type": _METRICS})

    app = web.Application()
    app.add_routes([*routes(health), web.get("/metrics", metrics)])
    return app


@asynccontextmanager
async def serving(
    health: Health, address: Address | None, app: web.Application | None = None
) -> AsyncIterator[None]:
    """Serve `app` (`application` by default) by HTTP while the block runs; at None nobody can ask.

    Raises:
        OSError: the address can't be listened on.
        Stuck: see `until_stuck`. The block is cancelled.
    """
    runner = web.AppRunner(
        app or application(health), access_log=None, handle_signals=False, shutdown_timeout=1
    )
    await runner.setup()
    try:
        if address is not None:
            await web.TCPSite(runner, *address, reuse_address=True).start()
            _log.info("health is told at http://%s:%d/healthz", *address)
        async with asyncio.TaskGroup() as group:
            watching = group.create_task(_end_if_stuck(health), name="end if stuck")
            yield
            watching.cancel()
    finally:
        await runner.cleanup()


async def _end_if_stuck(health: Health) -> None:
    try:
        await until_stuck(health)
    except Stuck as error:
        _log.error("ending, so that a new process takes over: %s", error)
        end_anyway()
        raise


def end_anyway() -> None:
    """End the process soon, even if what is stuck can't be cancelled, such as a thread in a system call."""
    last = threading.Timer(_ENDING_SECONDS, os._exit, (1,))
    last.daemon = True
    last.start()


async def until_stuck(health: Health) -> None:
    """Wait until /livez has failed for five minutes: whoever started this process starts another.

    Looks are counted, not seconds: a process that was stopped meanwhile has its time again.

    Raises:
        Stuck: it is so.
    """
    failed = 0
    while True:
        await asyncio.sleep(_LOOK_SECONDS)
        problems = {
            name: why
            for name, why in health.problems(asyncio.get_running_loop().time(), "livez").items()
            if why
        }
        failed = failed + 1 if problems else 0
        if failed >= _LOOKS:
            raise Stuck("; ".join(f"{name}: {why}" for name, why in problems.items()))


class Results(Collector):
    """kubernetes_healthcheck, as upstream's components have it."""

    def __init__(self, health: Health) -> None:
        self._health = health

    def describe(self) -> list[GaugeMetricFamily]:
        return [self._family()]

    def collect(self) -> Iterable[GaugeMetricFamily]:
        family = self._family()
        now = asyncio.get_running_loop().time()
        for endpoint in ENDPOINTS:
            for name, problem in self._health.problems(now, endpoint).items():
                family.add_metric([name, endpoint], 0.0 if problem else 1.0)
        yield family

    def _family(self) -> GaugeMetricFamily:
        text = "1: the check passes, 0: it does not."
        return GaugeMetricFamily("kubernetes_healthcheck", text, labels=["name", "type"])
