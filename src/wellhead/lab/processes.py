"""Finding a cluster's processes, and ending them.

There are no pid files to be lost or to lie: every process that the lab starts carries in its environment
which cluster and machine it belongs to, and /proc tells. A process is held by a pidfd before it is signalled
and looked at again after, so that a pid that was taken over by a stranger is left alone.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import time
from collections.abc import Iterable
from dataclasses import dataclass

from wellhead.linux import proc

CLUSTER = "WELLHEAD_CLUSTER"
MACHINE = "WELLHEAD_MACHINE"
COMPONENT = "WELLHEAD_COMPONENT"
SUPERVISOR = "supervisor"
GUARDIAN = "guardian"


@dataclass(frozen=True)
class Process:
    """A process of a cluster. `component` is empty for a machine's first process and for guests' commands."""

    pid: int
    cluster: str
    machine: str
    component: str
    is_init: bool  # the first process of its pid namespace
    started: float  # seconds since boot, as CLOCK_BOOTTIME counts

    @property
    def age(self) -> float:
        """Seconds since it was started."""
        return max(0.0, time.clock_gettime(time.CLOCK_BOOTTIME) - self.started)


def find(cluster: str | None = None) -> list[Process]:
    """The running processes of this cluster, or of all; the oldest first. Zombies don't count."""
    found = []
    for pid in proc.pids():
        process = inspect(pid)
        if process is not None and cluster in (None, process.cluster):
            found.append(process)
    return sorted(found, key=lambda process: (process.started, process.pid))


def inspect(pid: int) -> Process | None:
    """Whose process this is; None if it isn't any cluster's, or gone."""
    variables = proc.environment(pid)
    cluster = variables.get(CLUSTER, "")
    if not cluster or not (MACHINE in variables or COMPONENT in variables):
        return None
    state = proc.statistics(pid)
    if not state or state[0] in "ZX":
        return None
    pids = proc.fields(proc.PROC / str(pid) / "status", "NSpid:")
    return Process(
        pid=pid,
        cluster=cluster,
        machine=variables.get(MACHINE, ""),
        component=variables.get(COMPONENT, ""),
        is_init=pids[1:] == ["1"],
        started=int(state[19]) / os.sysconf("SC_CLK_TCK"),
    )


def hold(process: Process) -> int | None:
    """A pidfd of exactly this process; None if it is gone. The caller closes it.

    Raises:
        OSError: EMFILE and the like.
    """
    try:
        descriptor = os.pidfd_open(process.pid)
    except ProcessLookupError:
        return None
    # Between finding and opening, the pid may have changed hands.
    now = inspect(process.pid)
    if now is not None and now.started == process.started and now.cluster == process.cluster:
        return descriptor
    os.close(descriptor)
    return None


def end(processes: Iterable[Process], signum: int = signal.SIGKILL, timeout: float = 10.0) -> list[Process]:
    """Signal these processes, wait until they have ended, and return those that haven't within `timeout` s.

    Never ends the caller itself.
    """
    held: dict[int, Process] = {}
    poll = select.poll()
    try:
        for process in processes:
            if process.pid == os.getpid() or (descriptor := hold(process)) is None:
                continue
            held[descriptor] = process
            poll.register(descriptor, select.POLLIN)
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(descriptor, signum)
        waiting = dict(held)
        deadline = time.monotonic() + timeout
        while waiting and (left := deadline - time.monotonic()) > 0:
            for descriptor, _ in poll.poll(left * 1000):
                poll.unregister(descriptor)
                del waiting[descriptor]
        return list(waiting.values())
    finally:
        for descriptor in held:
            os.close(descriptor)


def tell(process: Process, signum: int) -> bool:
    """Signal exactly this process; whether it is there."""
    if (descriptor := hold(process)) is None:
        return False
    try:
        signal.pidfd_send_signal(descriptor, signum)
    except ProcessLookupError:
        return False
    finally:
        os.close(descriptor)
    return True
