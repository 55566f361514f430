"""The first process of a pod whose containers share a process namespace (`shareProcessNamespace`).

It reaps orphans and does nothing else. It is the only file of a container of its own and has no rights:
whoever may look into it, as those that may trace others can, finds nothing of the node there. Source: "Share
Process Namespace between Containers in a Pod"; what sandboxes are in containerd's pkg/cri.
"""

from __future__ import annotations

import asyncio
import os
import shutil
from pathlib import Path

from wellhead.linux import files, mounts
from wellhead.node.pods.context import Context
from wellhead.node.pods.record import PodRecord, RecordFile
from wellhead.node.runtime.containers import RuntimeFailure
from wellhead.node.runtime.oci import Container, User

_PROGRAM = "catatonit"
_NAME = "pause"  # as `ps` shows it in the containers
_NOBODY = 65535
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class HolderError(Exception):
    """There is no such process; the message says why."""


class ProcessHolder:
    """That of one pod; `namespace` is the file that the process namespace is mounted at."""

    def __init__(self, context: Context, directory: Path, namespace: Path, file: RecordFile) -> None:
        self._context = context
        self._bundle = directory / "holder"
        self._namespace = namespace
        self._file = file

    async def start(self, record: PodRecord, namespaces: dict[str, Path | None]) -> None:
        """Start it, in the pod's other namespaces, and pin its own.

        Raises:
            HolderError: something failed; what was made so far is removed again by `stop`.
        """
        runtime = self._context.runtime
        await self.stop(record)
        record.holder = os.urandom(32).hex()
        await self._file.save(record)  # before anything of it is made
        try:
            container = Container(
                id=record.holder,
                bundle=self._bundle,
                rootfs=await asyncio.to_thread(self._root),
                log=self._bundle / "log",
                args=(f"/{_NAME}", "-P"),
                user=User(_NOBODY, _NOBODY),
                namespaces={kind: path for kind, path in namespaces.items() if kind != "pid"},
                first_id=record.first_id,
                capabilities=(),
                read_only_rootfs=True,
                no_new_privileges=True,
            )
            await runtime.create(container)
            await runtime.start(container.id)
            await asyncio.to_thread(self._pin)
        except (OSError, RuntimeFailure) as error:
            raise HolderError(f"the process that holds the pod's process namespace: {error}") from error

    async def ended(self, record: PodRecord) -> None:
        """Wait for its end; with it goes every process of the pod."""
        await self._context.runtime.exited(record.holder, self._bundle)

    async def stop(self, record: PodRecord) -> None:
        """End it, if there is one, and with it every process that is left in its namespace."""
        if record.holder:
            await self._context.runtime.delete(record.holder, self._bundle)
            record.holder = ""

    def _root(self) -> Path:
        """A root directory with nothing in it but the program. Raises OSError."""
        program = shutil.which(_PROGRAM, path=_PATH)
        if program is None:
            raise FileNotFoundError(f"{_PROGRAM} is not installed")
        root = self._context.pods.parent / _NAME
        root.mkdir(exist_ok=True)
        files.write_if_different(root / _NAME, Path(program).read_bytes(), 0o755)
        return root

    def _pin(self) -> None:
        pid = int((self._bundle / "pid").read_text())
        self._namespace.touch()
        mounts.mount(f"/proc/{pid}/ns/pid", self._namespace, flags=mounts.MS_BIND)
