"""One pod's state while the agent runs: record, sandbox, volumes, and who wants to know of changes."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from wellhead.api.meta import Obj
from wellhead.client.events import EventType
from wellhead.node.pods import room
from wellhead.node.pods.context import Context
from wellhead.node.pods.record import PodRecord, RecordFile
from wellhead.node.pods.sandbox import Sandbox
from wellhead.node.pods.status import View, Waiting
from wellhead.node.runtime import execs
from wellhead.node.runtime.cgroups import Limits, Pod
from wellhead.node.volumes.pod_volumes import PodVolumes
from wellhead.text import printable

_log = logging.getLogger(__name__)


@dataclass
class PodState:
    """Shared by a pod's worker and the supervisors of its containers."""

    context: Context
    directory: Path
    record: PodRecord
    view: View
    sandbox: Sandbox
    volumes: PodVolumes
    file: RecordFile
    listeners: list[Callable[[], None]] = field(default_factory=list)
    restart_all: Callable[[], None] = lambda: None
    """To be called when a container's end means that all of them start anew."""
    heard: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when the API has another version of the pod, and another one then."""

    probes: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    """How many probes there were, by (container, kind, result)."""

    @property
    def pod(self) -> Obj:
        return self.record.pod

    @property
    def ips(self) -> tuple[str, ...]:
        """The addresses at which the pod's containers are reached, the primary one first."""
        return self.record.ips or self.context.host_ips

    @property
    def ip(self) -> str:
        """The primary one."""
        return self.ips[0]

    def granted(self, container: Obj) -> Obj:
        """A container of the spec with the resources that the node has granted it."""
        granted = self.record.allocated.get(container["name"])
        return container if granted is None else container | {"resources": granted}

    @property
    def granted_pod(self) -> Obj:
        """The pod with what the node has granted it."""
        return room.granted(self.pod, self.record.allocated)

    @property
    def in_all(self) -> Pod | None:
        """What its containers may have together; None if nobody asks for anything."""
        limits = Limits.of(room.together(self.granted_pod))
        return None if limits is None else Pod(self.pod["metadata"]["uid"], limits)

    def effective(self, container: Obj) -> Obj:
        """A container's `resources`, with the limits of its pod where it has none of its own."""
        return room.within(container.get("resources") or {}, self.record.allocated.get(room.WHOLE))

    def changed(self) -> None:
        """Say that the pod's status may have changed."""
        for listener in list(self.listeners):
            listener()

    def hear(self) -> None:
        """Say that the API has another version of the pod."""
        self.heard.set()
        self.heard = asyncio.Event()

    @contextmanager
    def listen(self, changed: Callable[[], None]) -> Iterator[None]:
        """Call `changed` whenever the pod's status may have changed."""
        self.listeners.append(changed)
        try:
            yield
        finally:
            self.listeners.remove(changed)

    async def save(self) -> None:
        """Say that the status may have changed, and write the record. Raises OSError."""
        self.changed()
        await self.file.save(self.record)

    async def note(self) -> None:
        """As `save`, for what an agent finds out again: a full disk is no reason to stop working."""
        try:
            await self.save()
        except OSError as error:
            _log.warning("pod %s: %s", self.directory.name, error)

    def wait_for(self, name: str, waiting: Waiting | None) -> None:
        """Note why a container does not run; None when that is over."""
        if waiting is None:
            self.view.waiting.pop(name, None)
        else:
            # Others' words may be in it: a command, a path, what crun makes of them.
            self.view.waiting[name] = Waiting(waiting.reason, printable(waiting.message, lines=True))
        self.changed()

    def event(
        self, type: EventType, reason: str, message: str, annotations: Mapping[str, str] | None = None
    ) -> None:
        """Tell people something about the pod."""
        self.context.recorder.event(self.pod, type, reason, message, annotations)

    def bundle(self, name: str, number: int) -> Path:
        """The directory of a container's run."""
        return self.directory / "containers" / name / str(number)

    def log(self, name: str, number: int) -> Path:
        """The log of a container's run."""
        return self.directory / "logs" / name / f"{number}.log"

    def termination_log(self, name: str, number: int) -> Path:
        """Where a container may leave its last words."""
        return self.directory / "containers" / name / f"{number}.termination-log"

    async def run_in(self, name: str, command: tuple[str, ...]) -> execs.Result:
        """Run a command in a container's present run. Raises RuntimeFailure."""
        attempt = self.record.of(name).current
        assert attempt is not None
        runtime = self.context.runtime
        return await execs.run(runtime, attempt.id, self.bundle(name, attempt.number), command)
