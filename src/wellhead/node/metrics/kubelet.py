"""/metrics: the agent itself. What it counts it counts as it happens; the rest is read from its state.

Source of names and meanings: pkg/kubelet/metrics/metrics.go of v1.36.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any

from prometheus_client import CollectorRegistry, Histogram, ProcessCollector
from prometheus_client import Counter as Counted
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from wellhead.node.eviction.manager import EvictionManager
from wellhead.node.node_status import KUBELET_VERSION
from wellhead.node.pods import spec
from wellhead.node.pods.worker import PodWorker
from wellhead.node.runtime.operations import Operations
from wellhead.node.shutdown.manager import ShutdownManager
from wellhead.node.static import manifests
from wellhead.node.volumes import claims

_START_BUCKETS = (
    *(0.5, 1, 2, 3, 4, 5, 6, 8, 10, 20, 30, 45, 60, 120, 180, 240, 300, 360, 480, 600, 900, 1200, 1800, 2700),
    3600,
)


class KubeletMetrics(Collector):
    """All of them, in `registry`."""

    def __init__(
        self,
        node_name: str,
        workers: Callable[[], Iterable[PodWorker]],
        eviction: EvictionManager,
        shutdown: ShutdownManager,
        operations: Operations,
    ) -> None:
        self._node_name = node_name
        self._workers = workers
        self._eviction = eviction
        self._shutdown = shutdown
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self.registry.register(self)
        operations.register(self.registry)
        self._starts = Histogram(
            "kubelet_pod_start_duration_seconds",
            "Duration in seconds from kubelet seeing a pod for the first time to the pod starting to run",
            buckets=_START_BUCKETS,
            registry=self.registry,
        )
        self._started = Counted(
            "kubelet_started_pods", "Cumulative number of pods started", registry=self.registry
        )

    def watch(self, worker: PodWorker) -> None:
        """A pod has come to the node: note how long it takes to run."""
        clock = asyncio.get_running_loop().time
        state, seen = worker.state, clock()

        def changed() -> None:
            main = [state.record.containers.get(each["name"]) for each in state.pod["spec"]["containers"]]
            if state.record.phase:
                state.listeners.remove(changed)
            elif all(each is not None and each.current and each.current.launched for each in main):
                state.listeners.remove(changed)
                self._starts.observe(clock() - seen)
                self._started.inc()

        state.listeners.append(changed)

    def collect(self) -> Iterator[Metric]:
        """What is so now."""
        workers = list(self._workers())
        yield _gauge(
            "kubelet_node_name", "The node's name. The count is always 1.", {(self._node_name,): 1}, "node"
        )
        static = Counter(_truth(manifests.is_static(each.state.pod)) for each in workers)
        active = Counter(_truth(manifests.is_static(each.state.pod)) for each in workers if each.counts)
        for name, counts, what in (
            ("desired", static, "is being instructed to run"),
            ("active", active, "considers active"),
        ):
            by_kind = {(kind,): counts[kind] for kind in ("", "true")}
            yield _gauge(f"kubelet_{name}_pods", f"The number of pods the kubelet {what}", by_kind, "static")
        mirrors = static["true"]
        yield _gauge("kubelet_mirror_pods", "The number of mirror pods that show static ones", {(): mirrors})
        sandboxes = sum(1 for each in workers if each.state.record.sandbox)
        yield _gauge(
            "kubelet_running_pods", "Number of pods that have a running pod sandbox", {(): sandboxes}
        )
        states = Counter(
            ("running" if record.current.running else "exited" if record.current.finished_at else "created",)
            for worker in workers
            for record in list(worker.state.record.containers.values())
            if record.current is not None
        )
        yield _gauge(
            "kubelet_running_containers", "Number of containers currently running", states, "container_state"
        )
        yield from _of_resizes(workers)
        yield from _of_volumes(workers)
        evictions = CounterMetricFamily(
            "kubelet_evictions",
            "Cumulative number of pod evictions by eviction signal",
            labels=["eviction_signal"],
        )
        for signal, count in sorted(self._eviction.evictions.items()):
            evictions.add_metric([signal], count)
        yield evictions
        state = self._shutdown.state
        for name, text in (("start", state.start_time), ("end", state.end_time)):
            yield _gauge(
                f"kubelet_graceful_shutdown_{name}_time_seconds",
                f"Last graceful shutdown {name} time since unix epoch in seconds",
                {(): datetime.fromisoformat(text).timestamp() if text else 0},
            )
        version = {(KUBELET_VERSION, "linux"): 1}
        yield _gauge("kubernetes_build_info", "The agent's version", version, "git_version", "platform")


def _of_resizes(workers: list[PodWorker]) -> Iterator[Metric]:
    records = [each.state.record for each in workers if each.counts]
    pending = Counter((each.pending.reason.lower(),) for each in records if each.pending is not None)
    yield _gauge("kubelet_pod_pending_resizes", "Number of pending resizes for pods", pending, "reason")
    under_way = sum(1 for each in records if each.progress is not None)
    yield _gauge("kubelet_pod_in_progress_resizes", "Number of in-progress resizes for pods", {(): under_way})
    onlookers = sum(len(spec.ephemeral_containers(each.pod)) for each in records)
    text = "Number of ephemeral containers of the node's pods"
    yield _gauge("kubelet_managed_ephemeral_containers", text, {(): onlookers})


def _of_volumes(workers: list[PodWorker]) -> Iterator[Metric]:
    """Of claims, what the file systems say on which their volumes are."""
    found: dict[tuple[str, str], os.statvfs_result] = {}
    for worker in workers:
        state = worker.state
        for volume in state.pod["spec"].get("volumes") or ():
            if worker.counts and volume.keys() & {"persistentVolumeClaim", "ephemeral"}:
                claim = (state.pod["metadata"]["namespace"], claims.claim_of(state.pod, volume))
                with contextlib.suppress(OSError):  # it isn't there yet
                    found[claim] = os.statvfs(state.volumes.path(volume))
    for name, what, value in _VOLUME_STATS:
        values = {claim: float(value(stats)) for claim, stats in found.items()}
        labels = ("namespace", "persistentvolumeclaim")
        yield _gauge(f"kubelet_volume_stats_{name}", f"{what} in the volume", values, *labels)


_VOLUME_STATS: tuple[tuple[str, str, Callable[[os.statvfs_result], int]], ...] = (
    ("capacity_bytes", "Capacity in bytes", lambda found: found.f_blocks * found.f_frsize),
    ("available_bytes", "Available bytes", lambda found: found.f_bavail * found.f_frsize),
    ("used_bytes", "Used bytes", lambda found: (found.f_blocks - found.f_bfree) * found.f_frsize),
    ("inodes", "Maximum number of inodes", lambda found: found.f_files),
    ("inodes_free", "Number of free inodes", lambda found: found.f_ffree),
    ("inodes_used", "Number of used inodes", lambda found: found.f_files - found.f_ffree),
)


def _truth(value: object) -> str:
    """As upstream's label `static` has it."""
    return "true" if value else ""


def _gauge(name: str, text: str, values: Mapping[Any, float], *labels: str) -> GaugeMetricFamily:
    family = GaugeMetricFamily(name, text, labels=list(labels))
    for each, value in sorted(values.items()):
        family.add_metric(list(each), value)
    return family
