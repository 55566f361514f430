"""`/stats/summary` and `/metrics/resource`: what the node's pods use."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import msgspec
from aiohttp import web

from wellhead.api.meta import now
from wellhead.node.pods import spec
from wellhead.node.pods.manager import PodManager
from wellhead.node.pods.state import PodState
from wellhead.node.server.requests import Services, services
from wellhead.node.usage import documents
from wellhead.node.usage.containers import first_processes
from wellhead.node.usage.meter import Meter
from wellhead.node.usage.reading import Reading, Traffic, available_memory, read, traffic

METER = web.AppKey("meter", Meter)
_STARTED_AT = now()


def meter(shared: Services) -> Meter:
    """One for the whole server."""
    return Meter(lambda: _read(shared.manager))


def _read(manager: PodManager) -> Reading:
    return read(dict(first_processes(manager.states())))


def _interfaces(states: Iterable[PodState]) -> dict[str, dict[str, Traffic]]:
    """What pods with a network of their own have sent and received, by uid. Blocks."""
    found = {}
    for state in states:
        pid = next((pid for _, pid in first_processes([state])), None)
        if pid is not None and not spec.host_network(state.pod):
            found[str(state.pod["metadata"]["uid"])] = traffic(pid)
    return found


def _pods(
    manager: PodManager, interfaces: Mapping[str, dict[str, Traffic]] | None = None
) -> Iterator[documents.Pod]:
    for state in manager.states():
        metadata = state.pod["metadata"]
        running = tuple(
            documents.Container(name, record.current.id, record.current.started_at)
            for name, record in state.record.containers.items()
            if record.current is not None and record.current.running
        )
        if running and not state.record.phase:
            yield documents.Pod(
                metadata["namespace"],
                metadata["name"],
                metadata["uid"],
                state.record.started_at,
                running,
                (interfaces or {}).get(metadata["uid"], {}),
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
    interfaces = await asyncio.to_thread(_interfaces, shared.manager.states())
    document = documents.summary(node, _pods(shared.manager, interfaces), measured)
    return web.Response(body=msgspec.json.encode(document), content_type="application/json")


async def resource_metrics(request: web.Request) -> web.Response:
    reading = await request.app[METER].now()
    text = documents.metrics(_pods(services(request).manager), reading, time.time())
    return web.Response(body=text.encode(), headers={"Content-Type": documents.CONTENT_TYPE})
