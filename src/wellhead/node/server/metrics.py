"""`/metrics`, `/metrics/probes`, `/metrics/cadvisor`: computed in a thread, when somebody asks."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Iterator

from aiohttp import web
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from wellhead.linux.proc import machine_memory
from wellhead.node.metrics import cadvisor
from wellhead.node.metrics.probes import ProbeMetrics
from wellhead.node.pods import spec
from wellhead.node.pods.state import PodState
from wellhead.node.runtime.cgroups import Limits
from wellhead.node.server.requests import services
from wellhead.node.server.usage import METER
from wellhead.node.usage.containers import first_processes
from wellhead.node.usage.reading import traffic

_TYPE = "text/plain; version=0.0.4; charset=utf-8"

KUBELET = web.AppKey("kubelet metrics", CollectorRegistry)


class _Found(Collector):
    def __init__(self, metrics: Iterable[Metric]) -> None:
        self._metrics = list(metrics)

    def collect(self) -> Iterable[Metric]:
        return self._metrics


async def kubelet(request: web.Request) -> web.Response:
    """The agent's own."""
    return await _answer(request.app[KUBELET])


async def probes(request: web.Request) -> web.Response:
    """Those of probes."""
    registry = CollectorRegistry()
    registry.register(ProbeMetrics(services(request).manager.states))
    return await _answer(registry)


async def containers(request: web.Request) -> web.Response:
    """Those of containers and pods."""
    reading = await request.app[METER].now()
    states = services(request).manager.states()

    def find() -> CollectorRegistry:
        pids = dict(first_processes(states))
        traffic, memory = _traffic(states, pids), machine_memory()
        found = cadvisor.families(_containers(states), reading.containers, traffic, time.time(), memory)
        registry = CollectorRegistry()
        registry.register(_Found(found))
        return registry

    return await _answer(await asyncio.to_thread(find))


async def _answer(registry: CollectorRegistry) -> web.Response:
    body = await asyncio.to_thread(generate_latest, registry)
    return web.Response(body=body, headers={"Content-Type": _TYPE})


def _containers(states: Iterable[PodState]) -> Iterator[cadvisor.Container]:
    for state in states:
        metadata = state.pod["metadata"]
        resources = {each["name"]: each.get("resources") for each in spec.every_container(state.pod)}
        for name, record in list(state.record.containers.items()):
            attempt = record.current
            if attempt is None or not attempt.running:
                continue
            limits = Limits.of(record.resources or resources.get(name)) or Limits()
            yield cadvisor.Container(
                metadata["namespace"],
                metadata["name"],
                name,
                attempt.id,
                attempt.image,
                attempt.started_at,
                limits.memory,
                limits.cpu,
            )


def _traffic(states: Iterable[PodState], pids: dict[str, int]) -> Iterator[cadvisor.PodTraffic]:
    for state in states:
        current = [each.current for each in list(state.record.containers.values())]
        pid = next((pids[each.id] for each in current if each is not None and each.id in pids), None)
        if pid is not None and not spec.host_network(state.pod):
            metadata = state.pod["metadata"]
            yield cadvisor.PodTraffic(metadata["namespace"], metadata["name"], traffic(pid))
