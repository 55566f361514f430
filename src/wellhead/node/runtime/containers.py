"""Create, start, signal, wait for and delete containers.

What is needed to find a container again after the agent was killed lies in files: its bundle (config.json,
pid, conmon.pid) and the runtime's own directory, which is only valid while the machine runs.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import shutil
import signal
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from wellhead.linux import descriptors, id_mapped, mounts, proc, programs, trees
from wellhead.node.runtime import commands, image_directories, leftovers, oci
from wellhead.node.runtime.cgroups import Cgroups, Limits, Pod
from wellhead.node.runtime.commands import CommandFailed
from wellhead.node.runtime.operations import Operations

_log = logging.getLogger(__name__)

# Who writes a 0 means itself. A container that is gone has no such file; crun says so better.
_ENTER = 'while [ "$1" != -- ]; do echo 0 >"$1"; shift; done 2>/dev/null; shift; exec "$@"'


@dataclass(frozen=True)
class Exit:
    """How a container ended: its exit code (128 + N after signal N), and when."""

    code: int
    time: datetime


class RuntimeFailure(Exception):
    """A container could not be created or started; the message is crun's or conmon's."""


class Runtime:
    """The containers of one node. `directory` holds state that is void after a reboot of the machine."""

    def __init__(self, directory: Path, cgroups: Cgroups | None = None) -> None:
        self._cgroups = cgroups
        self.operations = Operations()
        self._state = directory / "crun"
        self._exits = directory / "exits"
        self._sockets = directory / "sockets"
        self._crun = shutil.which("crun") or "/usr/bin/crun"
        for path in (self._state, self._exits, self._sockets):
            path.mkdir(parents=True, exist_ok=True)

    def command(self, *arguments: str) -> list[str]:
        """The crun command line with our global options."""
        return [self._crun, "--root", str(self._state), "--cgroup-manager=disabled", *arguments]

    def within(self, id: str, *arguments: str) -> list[str]:
        """As `command`, for one that starts something in a container: it counts as the container's."""
        directories = self._cgroups.of(id) if self._cgroups is not None else []
        if not directories:
            return self.command(*arguments)
        places = [str(each / "cgroup.procs") for each in directories]
        return ["/bin/sh", "-c", _ENTER, "sh", *places, "--", *self.command(*arguments)]

    async def create(self, container: oci.Container) -> None:
        """Make the container with its process waiting to be started.

        Raises:
            RuntimeFailure: nothing is left of it (but the bundle's directory).
        """
        bundle = container.bundle
        try:
            with self.operations.measured("create_container"):
                container = await asyncio.to_thread(self._prepare, container)
                await self._conmon(container)
                # Before it is started: all that it will be is in there.
                await asyncio.to_thread(self._adopt, container, int((bundle / "pid").read_text()))
        except (OSError, ValueError, RuntimeFailure) as error:
            await self.delete(container.id, bundle)
            raise RuntimeFailure(str(error)) from error

    async def start(self, id: str) -> None:
        """Let the process of a created container run. Raises RuntimeFailure, e.g. for a missing program."""
        try:
            with self.operations.measured("start_container"):
                await commands.run(*self.command("start", id))
        except CommandFailed as error:
            raise RuntimeFailure(error.message) from error

    async def signal(self, id: str, number: int) -> None:
        """Send a signal to the container's first process. One that has exited already is no error."""
        try:
            with self.operations.measured("stop_container"):
                await commands.run(*self.command("kill", id, str(number)))
        except CommandFailed as error:
            _log.debug("kill %s %d: %s", id, number, error.message)

    async def exited(self, id: str, bundle: Path) -> Exit | None:
        """Wait for the container's end.

        None if nobody knows how it was, because its conmon was killed; then the container is dead too.
        """
        pidfd = self._conmon_pidfd(id, bundle)
        if pidfd is not None:
            try:
                await descriptors.readable(pidfd)
            finally:
                os.close(pidfd)
        exit_ = self._exit(id)
        if exit_ is None:
            await self._kill(id, bundle)
        return exit_

    @property
    def limits(self) -> bool:
        """Whether containers are held to their limits of memory and CPU."""
        return self._cgroups is not None

    async def starved(self, id: str) -> bool:
        """Whether the kernel has killed one of the container's processes for want of memory."""
        return self._cgroups is not None and await asyncio.to_thread(self._cgroups.killed, id)

    async def resize(self, id: str, limits: Limits) -> None:
        """Let a running container have other limits. Raises OSError: it uses more memory than it may."""
        if self._cgroups is not None and self._cgroups.has(id):
            await asyncio.to_thread(self._cgroups.apply, id, limits)

    async def resize_pod(self, pod: Pod) -> None:
        """As `resize`, for a pod as a whole."""
        if self._cgroups is not None:
            await asyncio.to_thread(self._cgroups.apply_to_pod, pod)

    async def forget_pod(self, uid: str) -> None:
        """Its containers are gone, and come no more."""
        if self._cgroups is not None:
            await asyncio.to_thread(self._cgroups.remove_pod, uid)

    def running(self, id: str, bundle: Path) -> bool:
        """Whether the container's conmon lives and has seen no exit."""
        pidfd = self._conmon_pidfd(id, bundle)
        if pidfd is None:
            return False
        os.close(pidfd)
        return self._exit(id) is None

    async def is_started(self, id: str, bundle: Path) -> bool:
        """Whether the container's process runs, and does not only wait to be started."""
        if not self.running(id, bundle):
            return False
        try:
            state = msgspec.json.decode(await commands.run(*self.command("state", id)))
        except CommandFailed:
            return False
        return bool(state["status"] == "running")

    async def delete(self, id: str, bundle: Path) -> None:
        """Remove the container, running or not. Of its bundle, the files that others put there stay."""
        with self.operations.measured("remove_container"):
            await self._kill(id, bundle)
            await asyncio.to_thread(self._clean, id, bundle)

    def attach_socket(self, id: str) -> Path:
        """Where conmon listens for those who attach."""
        return self._sockets / id / "attach"

    def strays(self, known: set[str]) -> list[tuple[str, int]]:
        """(container id, conmon's pid) of all containers that run here and are not `known`."""
        found = []
        marker = str(self._state)
        for pid in proc.pids():
            arguments = proc.arguments(pid)
            if arguments and Path(arguments[0]).name == "conmon" and marker in arguments:
                container = arguments[arguments.index("-c") + 1]
                if container not in known:
                    found.append((container, pid))
        return found

    async def sweep(self, known: set[str]) -> None:
        """End every container of ours that is not `known`: half made when an earlier agent was killed."""
        for container, pid in await asyncio.to_thread(self.strays, known):
            _log.info("removing container %s, which nobody knows", container)
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        if self._cgroups is not None:
            for container in await asyncio.to_thread(self._cgroups.left) - known:
                await asyncio.to_thread(self._cgroups.remove, container)
        for container in await asyncio.to_thread(self._left) - known:
            await self._crun_delete(container)
            await asyncio.to_thread(_delete, self._exits / container)
            await asyncio.to_thread(_delete, self._sockets / container)

    def _left(self) -> set[str]:
        return {path.name for directory in (self._state, self._exits) for path in directory.iterdir()}

    def _prepare(self, container: oci.Container) -> oci.Container:
        bundle = container.bundle
        for name in ("upper", "work", "rootfs", "persist"):
            (bundle / name).mkdir(parents=True, exist_ok=True)
        container.log.parent.mkdir(parents=True, exist_ok=True)
        _mount_root(container)
        container = image_directories.prepare(container)
        if self._cgroups is not None and (container.limits or container.pod):
            made = self._cgroups.make(container.id, container.limits or Limits(), container.pod)
            container = replace(container, cgroups=made)
        (bundle / "config.json").write_bytes(msgspec.json.encode(oci.config(container)))
        return container

    def _adopt(self, container: oci.Container, pid: int) -> None:
        if self._cgroups is not None and container.cgroups:
            self._cgroups.put(container.id, pid)
        if container.namespaces.get("pid", Path()) != Path():
            leftovers.note(container.bundle, pid)

    async def _conmon(self, container: oci.Container) -> None:
        bundle = container.bundle
        reader, writer = os.pipe()
        arguments = ["-c", container.id, "-u", container.id, "-n", container.id, "-r", self._crun]
        for argument in self.command()[1:]:
            arguments += ["--runtime-arg", argument]
        arguments += ["-b", str(bundle), "-p", str(bundle / "pid"), "-P", str(bundle / "conmon.pid")]
        arguments += ["-l", f"k8s-file:{container.log}"]
        arguments += ["--exit-dir", str(self._exits), "--persist-dir", str(bundle / "persist")]
        arguments += ["--socket-dir-path", str(self._sockets), "--no-new-keyring"]
        if container.terminal:
            arguments.append("-t")
        if container.stdin:
            arguments.append("-i")
            if container.terminal or not container.stdin_once:  # people come back to a terminal
                arguments.append("--leave-stdin-open")
        try:
            process = programs.start(
                "conmon",
                *arguments,
                pass_fds=(writer,),
                env=os.environ | {"_OCI_SYNCPIPE": str(writer)},
                new_session=True,
            )
        except OSError as error:
            os.close(reader)
            raise RuntimeFailure(f"conmon: {error.strerror}") from error
        finally:
            os.close(writer)
        answer = await _read_line(reader)
        await process.wait()
        # conmon exits with 0 even when crun failed: only this line tells.
        report = msgspec.json.decode(answer) if answer else {}
        if int(report.get("pid", -1)) <= 0:
            raise RuntimeFailure(str(report.get("message") or "conmon ended without an answer").strip())

    def _conmon_pidfd(self, id: str, bundle: Path) -> int | None:
        try:
            pid = int((bundle / "conmon.pid").read_text())
            pidfd = os.pidfd_open(pid)
        except (OSError, ValueError):
            return None
        if id in proc.arguments(pid):  # else the number is another process's by now
            return pidfd
        os.close(pidfd)
        return None

    def _exit(self, id: str) -> Exit | None:
        path = self._exits / id
        try:
            return Exit(int(path.read_text()), datetime.fromtimestamp(path.stat().st_mtime, UTC))
        except (OSError, ValueError):
            return None

    async def _kill(self, id: str, bundle: Path) -> None:
        """End the container and its conmon, if they are there."""
        pidfd = self._conmon_pidfd(id, bundle)
        await self._crun_delete(id)
        if pidfd is None:
            return
        try:
            # conmon ends by itself once its container has; it writes the exit code on the way.
            async with asyncio.timeout(2):
                await descriptors.readable(pidfd)
        except TimeoutError:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(pidfd, signal.SIGKILL)
        finally:
            os.close(pidfd)

    async def _crun_delete(self, id: str) -> None:
        if not (self._state / id).exists():
            return
        try:
            await commands.run(*self.command("delete", "--force", id))
        except CommandFailed as error:
            _log.debug("delete %s: %s", id, error.message)
            await asyncio.to_thread(_delete, self._state / id)

    def _clean(self, id: str, bundle: Path) -> None:
        leftovers.end(bundle)
        mounts.umount_below(bundle)
        for name in ("upper", "work", "lower", "rootfs", "persist"):
            _delete(bundle / name)
        for name in ("config.json", "pid", "conmon.pid", "ctl", "winsz", "attach"):
            (bundle / name).unlink(missing_ok=True)
        (self._exits / id).unlink(missing_ok=True)
        _delete(self._sockets / id)
        if self._cgroups is not None:
            self._cgroups.remove(id)


