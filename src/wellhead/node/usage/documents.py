"""What the kubelet answers at `/stats/summary` and at `/metrics/resource`.

Source: pkg/apis/stats of k8s.io/kubelet; pkg/kubelet/metrics/collectors/resource_metrics.go.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from wellhead.api.meta import Obj, parse_time
from wellhead.node.usage.meter import Measured, Measurement
from wellhead.node.usage.reading import Reading, Traffic, Used

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


@dataclass(frozen=True)
class Container:
    """A running container: its name and id, and since when it runs (RFC 3339)."""

    name: str
    id: str
    started_at: str


@dataclass(frozen=True)
class Pod:
    """A pod with its running containers."""

    namespace: str
    name: str
    uid: str
    started_at: str
    containers: tuple[Container, ...]
    interfaces: Mapping[str, Traffic] = field(default_factory=dict)
    """Of a network of its own."""


@dataclass(frozen=True)
class Disk:
    """Bytes and inodes of the file system that the pods are on."""

    capacity: int
    available: int
    inodes: int
    inodes_free: int


@dataclass(frozen=True)
class Node:
    """The node itself; `available` is memory, in bytes."""

    name: str
    started_at: str
    available: int
    disk: Disk


def summary(node: Node, pods: Iterable[Pod], measured: Measurement) -> Obj:
    """/stats/summary"""
    time = _time(measured.time)
    used = node.disk.capacity - node.disk.available
    memory = _memory(measured.node.used, time) | {"availableBytes": node.available}
    return {
        "node": {
            "nodeName": node.name,
            "startTime": node.started_at,
            "cpu": _cpu(measured.node, time),
            "memory": memory,
            "fs": {
                "time": time,
                "capacityBytes": node.disk.capacity,
                "availableBytes": node.disk.available,
                "usedBytes": used,
                "inodes": node.disk.inodes,
                "inodesFree": node.disk.inodes_free,
                "inodesUsed": node.disk.inodes - node.disk.inodes_free,
            },
        },
        "pods": [_pod(pod, measured, time) for pod in pods],
    }


def _pod(pod: Pod, measured: Measurement, time: str) -> Obj:
    entries = [
        (each, measured.containers[each.id]) for each in pod.containers if each.id in measured.containers
    ]
    document: Obj = {
        "podRef": {"name": pod.name, "namespace": pod.namespace, "uid": pod.uid},
        "startTime": pod.started_at,
        "containers": [
            {
                "name": container.name,
                "startTime": container.started_at,
                "cpu": _cpu(entry, time),
                "memory": _memory(entry.used, time),
            }
            for container, entry in entries
        ],
    }
    if pod.interfaces:
        document["network"] = _network(pod.interfaces, time)
    if not entries:
        return document
    total = sum((entry.used for _, entry in entries), Used())
    rates = [entry.cores for _, entry in entries if entry.cores is not None]
    whole = Measured(total, sum(rates) if len(rates) == len(entries) else None, entries[0][1].window)
    count = {"process_count": total.processes}
    return document | {"cpu": _cpu(whole, time), "memory": _memory(total, time), "process_stats": count}


def _network(interfaces: Mapping[str, Traffic], time: str) -> Obj:
    listed = [
        {
            "name": name,
            "rxBytes": seen.received[0],
            "rxErrors": seen.received[2],
            "txBytes": seen.sent[0],
            "txErrors": seen.sent[2],
        }
        for name, seen in sorted(interfaces.items())
    ]
    return {"time": time, **listed[0], "interfaces": listed}


def _cpu(measured: Measured, time: str) -> Obj:
    document: Obj = {"time": time, "usageCoreNanoSeconds": int(measured.used.cpu * 1e9)}
    if measured.cores is not None:
        document["usageNanoCores"] = round(measured.cores * 1e9)
        # Not the kubelet's: it always says what the last ten seconds were like.
        document["windowSeconds"] = round(measured.window, 3)
    return document


def _memory(used: Used, time: str) -> Obj:
    return {
        "time": time,
        "usageBytes": used.memory,
        "workingSetBytes": used.memory,
        "rssBytes": used.memory,
    }


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


_HELP = {
    "container_cpu_usage_seconds_total": "Cumulative cpu time consumed by the container in core-seconds",
    "container_memory_working_set_bytes": "Current working set of the container in bytes",
    "container_start_time_seconds": "Start time of the container since unix epoch in seconds",
    "node_cpu_usage_seconds_total": "Cumulative cpu time consumed by the node in core-seconds",
    "node_memory_working_set_bytes": "Current working set of the node in bytes",
    "pod_cpu_usage_seconds_total": "Cumulative cpu time consumed by the pod in core-seconds",
    "pod_memory_working_set_bytes": "Current working set of the pod in bytes",
    "resource_scrape_error": "1 if there was an error while getting container metrics, 0 otherwise",
}


def metrics(pods: Iterable[Pod], reading: Reading, seconds: float) -> str:
    """/metrics/resource, as Prometheus reads it; `seconds` since 1970."""
    pods = list(pods)
    stamp = int(seconds * 1000)
    cpu: Callable[[Used], float] = lambda used: used.cpu  # noqa: E731
    memory: Callable[[Used], float] = lambda used: used.memory  # noqa: E731

    def containers(value: Callable[[Used], float]) -> Iterator[str]:
        for pod in pods:
            for each in pod.containers:
                if (used := reading.containers.get(each.id)) is not None:
                    labels = f'{{container="{each.name}",namespace="{pod.namespace}",pod="{pod.name}"}}'
                    yield f"{labels} {value(used):.10g} {stamp}"

    def starts() -> Iterator[str]:
        for pod in pods:
            for each in pod.containers:
                labels = f'{{container="{each.name}",namespace="{pod.namespace}",pod="{pod.name}"}}'
                yield f"{labels} {parse_time(each.started_at).timestamp():.14g}"

    def whole(value: Callable[[Used], float]) -> Iterator[str]:
        for pod in pods:
            found = [reading.containers[each.id] for each in pod.containers if each.id in reading.containers]
            if found:
                used = sum(found, Used())
                yield f'{{namespace="{pod.namespace}",pod="{pod.name}"}} {value(used):.10g} {stamp}'

    families = {
        "container_cpu_usage_seconds_total": containers(cpu),
        "container_memory_working_set_bytes": containers(memory),
        "container_start_time_seconds": starts(),
        "node_cpu_usage_seconds_total": iter([f" {reading.node.cpu:.10g} {stamp}"]),
        "node_memory_working_set_bytes": iter([f" {reading.node.memory} {stamp}"]),
        "pod_cpu_usage_seconds_total": whole(cpu),
        "pod_memory_working_set_bytes": whole(memory),
        "resource_scrape_error": iter([" 0"]),
    }
    lines = []
    for name, values in families.items():
        kind = "counter" if name.endswith("_total") else "gauge"
        lines += [f"# HELP {name} [STABLE] {_HELP[name]}", f"# TYPE {name} {kind}"]
        lines += [f"{name}{value}" for value in values]
    return "\n".join(lines) + "\n"
