"""`/stats/summary` and `/metrics/resource`: what the node's pods use."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
from aiohttp import web

from wellhead.api.meta import now
from wellhead.node.pods.manager import PodManager
from wellhead.node.server.requests import Services, services
from wellhead.node.usage import documents
from wellhead.node.usage.containers import first_processes
from wellhead.node.usage.meter import Meter
from wellhead.node.usage.reading import Reading, available_memory, read

METER = web.AppKey("meter", Meter)
_STARTED_AT = now()


def meter(shared: Services) -> Meter:
    """One for the whole server."""
    return Meter(lambda: _read(shared.manager))


def _read(manager: PodManager) -> Reading:
    return read(dict(first_processes(manager.states())))


def _pods(manager: PodManager) -> Iterator[documents.Pod]:
    for state in manager.states():
        metadata = state.pod["metadata"]
        running = tuple(
            documents.Container(name, record.current.id, record.current.started_at)
            for name, record in state.record.containers.items()
            if record.current is not None and record.current.running
        )
        if running and not state.record.phase:
            yield documents.Pod(
                metadata["namespace"], metadata["name"], metadata["uid"], state.record.started_at, running
            )


def _disk(path: Path) -> documents.Disk:
    found = os.statvfs(path)
    size = found.f_frsize
    return documents.Disk(found.f_blocks * size, found.f_bavail * size, found.f_files, found.f_ffree)


async def summary(request: web.Request) -> web.Response:
    shared = services(request)
    measured = await request.app[METER].measure()
    context = shared.context
    node = documents.Node(context.node_name, _STARTED_AT, available_memory(), _disk(context.pods))
    document = documents.summary(node, _pods(shared.manager), measured)
    return web.Response(body=msgspec.json.encode(document), content_type="application/json")


async def resource_metrics(request: web.Request) -> web.Response:
    reading = await request.app[METER].now()
    text = documents.metrics(_pods(services(request).manager), reading, time.time())
    return web.Response(body=text.encode(), headers={"Content-Type": documents.CONTENT_TYPE})