def _mount_root(container: oci.Container) -> None:
    """The image's files, and over them what the container will write. Raises OSError."""
    bundle, lower = container.bundle, container.rootfs
    users = container.namespaces.get("user")
    if users is not None:
        lower = bundle / "lower"
        lower.mkdir(exist_ok=True)
        id_mapped.mount(container.rootfs, lower, users)
        for name in ("upper", "work"):
            os.chown(bundle / name, container.first_id, container.first_id)
    try:
        layers = f"lowerdir={lower},upperdir={bundle / 'upper'},workdir={bundle / 'work'}"
        # An image's device nodes aren't for everybody: there is no device cgroup that says which are.
        flags = 0 if container.privileged else mounts.MS_NODEV
        mounts.mount("overlay", bundle / "rootfs", "overlay", flags, layers)
    finally:
        if users is not None:
            id_mapped.umount(lower)  # the overlay keeps it


def reopen_log(bundle: Path) -> None:
    """Have conmon begin a new file where its log was. Raises OSError: nobody listens."""
    # The second of conmon's control messages (ctrl.c); the numbers of the first one, a terminal's size.
    control = os.open(bundle / "ctl", os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        os.write(control, b"2 0 0\n")
    finally:
        os.close(control)


def _delete(path: Path) -> None:
    """Delete a tree, or as much of it as can be: what is left goes with the pod's directory."""
    try:
        trees.delete(path)
    except OSError as error:
        _log.warning("removing %s: %s", path, error)


async def _read_line(fd: int) -> bytes:
    """What comes through a pipe up to the end of a line or of the stream. Closes `fd`."""
    os.set_blocking(fd, False)
    line = b""
    try:
        while not line.endswith(b"\n") and (more := await descriptors.read(fd)):
            line += more
    finally:
        os.close(fd)
    return line
