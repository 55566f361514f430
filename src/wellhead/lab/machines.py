"""Machines: sets of namespaces, each held by a first process that does nothing but reap orphans.

A machine has its own network, mounts, processes and host name. Its first process is `catatonit -P`; to kill
it is to switch the machine off: the kernel kills every other process in it, and with the last of them its
mounts and interfaces are gone. Sources: namespaces(7), pid_namespaces(7), mount_namespaces(7).
"""

from __future__ import annotations

import errno
import gc
import os
import select
import shutil
import signal
import traceback
from collections.abc import Callable
from typing import NoReturn

from wellhead.lab import machine_mounts, processes
from wellhead.lab.cluster import LabError
from wellhead.linux import mounts, namespaces, signals

INIT = "catatonit"
SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

_NAMESPACES = namespaces.CLONE_NEWNET | namespaces.CLONE_NEWNS | namespaces.CLONE_NEWUTS
_HIGHEST_DESCRIPTOR = 1 << 20


class Machine:
    """A machine that is switched on, by its first process; a handle to be closed after use."""

    def __init__(self, name: str, pid: int, pidfd: int) -> None:
        self.name = name
        self.pid = pid
        self.pidfd = pidfd

    def __repr__(self) -> str:
        return f"Machine({self.name!r}, pid={self.pid})"

    @property
    def is_on(self) -> bool:
        """Whether the first process lives."""
        readable, _, _ = select.select([self.pidfd], [], [], 0)
        return not readable

    def open_network(self) -> int:
        """Open the machine's network namespace; the caller closes the descriptor.

        Raises:
            ProcessLookupError: the machine is off.
        """
        try:
            descriptor = os.open(f"/proc/{self.pid}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            raise ProcessLookupError(f"{self.name} is off") from None
        if self.is_on:
            return descriptor
        os.close(descriptor)  # the pid may be a stranger's by now
        raise ProcessLookupError(f"{self.name} is off")

    def fork(self) -> int:
        """Fork; the child, which returns 0, is in the machine's pid namespace, and should call `join`.

        Only a fork can enter a pid namespace: the caller itself joins it for that one moment. So nothing
        else may fork meanwhile, and the caller must have a single thread.

        Raises:
            ProcessLookupError: the machine is off.
        """
        try:
            return _fork(lambda: namespaces.setns(self.pidfd, namespaces.CLONE_NEWPID))
        except OSError as error:
            if error.errno in (errno.ESRCH, errno.ENOMEM, errno.EINVAL) and not self.is_on:
                raise ProcessLookupError(f"{self.name} is off") from error
            raise

    def join(self) -> None:
        """Bring this process into the machine's network, mounts and host name."""
        namespaces.setns(self.pidfd, _NAMESPACES)

    def close(self) -> None:
        os.close(self.pidfd)


def find(cluster: str) -> dict[str, Machine]:
    """The machines of a cluster that are switched on, by name. The caller closes them."""
    found: dict[str, Machine] = {}
    for process in processes.find(cluster):
        if (
            process.is_init
            and process.machine not in found
            and (pidfd := processes.hold(process)) is not None
        ):
            found[process.machine] = Machine(process.machine, process.pid, pidfd)
    return found


def running(cluster: str) -> dict[str, Machine]:
    """As `find`. Raises LabError: there are none."""
    if found := find(cluster):
        return found
    raise LabError(f"cluster {cluster} isn't running: start it with `wellhead up --name {cluster}`")


def create(cluster: str, name: str) -> Machine:
    """Switch a machine on, with nothing in it yet. Its first process is the caller's child, to be reaped.

    Raises:
        LabError: the kernel or this user's rights don't allow it; the message says which step failed.
    """
    init = shutil.which(INIT, path=SYSTEM_PATH)
    if init is None:
        raise LabError(f"{INIT} is not installed: run `make setup`, or `apt-get install {INIT}`")
    environment = {processes.CLUSTER: cluster, processes.MACHINE: name, "PATH": SYSTEM_PATH}
    readable, writable = os.pipe()
    try:
        pid = _fork(lambda: namespaces.unshare(namespaces.CLONE_NEWPID))
    except OSError as error:
        os.close(readable)
        os.close(writable)
        raise LabError(f"{name}: can't make a pid namespace: {error}; are you root?") from error
    if pid == 0:
        _become_init(init, environment, name, writable)
    os.close(writable)
    with os.fdopen(readable, "rb") as report:
        problem = report.read().decode(errors="replace")  # ends when exec closes the pipe
    if problem:
        os.waitpid(pid, 0)
        raise LabError(f"{name}: {problem}")
    return Machine(name, pid, os.pidfd_open(pid))


def start_child(work: Callable[[], str]) -> Callable[[], str]:
    """Do `work` in a child process, so that nothing that it joins, opens or starts stays with the caller.

    The function returned waits for its end, and returns what it returned.

    Raises:
        LabError: with the message of the exception that ended `work`.
    """
    readable, writable = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(readable)
        status = 1
        try:
            gc.disable()  # a collection would copy every page that it looks at
            signals.reset_python()
            report = work()
            status = 0
        except LabError as error:
            report = str(error)
        except BaseException as error:
            traceback.print_exc()
            report = f"{type(error).__name__}: {error}"
        finally:
            # Whatever happens, and if nobody listens any more: above us on the stack is the caller's work.
            try:
                with os.fdopen(writable, "w") as pipe:
                    pipe.write(report)
            finally:
                os._exit(status)
    os.close(writable)

    def wait() -> str:
        with os.fdopen(readable) as pipe:
            report = pipe.read()
        _, status = os.waitpid(pid, 0)
        if status != 0:
            raise LabError(report or f"a helper process ended: {describe_status(status)}")
        return report

    return wait


def describe_status(status: int) -> str:
    """What a status from waitpid(2) says, in words."""
    code = os.waitstatus_to_exitcode(status)
    if code < 0:
        return f"killed by {signal.Signals(-code).name}"
    return f"exit status {code}"


def _become_init(init: str, environment: dict[str, str], machine: str, report: int) -> NoReturn:
    step = "start"
    try:
        os.setsid()
        signals.reset()
        step = "make namespaces"
        namespaces.unshare(_NAMESPACES)
        namespaces.sethostname(machine)
        step = "make mounts private"
        mounts.make_private("/")
        for own in machine_mounts.OWN:
            step = f"mount its own {own.target}"
            machine_mounts.make(own)
        step = f"run {init}"
        null = os.open("/dev/null", os.O_RDWR)
        for descriptor in (0, 1, 2):
            os.dup2(null, descriptor)
        os.dup2(report, 3)
        os.set_inheritable(3, False)
        os.closerange(4, _HIGHEST_DESCRIPTOR)
        report = 3
        os.chdir("/")
        os.execve(init, [INIT, "-P"], environment)  # noqa: S606 - replacing this process is the point
    except BaseException as error:
        os.write(report, f"can't {step}: {error}".encode())
    finally:
        os._exit(1)


def _fork(enter: Callable[[], None]) -> int:
    """Fork with the child in the pid namespace that `enter` makes or joins, the parent's own unchanged."""
    home = os.open("/proc/self/ns/pid", os.O_RDONLY | os.O_CLOEXEC)
    pid = -1
    try:
        try:
            enter()
            pid = os.fork()
        finally:
            if pid != 0:  # the child couldn't leave its namespace, and needn't
                namespaces.setns(home, namespaces.CLONE_NEWPID)
    finally:
        os.close(home)
    return pid
