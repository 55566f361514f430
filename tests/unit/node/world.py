"""One pod's containers without a runtime: what the agent asks of it, and what it hears back."""

from __future__ import annotations

import asyncio
import hashlib
import signal
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from tests.patience import PATIENCE
from tests.unit.node import pods
from wellhead.images.store import MANIFEST, Config, Image, ImageStore
from wellhead.node.pods.arrivals import Arrivals
from wellhead.node.pods.context import Context
from wellhead.node.pods.files import Dns
from wellhead.node.pods.record import ContainerRecord, PodRecord, RecordFile
from wellhead.node.pods.sandbox import Sandbox
from wellhead.node.pods.state import PodState
from wellhead.node.pods.status import View
from wellhead.node.pods.supervisor import Supervisor
from wellhead.node.references import Reference
from wellhead.node.runtime import oci
from wellhead.node.runtime.cgroups import Limits
from wellhead.node.runtime.containers import Exit
from wellhead.node.runtime.operations import Operations
from wellhead.node.volumes.pod_volumes import PodVolumes

Obj = dict[str, Any]


class Runtime:
    """Containers that do nothing until `end` is called, or they get a signal that they obey."""

    def __init__(self) -> None:
        self.operations = Operations()
        self.created: list[oci.Container] = []
        self.signals: list[int] = []
        self.deleted: list[str] = []
        self.hungry: set[str] = set()
        self.resized: list[Limits] = []
        self.obeys: set[int] = {signal.SIGTERM, signal.SIGKILL, signal.SIGQUIT}
        self._ended: dict[str, asyncio.Future[Exit | None]] = {}

    limits = True

    async def starved(self, id: str) -> bool:
        return id in self.hungry

    async def resize(self, id: str, limits: Limits) -> None:
        self.resized.append(limits)

    async def create(self, container: oci.Container) -> None:
        self.created.append(container)
        self._ended[container.id] = asyncio.get_running_loop().create_future()

    async def start(self, id: str) -> None:
        pass

    async def signal(self, id: str, number: int) -> None:
        self.signals.append(number)
        if number in self.obeys:
            self.end(137 if number == signal.SIGKILL else 0)

    async def exited(self, id: str, bundle: Path) -> Exit | None:
        return await asyncio.shield(self._ended[id])

    async def delete(self, id: str, bundle: Path) -> None:
        self.deleted.append(id)

    async def is_started(self, id: str, bundle: Path) -> bool:
        return not self._ended[id].done()

    def end(self, code: int | None) -> None:
        """Let the newest container end; None: nobody knows how."""
        ended = self._ended[self.created[-1].id]
        if not ended.done():
            ended.set_result(None if code is None else Exit(code, datetime.now(UTC)))


class Recorder:
    """Keeps the events: (reason, message)."""

    def __init__(self) -> None:
        self.events: list[tuple[str, str]] = []

    def event(self, obj: Obj, type: str, reason: str, message: str, annotations: object = None) -> None:
        self.events.append((reason, message))

    def said(self, reason: str) -> list[str]:
        return [message for each, message in self.events if each == reason]


class Objects:
    """ConfigMaps and Secrets: those that a test puts there."""

    def __init__(self, there: dict[Reference, Obj]) -> None:
        self._there = there

    async def get(self, reference: Reference) -> Obj | None:
        return self._there.get(reference)


class World:
    """A pod's state in a directory of a test's, with the image `busybox`."""

    def __init__(self, directory: Path, pod: Obj) -> None:
        self.runtime, self.recorder = Runtime(), Recorder()
        add_image(directory / "images", "busybox")
        unused: Any = None
        runtime: Any = self.runtime
        recorder: Any = self.recorder
        self.objects: dict[Reference, Obj] = {}
        objects: Any = Objects(self.objects)
        context = Context(
            node_name="node-1",
            host_ips=("10.240.0.11",),
            pods=directory / "pods",
            client=unused,
            http=unused,
            recorder=recorder,
            references=objects,
            services=[],  # type: ignore[arg-type]
            images=ImageStore(directory / "images"),
            arrivals=Arrivals(directory / "images"),
            runtime=runtime,
            links=unused,
            rules=unused,
            addresses=unused,
            spoofing=frozenset(),
            dns=Dns(),
            capabilities=frozenset(),
            allocatable={},
        )
        own = context.pods / pod["metadata"]["uid"]
        own.mkdir(parents=True, exist_ok=True)
        file = RecordFile(own)
        self.state = PodState(
            context=context,
            directory=own,
            record=PodRecord(pod, ips=("10.244.1.2",)),
            view=View(context.host_ips),
            sandbox=Sandbox(context, own, file),
            volumes=PodVolumes(pod, unused, unused, own / "volumes", {}),
            file=file,
        )
        self._changed = asyncio.Event()
        self.state.listeners.append(self._changed.set)

    def supervise(self, *, init: bool = False) -> Supervisor:
        """Let the pod's first container be kept, until told to stop."""
        supervisor = Supervisor(self.state, self.state.pod["spec"]["containers"][0], init=init)
        self.task = asyncio.ensure_future(supervisor.run())
        self.task.add_done_callback(lambda _: self._changed.set())
        return supervisor

    @property
    def main(self) -> ContainerRecord:
        return self.state.record.of("main")

    def runs(self, number: int) -> bool:
        """Whether that run of the container `main` is under way."""
        current = self.main.current
        return current is not None and current.number == number and current.running

    async def until(self, question: Any) -> None:
        """Wait until something is so that shows in the state."""
        async with asyncio.timeout(PATIENCE):
            while not question():
                if self.task.done() and (error := self.task.exception()):
                    raise error
                self._changed.clear()
                await self._changed.wait()


def add_image(directory: Path, name: str, **config: Any) -> Image:
    """An image without files, which does `sh` if nothing else is said."""
    digest = hashlib.sha256(name.encode()).hexdigest()
    full = f"docker.io/library/{name}" + ("" if ":" in name else ":latest")
    config.setdefault("cmd", ("sh",))
    created = "2026-01-01T00:00:00Z"
    image = Image(f"sha256:{digest}", (full,), Config(**config), "recipe", created, 1)
    (directory / digest / "rootfs/etc").mkdir(parents=True, exist_ok=True)
    (directory / digest / MANIFEST).write_bytes(msgspec.json.encode(image))
    return image


def world(directory: Path, *containers: Obj, **spec: Any) -> World:
    """A pod with these containers."""
    return World(directory, pods.pod(*containers, **spec))
