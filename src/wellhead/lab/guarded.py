"""Whoever is watched by a guardian watches it in turn, and makes another when it is gone."""

from __future__ import annotations

import contextlib
import logging
import os
import select
import selectors
import signal
import socket
import time
from collections.abc import Sequence

from wellhead.lab import guardian
from wellhead.lab.cluster import Cluster
from wellhead.lab.crew import reap
from wellhead.lab.restarts import Restarts

log = logging.getLogger("wellhead.supervisor")


class Guarded:
    """The calling process' guardian, in its selector: a registration carries what is to be called."""

    def __init__(self, cluster: Cluster, selector: selectors.BaseSelector) -> None:
        self._cluster = cluster
        self._selector = selector
        self._pid, self._pidfd, self._started = 0, -1, 0.0
        self._kept: frozenset[int] | None = None
        """The inodes of the sockets that it keeps, if that is known."""
        self._restarts = Restarts()

    @property
    def process(self) -> tuple[int, int] | None:
        """Its process number and pidfd, if there is one."""
        return (self._pid, self._pidfd) if self._pid else None

    @property
    def deadline(self) -> float:
        """When another guardian is to be made, by time.monotonic()."""
        return float("inf") if self._pid else self._restarts.not_before

    def begin_again(self) -> None:
        """Somebody asks for one now."""
        self._restarts.begin_again()

    def see_to_it(
        self, now: float, listener: socket.socket | None, kept: Sequence[socket.socket] = ()
    ) -> None:
        """Make a guardian if there is none, or another if it keeps others than `kept` for our successor.

        `listener` is kept, too.
        """
        sockets = frozenset(os.fstat(each.fileno()).st_ino for each in kept)
        if self._pid and sockets != self._kept:
            self.end()
        if self._pid or not self._restarts.is_due(now):
            return
        try:
            pid = guardian.fork(self._cluster, listener, kept)
            self.watch(pid, os.pidfd_open(pid))
            self._kept = sockets
        except OSError as error:
            self._restarts.failed(str(error), 0.0)
            log.warning("no guardian: %s", error)

    def watch(self, pid: int, pidfd: int) -> None:
        """This process is our guardian. What it keeps isn't known."""
        self._kept = None
        self._pid, self._pidfd, self._started = pid, pidfd, time.monotonic()
        self._selector.register(pidfd, selectors.EVENT_READ, self._ended)

    def end(self) -> None:
        """Before we end ourselves, by somebody's wish: else it would start another."""
        if self._pid:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._pidfd, signal.SIGKILL)
            select.select([self._pidfd], [], [])
            reap(self._pid)
            self._forget()

    def _ended(self) -> None:
        reap(self._pid)
        log.warning("the guardian has ended")
        self._restarts.failed("ended", time.monotonic() - self._started)
        self._forget()

    def _forget(self) -> None:
        self._selector.unregister(self._pidfd)
        os.close(self._pidfd)
        self._pid, self._pidfd = 0, -1
