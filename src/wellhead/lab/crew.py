"""The components that run: found, watched, asked to end, reaped."""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from wellhead.lab import machines, processes
from wellhead.linux import proc

Key = tuple[str, str]
"""A component's machine and name."""

_GRACE = 5.0  # seconds that a component gets to end after SIGTERM


@dataclass
class Running:
    """A component's process, held by `pidfd`. `ours` if it is this process' child, else it was adopted."""

    key: Key
    argv: tuple[str, ...]
    pid: int
    pidfd: int
    ours: bool
    started: float  # time.monotonic()
    since: float  # Unix time
    asked_to_end: bool = False
    kill_at: float = float("inf")  # time.monotonic()


@dataclass(frozen=True)
class Ended:
    """How a component's process ended. `ran_for` is in seconds, infinite for one that was asked to end."""

    running: Running
    how: str
    ran_for: float


class Crew:
    """Components by key, in somebody else's selector: a registration carries what is to be called."""

    def __init__(self, selector: selectors.BaseSelector, on_end: Callable[[Ended], None]) -> None:
        self._selector = selector
        self._on_end = on_end
        self._running: dict[Key, Running] = {}

    def __iter__(self) -> Iterator[Running]:
        return iter(list(self._running.values()))

    def get(self, key: Key) -> Running | None:
        return self._running.get(key)

    def add(self, running: Running) -> None:
        """Watch it; the pidfd is closed when it has ended."""
        self._running[running.key] = running
        self._selector.register(running.pidfd, selectors.EVENT_READ, lambda: self._ended(running))

    def ask_to_end(self, running: Running) -> None:
        """Send SIGTERM, and SIGKILL if that doesn't do; once."""
        if not running.asked_to_end:
            running.asked_to_end = True
            running.kill_at = time.monotonic() + _GRACE
            _signal(running, signal.SIGTERM)

    def end_overdue(self) -> None:
        """Kill those who were asked to end and didn't in time."""
        now = time.monotonic()
        for running in self._running.values():
            if now >= running.kill_at:
                running.kill_at = float("inf")
                _signal(running, signal.SIGKILL)

    @property
    def deadline(self) -> float:
        """When `end_overdue` has something to do, by time.monotonic()."""
        return min((running.kill_at for running in self._running.values()), default=float("inf"))

    def kill(self) -> None:
        """Kill all, without waiting."""
        for running in self._running.values():
            _signal(running, signal.SIGKILL)

    def _ended(self, running: Running) -> None:
        status = reap(running.pid) if running.ours else None
        self._selector.unregister(running.pidfd)
        os.close(running.pidfd)
        del self._running[running.key]
        how = "ended" if status is None else machines.describe_status(status)
        # Who was asked to end has not failed.
        ran_for = float("inf") if running.asked_to_end else time.monotonic() - running.started
        self._on_end(Ended(running, how, ran_for))


def survivors(cluster: str) -> list[Running]:
    """The components that a supervisor before this one has left, one a key."""
    found: dict[Key, Running] = {}
    for process in processes.find(cluster):
        key = (process.machine, process.component)
        if not process.machine or process.component in ("", processes.SUPERVISOR):
            continue
        # Not the oldest of its key? Then it is a child that hasn't become a program of its own yet.
        if key not in found and (pidfd := processes.hold(process)) is not None:
            age = process.age
            argv = tuple(proc.arguments(process.pid)[1:])  # without `wellhead`
            started, since = time.monotonic() - age, time.time() - age
            found[key] = Running(key, argv, process.pid, pidfd, False, started, since)
    return list(found.values())


def reap(pid: int) -> int | None:
    """The wait status of a child that has ended; None if it wasn't ours to wait for."""
    try:
        return os.waitpid(pid, 0)[1]
    except ChildProcessError:
        return None


def _signal(running: Running, signum: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        signal.pidfd_send_signal(running.pidfd, signum)
