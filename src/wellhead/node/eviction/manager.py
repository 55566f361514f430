"""Looks at what the node has left, and at pods with limits of the disk, and ends pods.

The node: every ten seconds, a few small reads. Pods: only those that have a limit, every ten seconds, and
fifty times as long as a look at all of them took.

Source: pkg/kubelet/eviction/eviction_manager.go of v1.36.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from wellhead.api.meta import Obj
from wellhead.api.names import MEMORY_PRESSURE_TAINT
from wellhead.api.placement import untolerated
from wellhead.client.events import EventRecorder
from wellhead.node.configuration import Eviction
from wellhead.node.eviction import disk, local_storage, ranking, thresholds
from wellhead.node.eviction.observing import observe
from wellhead.node.eviction.pressure import Pressure
from wellhead.node.eviction.ranking import Used
from wellhead.node.eviction.thresholds import RESOURCES, Observations, Threshold
from wellhead.node.pods import spec
from wellhead.node.pods.admission import Refusal
from wellhead.node.pods.record import End
from wellhead.node.pods.worker import PodWorker
from wellhead.node.usage.containers import first_processes
from wellhead.node.usage.reading import read

_log = logging.getLogger(__name__)

EVICTED = "Evicted"
_SECONDS = 10.0
_SHARE = 50  # a look at all pods may take one part in so many of the time
_AT_ONCE = 1.0  # seconds that a pod has when it must go at once
_CLEANUP = 30.0  # seconds until what a pod had must have come back
_REASONS = {
    "MemoryPressure": ("NodeHasSufficientMemory", "NodeHasInsufficientMemory"),
    "DiskPressure": ("NodeHasNoDiskPressure", "NodeHasDiskPressure"),
    "PIDPressure": ("NodeHasSufficientPID", "NodeHasInsufficientPID"),
}
"""Of events, when a condition ends and begins."""
_MEMORY_TAINT = {"key": MEMORY_PRESSURE_TAINT, "effect": "NoSchedule"}


class EvictionManager:
    """`workers` are the node's. `changed` is called when `conditions` have."""

    def __init__(
        self,
        node_name: str,
        directories: tuple[Path, Path],
        config: Eviction,
        recorder: EventRecorder,
        workers: Callable[[], Iterable[PodWorker]],
    ) -> None:
        """`directories` are the one of the pods' files and the one of the images."""
        # As upstream's kubelet does: the UID of events about a Node is its name.
        self._node = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": node_name, "uid": node_name}}
        self._node_name = node_name
        self._directories = directories
        self._config = config
        self._recorder = recorder
        self._workers = workers
        self.changed: Callable[[], None] = lambda: None
        self._pressure = Pressure(config.thresholds, config.transition)
        self._poked = asyncio.Event()
        self.evictions: dict[str, int] = {}
        """How many there were, by signal."""

    @property
    def conditions(self) -> frozenset[str]:
        """The node's pressures now: MemoryPressure, DiskPressure, PIDPressure."""
        return self._pressure.conditions

    def refusal(self, pod: Obj) -> Refusal | None:
        """Why the node takes no such pod now: it would be the next to go."""
        names = sorted(self.conditions)
        if not names or ranking.is_critical(pod):
            return None
        if names == ["MemoryPressure"] and (
            spec.qos_class(pod) != "BestEffort"
            or not untolerated([_MEMORY_TAINT], pod["spec"].get("tolerations") or [], ("NoSchedule",))
        ):
            return None
        return Refusal(EVICTED, f"The node had condition: [{' '.join(names)}]. ")

    def pod_changed(self, old: Obj | None, new: Obj | None) -> None:
        """The API has another pod of this node, or another version of one."""
        if new is not None and local_storage.largest(new) is not None:
            self._poked.set()

    async def run(self) -> None:
        """Until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._watch_node())
            if self._config.local_storage:
                group.create_task(self._watch_pods())

    # The node

    async def _watch_node(self) -> None:
        while self._config.thresholds:
            if not await self.look():
                await asyncio.sleep(_SECONDS)

    async def look(self) -> bool:
        """Look at the node once, and end one pod if that must be. Returns whether one had to go."""
        observed = await self._observe()
        before = self.conditions
        acting = self._pressure.look(observed, asyncio.get_running_loop().time())
        if self.conditions != before:
            _log.warning("pressure: %s", ", ".join(sorted(self.conditions)) or "none any more")
            for name in sorted(self.conditions ^ before):
                reason = _REASONS[name][name in self.conditions]
                text = f"Node {self._node_name} status is now: {reason}"
                self._recorder.event(self._node, "Normal", reason, text)
            self.changed()
        if not acting:
            return False
        threshold = thresholds.first(acting)
        resource = RESOURCES[threshold.signal]
        self._recorder.event(
            self._node, "Warning", "EvictionThresholdMet", f"Attempting to reclaim {resource}"
        )
        return await self._reclaim(threshold, observed)

    async def _observe(self) -> Observations:
        return await asyncio.to_thread(observe, *self._directories)

    async def _reclaim(self, threshold: Threshold, observed: Observations) -> bool:
        resource = RESOURCES[threshold.signal]
        workers = {worker.uid: worker for worker in self._active()}
        used = await asyncio.to_thread(_used, list(workers.values()), resource)
        pods = [worker.state.pod for worker in workers.values()]
        for pod in ranking.ranked(pods, resource, used):
            if ranking.is_critical(pod):
                _log.error("a critical pod is not evicted: %s", spec.described(pod))
                continue
            uid = pod["metadata"]["uid"]
            grace = _AT_ONCE
            if not threshold.hard:
                grace = float(min(self._config.longest_grace, spec.grace_period(pod)))
            seen = observed[threshold.signal]
            message, annotations = ranking.message(pod, threshold, seen, used.get(uid))
            end = End(EVICTED, message, grace, message)
            await self._evict(workers[uid], threshold.signal, end, annotations)
            await _gone(workers[uid], grace + _CLEANUP)
            return True
        _log.error("no pod can be evicted for %s", resource)
        return False

    # Pods

    async def _watch_pods(self) -> None:
        clock = asyncio.get_running_loop().time
        while True:
            self._poked.clear()
            begin = clock()
            any_limited = await self.look_at_pods()
            took = clock() - begin
            if any_limited:
                await asyncio.sleep(max(_SECONDS, took * _SHARE))
            else:
                await self._poked.wait()

    async def look_at_pods(self) -> bool:
        """End the pods that exceed a limit. Returns whether any has one."""
        for worker in self._active():
            pod = worker.state.pod
            largest = local_storage.largest(pod)
            if largest is None:
                continue
            usage = await asyncio.to_thread(disk.used, worker.state, largest)
            found = local_storage.excess(pod, usage)
            if found is None:
                continue
            if ranking.is_critical(pod):
                _log.error("a critical pod is not evicted: %s: %s", spec.described(pod), found.message)
                continue
            await self._evict(worker, found.signal, End(EVICTED, found.message, _AT_ONCE))
        pods = (worker.state.pod for worker in self._workers() if worker.counts)
        return any(local_storage.largest(pod) is not None for pod in pods)

    def _active(self) -> list[PodWorker]:
        return [
            worker
            for worker in list(self._workers())
            if worker.counts and not worker.ending and worker.state.record.started_at
        ]

    async def _evict(
        self, worker: PodWorker, why: str, end: End, annotations: Mapping[str, str] | None = None
    ) -> None:
        _log.warning("evicting %s: %s", spec.described(worker.state.pod), end.message)
        self.evictions[why] = self.evictions.get(why, 0) + 1
        worker.state.event("Warning", EVICTED, end.message, annotations)
        await worker.end(end)


async def _gone(worker: PodWorker, seconds: float) -> None:
    """Wait until nothing of the pod runs, but no longer than so long."""
    gone = asyncio.ensure_future(worker.gone())
    await asyncio.wait({gone}, timeout=seconds)
    gone.cancel()


def _used(workers: Iterable[PodWorker], resource: str) -> dict[str, Used]:
    """What the pods use of it, by uid. Blocks."""
    if resource in ("memory", "pids"):
        reading = read(dict(first_processes(worker.state for worker in workers)))
        found = {}
        for worker in workers:
            current = {name: each.current for name, each in list(worker.state.record.containers.items())}
            mine = {
                name: reading.containers[attempt.id]
                for name, attempt in current.items()
                if attempt is not None and attempt.id in reading.containers
            }
            found[worker.uid] = Used(
                memory=sum(each.memory for each in mine.values()),
                processes=sum(each.processes for each in mine.values()),
                containers={"memory": {name: each.memory for name, each in mine.items()}},
            )
        return found
    taken = {worker.uid: disk.used(worker.state) for worker in workers}
    return {
        uid: Used(disk=each.total, inodes=each.inodes, containers={local_storage.RESOURCE: each.containers})
        for uid, each in taken.items()
    }
