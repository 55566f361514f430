"""Waiting for a cluster: until its components run, its nodes are Ready and pods can be created.

Or until something can't come right.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from wellhead.lab import logs, state
from wellhead.lab.cluster import Cluster, ClusterSpec, LabError
from wellhead.lab.components import AGENT, NODE
from wellhead.lab.startup import Started
from wellhead.lab.state import ComponentState, Snapshot
from wellhead.lab.topology import node_name
from wellhead.waiting import first_error

if TYPE_CHECKING:
    from wellhead.lab.node_watch import NodeWatch

_HOPELESS_RESTARTS = 6
_SETTLED = 1.0  # seconds
_PROBLEM_PATIENCE = 2.0  # seconds
_LOG_LINES = 8
_CLOCK_GRAIN = (
    1.0  # seconds: since when a process runs, and when a lease was renewed, isn't known more exactly
)
_SUPERVISOR_START = 10.0  # seconds within which it opens its socket

_Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class NotReady(LabError):
    """The cluster doesn't come up. Its text says why; what was started goes on trying."""


@dataclass(frozen=True)
class Progress:
    """How far it has got."""

    components: int
    components_total: int
    nodes: int
    nodes_total: int

    @property
    def done(self) -> bool:
        return self.components == self.components_total and self.nodes == self.nodes_total


async def wait(
    cluster: Cluster, started: Started, patience: float, report: Callable[[Progress], None]
) -> None:
    """Wait until everything runs, all nodes are Ready and a first pod can be created.

    `report` is called on progress.

    Raises:
        NotReady: it failed, or `patience` seconds have passed; with the last log lines of what has failed.
    """
    waiting = _Waiting(cluster, started.spec, report)
    try:
        async with asyncio.timeout(patience):
            await waiting.run()
    except TimeoutError:
        raise NotReady(f"not ready after {patience:.0f} s: {waiting.explain()}") from None
    except BaseExceptionGroup as group:
        first = first_error(group)
        if isinstance(first, NotReady):
            raise first from None
        raise NotReady(f"{type(first).__name__}: {first}; run `wellhead up` again") from group


