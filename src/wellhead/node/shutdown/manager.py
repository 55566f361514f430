"""Ends a node's pods when it shuts down, and says meanwhile that it takes no more.

Source: pkg/kubelet/nodeshutdown of v1.36, which hears of it from systemd by D-Bus. Here it is a signal:
whoever stops a machine sends it, and waits for the file's `endTime`.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from wellhead.api.meta import Obj
from wellhead.client.events import EventRecorder
from wellhead.linux import files
from wellhead.node.configuration import ShutdownGracePeriod
from wellhead.node.pods import spec
from wellhead.node.pods.admission import Refusal
from wellhead.node.pods.record import End
from wellhead.node.pods.worker import PodWorker
from wellhead.node.shutdown import plan

_log = logging.getLogger(__name__)

FILE = "graceful_node_shutdown_state"
"""Beside the pods' directory, with `startTime` and, once it is over, `endTime` (RFC 3339)."""

PROBLEM = "node is shutting down"
_REASON, _MESSAGE = "Terminated", "Pod was terminated in response to imminent node shutdown."
_REFUSAL = Refusal("NodeShutdown", "Pod was rejected as the node is shutting down.")
_TOLD_SECONDS = 5.0


class State(msgspec.Struct, rename="camel", omit_defaults=True):
    """What the file says."""

    start_time: str = ""
    end_time: str = ""


def read(root: Path) -> State:
    """How the last shutdown went, if there was any."""
    try:
        return msgspec.json.decode((root / FILE).read_bytes(), type=State)
    except (OSError, msgspec.DecodeError):
        return State()


class ShutdownManager:
    """`periods` are by rising priority; without any, pods are left alone. `changed`: it begins, or is off."""

    def __init__(
        self,
        node_name: str,
        root: Path,
        periods: Sequence[ShutdownGracePeriod],
        recorder: EventRecorder,
        workers: Callable[[], Iterable[PodWorker]],
    ) -> None:
        # As upstream's kubelet does: the UID of events about a Node is its name.
        self._node = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": node_name, "uid": node_name}}
        self._root = root
        self._periods = tuple(periods)
        self._recorder = recorder
        self._workers = workers
        self._called = asyncio.Event()
        self._off = asyncio.Event()
        self.changed: Callable[[], None] = lambda: None
        self.state = read(root)

    @property
    def shutting_down(self) -> bool:
        return self._called.is_set()

    def begin(self) -> None:
        """The machine is about to stop."""
        if not self._periods:
            _log.warning("told to shut down, but there is no shutdownGracePeriod: pods are left alone")
        elif not self.shutting_down:
            self._off.clear()
            self._called.set()
            self._say("Shutdown manager detected shutdown event")

    def cancel(self) -> None:
        """It is not, after all: pods may come again. Those that were ended are."""
        if self.shutting_down:
            self._called.clear()
            self._off.set()
            self._say("Shutdown manager detected shutdown cancellation")

    def _say(self, what: str) -> None:
        _log.warning("%s", what)
        self._recorder.event(self._node, "Normal", "NodeShutdown", what)
        self.changed()

    def refusal(self, pod: Obj) -> Refusal | None:
        """The node takes no pod while it shuts down."""
        return _REFUSAL if self.shutting_down else None

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await self._called.wait()
            await self.end_pods()
            await self._off.wait()

    async def end_pods(self) -> None:
        """End all of them, one group after the other, and write down when it began and was done."""
        self.state = State(start_time=_now())
        await self._save()
        await self._end_groups()
        self.state.end_time = _now()
        await self._save()
        _log.info("nothing runs any more that is to be ended")

    async def _end_groups(self) -> None:
        workers = {worker.uid: worker for worker in self._workers() if worker.counts}
        for group in plan.groups(self._periods, [worker.state.pod for worker in workers.values()]):
            if not self.shutting_down:
                return
            mine = [workers[pod["metadata"]["uid"]] for pod in group.pods]
            for worker in mine:
                seconds = plan.grace(worker.state.pod, group)
                _log.info("ending %s within %d s", spec.described(worker.state.pod), seconds)
                await worker.end(End(_REASON, _MESSAGE, seconds, _MESSAGE))
            await _all([worker.gone() for worker in mine], float(group.seconds))
        # The machine goes when we say so: let the API hear of its pods before.
        await _all([worker.told() for worker in workers.values()], _TOLD_SECONDS)

    async def _save(self) -> None:
        content = msgspec.json.encode(self.state)
        try:
            await asyncio.to_thread(files.write_atomically, self._root / FILE, content)
        except OSError as error:
            _log.warning("%s: %s", self._root / FILE, error)


async def _all(work: Sequence[Coroutine[Any, Any, None]], seconds: float) -> None:
    """Wait for all of it, but no longer than so long."""
    tasks = [asyncio.ensure_future(each) for each in work]
    if tasks:
        _, late = await asyncio.wait(tasks, timeout=seconds)
        for task in late:
            task.cancel()


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
