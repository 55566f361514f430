"""/metrics/cadvisor: what containers use, under cadvisor's names, as far as it can be told at little cost.

A container's CPU and memory are read as for `/metrics/resource`; a pod's network from its own namespace.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric

from wellhead.api.meta import parse_time
from wellhead.node.usage.reading import Traffic, Used

_LABELS = ["container", "id", "image", "name", "namespace", "pod"]
_NETWORK_LABELS = ["interface", *_LABELS]
_COUNTERS = ("bytes", "packets", "errors", "packets_dropped")


@dataclass(frozen=True)
class Container:
    """A running one; limits in bytes and thousandths of a processor, None if there are none."""

    namespace: str
    pod: str
    name: str
    id: str
    image: str
    started_at: str
    memory: int | None = None
    cpu: int | None = None

    @property
    def labels(self) -> list[str]:
        return [self.name, f"/{self.id}", self.image, self.id, self.namespace, self.pod]


@dataclass(frozen=True)
class PodTraffic:
    """A pod's interfaces by name."""

    namespace: str
    pod: str
    interfaces: Mapping[str, Traffic]


def families(
    containers: Iterable[Container],
    used: Mapping[str, Used],
    pods: Iterable[PodTraffic],
    now: float,
    memory: int,
) -> Iterator[Metric]:
    """All of it; `used` is by container id, `memory` the machine's in bytes. Pure."""
    present = [(each, used[each.id]) for each in containers if each.id in used]
    cpu = CounterMetricFamily(
        "container_cpu_usage_seconds", "Cumulative cpu time consumed in seconds.", labels=[*_LABELS, "cpu"]
    )
    for each, taken in present:
        cpu.add_metric([*each.labels, "total"], taken.cpu)
    yield cpu
    for name, text, value in (
        ("memory_working_set_bytes", "Current working set in bytes.", lambda one: one[1].memory),
        ("memory_usage_bytes", "Current memory usage in bytes.", lambda one: one[1].memory),
        ("memory_rss", "Size of RSS in bytes.", lambda one: one[1].memory),
        ("processes", "Number of processes running inside the container.", lambda one: one[1].processes),
        (
            "start_time_seconds",
            "Start time of the container since unix epoch in seconds.",
            lambda one: parse_time(one[0].started_at).timestamp(),
        ),
        ("last_seen", "Last time a container was seen by the exporter", lambda one: now),
        (
            "spec_memory_limit_bytes",
            "Memory limit for the container.",
            lambda one: one[0].memory or 0,
        ),
    ):
        yield _gauge(f"container_{name}", text, [(each[0].labels, value(each)) for each in present], _LABELS)
    limited = [each for each, _ in present if each.cpu is not None]
    yield _gauge(
        "container_spec_cpu_period",
        "CPU period of the container.",
        [(each.labels, 100_000) for each in limited],
        _LABELS,
    )
    yield _gauge(
        "container_spec_cpu_quota",
        "CPU quota of the container.",
        [(each.labels, (each.cpu or 0) * 100) for each in limited],
        _LABELS,
    )
    yield from _network(list(pods))
    yield _gauge("machine_cpu_cores", "Number of logical CPU cores.", [([], os.cpu_count() or 1)], [])
    yield _gauge("machine_memory_bytes", "Amount of memory installed on the machine.", [([], memory)], [])


def _network(pods: list[PodTraffic]) -> Iterator[Metric]:
    for direction, word in (("receive", "received"), ("transmit", "transmitted")):
        for index, what in enumerate(_COUNTERS):
            family = CounterMetricFamily(
                f"container_network_{direction}_{what}",
                f"Cumulative count of {what.replace('_', ' ')} {word}",
                labels=_NETWORK_LABELS,
            )
            for pod in pods:
                for interface, seen in sorted(pod.interfaces.items()):
                    counts = seen.received if direction == "receive" else seen.sent
                    labels = [interface, "", "", "", "", pod.namespace, pod.pod]
                    family.add_metric(labels, counts[index])
            yield family


def _gauge(
    name: str, text: str, values: Iterable[tuple[list[str], float]], labels: list[str]
) -> GaugeMetricFamily:
    family = GaugeMetricFamily(name, text, labels=labels)
    for names, value in values:
        family.add_metric(names, value)
    return family