class _Waiting:
    def __init__(self, cluster: Cluster, spec: ClusterSpec, report: Callable[[Progress], None]) -> None:
        self._cluster = cluster
        self._spec = spec
        self._report = report
        self._nodes = [node_name(number) for number in range(1, self._spec.nodes + 1)]
        self._snapshot: Snapshot | None = None
        self._problem_since = 0.0
        self._restarts_before: dict[tuple[str, str], int] = {}
        self._watch: NodeWatch | None = None
        self._last: Progress | None = None
        self._done = asyncio.Event()
        self._components_run = asyncio.Event()

    async def run(self) -> None:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(self._follow_supervisor()), group.create_task(self._watch_api())]
            await self._done.wait()
            for task in tasks:
                task.cancel()

    def explain(self) -> str:
        """What is still missing, with log lines of those who have failed."""
        if self._snapshot is None:
            return "the supervisor doesn't answer" + _indented(self._supervisor_lines())
        parts = [self._snapshot.problem] if self._snapshot.problem else []
        parts += [f"{m.name}: {m.problem}" for m in self._snapshot.machines if m.pid == 0 and m.problem]
        failed: dict[str, list[ComponentState]] = {}
        for component in self._snapshot.components:
            if component.pid == 0 or self._new_restarts(component) > 0:
                failed.setdefault(component.name, []).append(component)
        for name, group in failed.items():
            # On every machine for the same reason, usually.
            lines = logs.tail(self._cluster.log_file(group[0].machine, name), _LOG_LINES)
            where = ", ".join(component.machine for component in group)
            how = group[0].problem or "does not run"
            parts.append(f"{name} on {where}: {how}{_indented(lines)}")
        for name in self._nodes:
            if not self._is_ready(name):
                why = self._watch.why_not_ready(name) if self._watch else "the API server wasn't asked yet"
                parts.append(f"{name} is not Ready: {why}")
        if self._watch is not None and self._watch.why_no_pods:
            parts.append(self._watch.why_no_pods)
        return "\n".join(parts) or "nothing is known to be missing"

    async def _follow_supervisor(self) -> None:
        connection: _Connection | None = await self._connect()
        while connection is not None:
            await self._read_states(*connection)
            # It drops who doesn't keep up, as we may not when there is much to do. Only its last word counts.
            connection = await self._connect_once()
        lines = _indented(self._supervisor_lines())
        raise NotReady(f"the supervisor ended; run `wellhead up` again{lines}")

    async def _read_states(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while line := await reader.readline():
                if not line.endswith(b"\n"):
                    return  # cut short
                self._snapshot = state.decode(line)
                self._note(self._snapshot)
        except ConnectionError:
            return
        except (OSError, ValueError, msgspec.DecodeError) as error:
            raise NotReady(f"the supervisor's answer can't be read: {error}") from error
        finally:
            writer.close()

    async def _connect_once(self) -> _Connection | None:
        try:
            return await asyncio.open_unix_connection(self._cluster.supervisor_socket, limit=1 << 20)
        except OSError:
            return None

    async def _connect(self) -> _Connection:
        deadline = time.monotonic() + _SUPERVISOR_START
        while True:
            if connection := await self._connect_once():
                return connection
            if time.monotonic() >= deadline:
                raise NotReady(f"the supervisor doesn't start{_indented(self._supervisor_lines())}")
            await asyncio.sleep(0.02)  # nothing tells when a socket appears

    def _note(self, snapshot: Snapshot) -> None:
        for component in snapshot.components:
            key = (component.machine, component.name)
            self._restarts_before.setdefault(key, component.restarts)
            if component.pid == 0 and self._new_restarts(component) >= _HOPELESS_RESTARTS:
                raise NotReady(f"a component keeps failing:\n{self.explain()}")
        # The supervisor tells each time that it has tried again.
        self._problem_since = (self._problem_since or time.monotonic()) if snapshot.problem else 0.0
        if snapshot.problem and time.monotonic() - self._problem_since > _PROBLEM_PATIENCE:
            raise NotReady(snapshot.problem)
        if snapshot.components and any(each.pid for each in snapshot.components):
            self._components_run.set()
        self._look()

    def _new_restarts(self, component: ComponentState) -> int:
        return component.restarts - self._restarts_before.get((component.machine, component.name), 0)

    async def _watch_api(self) -> None:
        # Before there is no kubeconfig, and the supervisor can use the processor better: loading the client
        # takes about as long as making the machines.
        await self._components_run.wait()
        from wellhead.lab.node_watch import NodeWatch

        self._watch = NodeWatch(self._cluster, self._nodes, self._look)
        await self._watch.run()

    def _look(self) -> None:
        snapshot = self._snapshot
        if snapshot is None or snapshot.spec != self._spec:
            return  # the supervisor hasn't read yet what the cluster shall be
        expected = snapshot.components
        running = sum(1 for component in expected if self._stays(component))
        nodes = sum(1 for name in self._nodes if self._is_ready(name))
        progress = Progress(running, len(expected), nodes, len(self._nodes))
        # Only steps forward: a component that comes and goes is no news.
        best = self._last
        if best is None or progress.components > best.components or progress.nodes > best.nodes:
            self._last = progress
            self._report(progress)
        usable = self._watch is not None and self._watch.only_wanted and not self._watch.why_no_pods
        if progress.done and usable and not snapshot.problem:
            self._done.set()

    def _stays(self, component: ComponentState) -> bool:
        """Whether it runs, and doesn't just come and go: one that has failed before has to last a while."""
        if not component.pid or component.outdated:
            return False
        missing = component.since + _SETTLED - time.time() if component.restarts else 0.0
        if missing > 0:
            asyncio.get_running_loop().call_later(missing, self._look)
        return missing <= 0

    def _is_ready(self, name: str) -> bool:
        """Whether the node says so, and not just said so before its agent was started last."""
        if self._watch is None or self._snapshot is None:
            return False
        agents = [c for c in self._snapshot.components if c.machine == name and c.name in (AGENT, NODE)]
        return self._watch.is_ready(name, agents[0].since - _CLOCK_GRAIN if agents else 0.0)

    def _supervisor_lines(self) -> list[str]:
        return logs.tail(self._cluster.supervisor_log, _LOG_LINES)


def _indented(lines: list[str]) -> str:
    return "".join(f"\n    {line}" for line in lines)
