"""What the agent must remember of a pod when it is killed: one JSON file, replaced at every step.

Written before a container is made and after each thing that happened to it, so that what a file doesn't
mention was never started, and what it says runs either still runs or ended while nobody looked.
"""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path

import msgspec

from wellhead.api.meta import Obj
from wellhead.linux import files
from wellhead.node.runtime.commands import uninterrupted

_log = logging.getLogger(__name__)

FILE = "pod.json"


class Attempt(msgspec.Struct, omit_defaults=True):
    """One run of a container. Times are RFC 3339; `finished_at` is "" while it runs.

    `number` counts restarts. `launched`: its process was started. `started`: its startup probe (if any) has
    passed. `ready`: its readiness probe's last word. `lost`: it ended because what kept it did (its conmon,
    its machine), so that nobody knows its own exit code, and nobody may blame it. `replaced`: it is ended
    because the spec names another image now. `user` are its first process' user, group and further groups.
    `image_name` is what its registry calls the image for good, if it came from one.
    """

    id: str
    number: int
    image: str
    image_id: str
    launched: bool = False
    started: bool = False
    ready: bool = False
    started_at: str = ""
    finished_at: str = ""
    exit_code: int = 0
    lost: bool = False
    replaced: bool = False
    user: tuple[int, ...] = ()
    reason: str = ""
    message: str = ""
    image_name: str = ""

    @property
    def running(self) -> bool:
        return self.launched and not self.finished_at

    @property
    def succeeded(self) -> bool:
        return bool(self.finished_at) and self.exit_code == 0


class ContainerRecord(msgspec.Struct, omit_defaults=True):
    """A container's present run, the one before it, and how long to wait before the next (seconds).

    `resources` are what the present run has: they follow what is allocated to it.
    """

    current: Attempt | None = None
    last: Attempt | None = None
    delay: float = 0.0
    resources: Obj | None = None


class End(msgspec.Struct, frozen=True, omit_defaults=True):
    """The node has to end a pod: the status says why, and it has so many seconds.

    `disruption` is the message of its condition DisruptionTarget; "": it has none, being to blame itself.
    """

    reason: str
    message: str
    grace: float
    disruption: str = ""


class Resize(msgspec.Struct, omit_defaults=True):
    """What is said of resources that are asked for: of which generation, and what is in the way."""

    generation: int = 0
    reason: str = ""
    message: str = ""


class PodRecord(msgspec.Struct, omit_defaults=True):
    """Everything about one pod.

    `ips` is empty until it has a sandbox, and always with the host's network; `holds_ips` says that the
    addresses are still its own. `holder` is the container that holds its process namespace,
    `first_id` the user and group of the node that is root in its user namespace. `phase` is set
    when the pod has come to its end; `reason` and `message` then say why, if it isn't obvious. `rejected`:
    the node never took it.
    """

    pod: Obj
    ips: tuple[str, ...] = ()
    holds_ips: bool = False
    sandbox: bool = False
    holder: str = ""
    first_id: int = 0
    started_at: str = ""
    phase: str = ""
    reason: str = ""
    message: str = ""
    rejected: bool = False
    end: End | None = None
    pending: Resize | None = None
    """Of resources that the node can't grant (now)."""
    progress: Resize | None = None
    """Of resources that are granted and that containers don't have yet."""
    allocated: dict[str, Obj] = {}
    """What the node has granted to its containers: the `resources` of each; under "" to the pod itself."""
    whole: Obj | None = None
    """The `resources` that its containers have in all."""
    containers: dict[str, ContainerRecord] = {}

    def of(self, name: str) -> ContainerRecord:
        """The named container's record, made if it isn't there."""
        return self.containers.setdefault(name, ContainerRecord())


class RecordFile:
    """The file of one record, in the pod's directory. Written in a thread, one write after the other."""

    def __init__(self, directory: Path) -> None:
        self._path = directory / FILE
        self._writing = asyncio.Lock()
        self._wanted = self._written = b""

    async def save(self, record: PodRecord) -> None:
        """Let the file say what the record says now; on return it does, even if the machine crashes.

        Whoever waits while another write is under way shares the next one. Raises OSError.
        """
        self._wanted = msgspec.json.encode(record)
        async with self._writing:
            content = self._wanted
            if content != self._written:
                await uninterrupted(asyncio.to_thread(self._write, content))

    def _write(self, content: bytes) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        files.write_atomically(self._path, content)
        self._written = content


def load_all(pods: Path) -> dict[str, PodRecord]:
    """Every pod's record, by the name of its directory (its UID). A damaged one is left out, and logged."""
    found = {}
    for path in sorted(pods.glob(f"*/{FILE}")):
        try:
            found[path.parent.name] = msgspec.json.decode(path.read_bytes(), type=PodRecord)
        except (msgspec.DecodeError, OSError) as error:
            _log.warning("%s: %s", path, error)
    return found
