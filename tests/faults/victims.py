"""Who can be killed: every component, every machine, and what keeps them."""

from __future__ import annotations

import contextlib
import os
import signal
from dataclasses import dataclass
from pathlib import Path

from tests.cluster.lab import Lab, pid_of
from tests.patience import until
from wellhead.cloud.haproxy import keeper
from wellhead.lab import processes
from wellhead.lab.processes import Process
from wellhead.linux import proc


@dataclass(frozen=True)
class Victim:
    """A component of a machine, the machine itself (no component), or HAProxy's master, worker, keeper.

    `loses` says in which frontends connections may be lost with it, and why that can't be otherwise.
    """

    machine: str
    component: str = ""
    loses: str = ""

    def __str__(self) -> str:
        return "/".join(filter(None, (self.machine, self.component)))

    def pid(self, lab: Lab) -> int:
        """Its process number, as the host counts; 0 if it doesn't run."""
        if self.component.startswith("haproxy"):
            return _haproxy(processes.find(lab.name), self.component)
        return pid_of(lab, self.machine, self.component)

    def kill(self, lab: Lab) -> None:
        """Kill it, and wait until there is another. Raises AssertionError if none comes.

        As somebody who sees it would, have the supervisor bring it back at once, however often it has died.
        """
        before = self.pid(lab)
        assert before, f"{self} doesn't run"
        os.kill(before, signal.SIGKILL)
        until(lambda: self.pid(lab) != before)
        for each in processes.find(lab.name):
            if each.component == processes.SUPERVISOR:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(each.pid, signal.SIGHUP)
        until(lambda: self.pid(lab), lambda now: now not in (0, before))


_WHILE_OFF = "what goes by the machine, until the others have noticed (two failed checks, 2 s)"

COMPONENTS = (
    Victim("control-plane", "apiserver"),
    Victim("control-plane", "controller-manager"),
    Victim("control-plane", "scheduler"),
    Victim("node-1", "node-agent"),
    Victim("node-1", "proxy"),
    Victim("node-1", "policy"),
    Victim("node-3", "node-agent"),
    Victim("node-3", "proxy"),
    Victim("node-3", "policy"),
    Victim("cloud", "cloud"),
    Victim("control-plane", "dns"),
    Victim("", processes.SUPERVISOR),
    Victim("", processes.GUARDIAN),
    Victim("cloud", "haproxy master", loses="VIP, terminating: connections of its workers"),
    Victim("cloud", "haproxy worker", loses="VIP, terminating: its established connections"),
    Victim("cloud", "haproxy keeper"),
)
MACHINES = (
    Victim("control-plane"),
    Victim("cloud", loses="VIP, terminating, while the machine is off"),
    Victim("node-1", loses=_WHILE_OFF),
    Victim("node-3", loses=_WHILE_OFF),
    Victim("node-2", loses=f"the clients there, and {_WHILE_OFF}"),
    Victim("edge", loses="all between machines, while the router and their network are off"),
    Victim("client", loses="the clients there"),
)


def _haproxy(found: list[Process], which: str) -> int:
    """The master is the one whose parent isn't HAProxy; its keeper is no HAProxy at all."""
    if which == "haproxy keeper":
        clouds = (each.pid for each in found if each.machine == "cloud")
        return next((pid for pid in clouds if keeper.__name__ in proc.arguments(pid)), 0)
    parents = {}
    for each in found:
        with contextlib.suppress(OSError, IndexError):
            if each.machine == "cloud" and Path(f"/proc/{each.pid}/comm").read_text().startswith("haproxy"):
                parents[each.pid] = int(proc.statistics(each.pid)[1])
    is_worker = which == "haproxy worker"
    return next((pid for pid, parent in parents.items() if (parent in parents) == is_worker), 0)
