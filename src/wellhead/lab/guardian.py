"""The guardian: a small process that starts another supervisor when the one there was has died.

The supervisor watches it in turn, and makes another when it is gone. So what keeps a cluster running survives
the death of either; only if both are killed within the moment that the other one needs, what dies afterwards
stays dead until the next `wellhead up`.

It waits for the lock that a supervisor holds for as long as it lives (flock(2)), so nothing is polled, and a
process number that was taken over by somebody else can't deceive it. It hands the lock on to the supervisor
that it starts: there are never two. And it only starts one while it holds the cluster's own lock, as `up` and
`down` do: what `down` is removing doesn't come back.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import logging
import os
import signal
import socket
import time
import traceback
from collections.abc import Sequence
from typing import NoReturn

from wellhead.lab import launch, processes, title
from wellhead.lab.cluster import Cluster
from wellhead.lab.restarts import Restarts
from wellhead.linux import signals
from wellhead.linux.syscalls import libc

log = logging.getLogger("wellhead.guardian")

_HIGHEST_DESCRIPTOR = 1 << 20
_PR_SET_CHILD_SUBREAPER = 36


def fork(cluster: Cluster, listener: socket.socket | None, kept: Sequence[socket.socket] = ()) -> int:
    """Start the guardian of the calling process, a supervisor with one thread; returns its process number.

    `listener` is kept for the next supervisor, should the API server die together with this one, and so are
    `kept` for who else would die with it; the next one gets these out of the guardian.
    """
    pid = os.fork()
    if pid == 0:
        _become(cluster, listener, kept)
    return pid


def _become(cluster: Cluster, listener: socket.socket | None, kept: Sequence[socket.socket]) -> NoReturn:
    try:
        signals.reset_python()
        os.setsid()
        # Above all the supervisor's lock, which would never be free.
        last = 2
        for each in sorted(each.fileno() for each in (*kept, *([listener] if listener else []))):
            os.closerange(last + 1, each)
            last = each
        os.closerange(last + 1, _HIGHEST_DESCRIPTOR)
        marks = {processes.CLUSTER: cluster.name, processes.COMPONENT: processes.GUARDIAN}
        command = launch.own_program()
        title.rename(["wellhead", "guardian", cluster.name], marks)
        # Whom a dead supervisor leaves behind becomes our child, and is reaped as it ends.
        libc.prctl(_PR_SET_CHILD_SUBREAPER, ctypes.c_ulong(1), 0, 0, 0)
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)
        _guard(cluster, command, listener)
    except BaseException:
        traceback.print_exc()
    finally:
        # Not sys.exit: above us on the stack is the supervisor's loop.
        os._exit(0)


def _guard(cluster: Cluster, command: Sequence[str], listener: socket.socket | None) -> None:
    """Until the cluster is gone."""
    restarts, started = Restarts(), time.monotonic()
    while _wait_for_supervisors_end(cluster):
        restarts.failed("ended", time.monotonic() - started)
        time.sleep(max(0.0, restarts.not_before - time.monotonic()))
        with cluster.locked(create=False) as there:
            if not there:
                return
            with contextlib.suppress(BlockingIOError, FileNotFoundError), cluster.open_lock() as lock:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)  # unless an `up` was faster
                started = time.monotonic()
                pid = launch.start(cluster, command, listener, lock.fileno())
                log.warning("the supervisor has ended: started another (%d)", pid)


def _wait_for_supervisors_end(cluster: Cluster) -> bool:
    """Returns whether the cluster is still there."""
    try:
        with cluster.open_lock() as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
    except FileNotFoundError:
        return False
    return True
