"""Waiting for a cluster: until its components run and its nodes are Ready, or something can't come right."""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import msgspec

from wellhead.api.errors import NotFound
from wellhead.api.meta import Obj
from wellhead.api.resources import LEASES, NODES, PODS
from wellhead.client.connection import load
from wellhead.client.informer import Informer
from wellhead.client.rest import Client
from wellhead.lab import kubeconfigs, logs, state
from wellhead.lab.cluster import Cluster
from wellhead.lab.startup import Started
from wellhead.lab.state import Snapshot
from wellhead.lab.topology import node_name

_LEASE_NAMESPACE = "kube-node-lease"
_HOPELESS_RESTARTS = 6
_PROBLEM_PATIENCE = 2.0  # seconds
_LOG_LINES = 8
_SUPERVISOR_START = 10.0  # seconds within which it opens its socket


class NotReady(Exception):
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
    """Wait until everything runs and all nodes are Ready; `report` is called on progress.

    Raises:
        NotReady: it failed, or `patience` seconds have passed; with the last log lines of what has failed.
    """
    waiting = _Waiting(cluster, started, report)
    try:
        async with asyncio.timeout(patience):
            await waiting.run()
    except TimeoutError:
        raise NotReady(f"not ready after {patience:.0f} s: {waiting.explain()}") from None
    except BaseExceptionGroup as group:
        first: BaseException = group
        while isinstance(first, BaseExceptionGroup):
            first = first.exceptions[0]
        if isinstance(first, NotReady):
            raise first from None
        raise NotReady(f"{type(first).__name__}: {first}; run `wellhead up` again") from group


class _Waiting:
    def __init__(self, cluster: Cluster, started: Started, report: Callable[[Progress], None]) -> None:
        self._cluster = cluster
        self._spec = started.spec
        self._leaving = started.leaving
        self._report = report
        self._nodes = [node_name(number) for number in range(1, self._spec.nodes + 1)]
        self._snapshot: Snapshot | None = None
        self._problem_since = 0.0
        self._restarts_before: dict[tuple[str, str], int] = {}
        self._node_informer: Informer | None = None
        self._lease_informer: Informer | None = None
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
        failed: dict[str, list[state.ComponentState]] = {}
        for component in self._snapshot.components:
            if component.pid == 0 or self._new_restarts(component) > 0:
                failed.setdefault(component.name, []).append(component)
        for name, group in failed.items():
            # On every machine for the same reason, usually.
            lines = logs.tail(self._cluster.log_file(group[0].machine, name), _LOG_LINES)
            where = ", ".join(component.machine for component in group)
            how = group[0].problem or "does not run"
            parts.append(f"{name} on {where}: {how}{_indented(lines)}")
        parts += [
            f"{name} is not Ready{self._why_not_ready(name)}"
            for name in self._nodes
            if not self._is_ready(name)
        ]
        return "\n".join(parts) or "nothing is known to be missing"

    async def _follow_supervisor(self) -> None:
        reader, writer = await self._connect()
        try:
            while line := await reader.readline():
                self._snapshot = state.decode(line)
                self._note(self._snapshot)
        except (OSError, ValueError, msgspec.DecodeError) as error:
            raise NotReady(f"the supervisor's answer is cut: {error}") from error
        finally:
            writer.close()
        lines = _indented(self._supervisor_lines())
        raise NotReady(f"the supervisor ended; run `wellhead up` again{lines}")

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        deadline = time.monotonic() + _SUPERVISOR_START
        while True:
            with contextlib.suppress(OSError):
                return await asyncio.open_unix_connection(self._cluster.supervisor_socket, limit=1 << 20)
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

    def _new_restarts(self, component: state.ComponentState) -> int:
        return component.restarts - self._restarts_before.get((component.machine, component.name), 0)

    async def _watch_api(self) -> None:
        # Until then there may be no kubeconfig yet.
        await self._components_run.wait()
        connection = load(str(self._cluster.kubeconfig(kubeconfigs.HOST_ADMIN)))
        async with Client(connection, "wellhead-up") as client, asyncio.TaskGroup() as group:
            self._node_informer = Informer(client, NODES)
            self._lease_informer = Informer(client, LEASES, namespace=_LEASE_NAMESPACE)
            for informer in (self._node_informer, self._lease_informer):
                informer.on_change(lambda _old, _new: self._look())
                group.create_task(informer.run())
            if self._leaving:
                group.create_task(self._say_goodbye(client))

    async def _say_goodbye(self, client: Client) -> None:
        """Delete the nodes that were taken out of the cluster, and what was bound to them."""
        for machine in self._leaving:
            loop = asyncio.get_running_loop()
            gone = asyncio.Event()
            loop.add_reader(machine.pidfd, gone.set)
            await gone.wait()  # else its agent would register it again
            loop.remove_reader(machine.pidfd)
            pods = await client.list(PODS, field_selector=f"spec.nodeName={machine.name}")
            for pod in pods["items"]:
                metadata = pod["metadata"]
                await _delete(client.delete(PODS, metadata["name"], metadata["namespace"], grace_period=0))
            await _delete(client.delete(NODES, machine.name))
            await _delete(client.delete(LEASES, machine.name, _LEASE_NAMESPACE))
            machine.close()
        self._leaving = ()
        self._look()

    def _look(self) -> None:
        if self._snapshot is None:
            return
        expected = self._snapshot.components
        running = sum(1 for component in expected if component.pid)
        nodes = sum(1 for name in self._nodes if self._is_ready(name))
        progress = Progress(running, len(expected), nodes, len(self._nodes))
        # Only steps forward: a component that comes and goes is no news.
        best = self._last
        if best is None or progress.components > best.components or progress.nodes > best.nodes:
            self._last = progress
            self._report(progress)
        known = {each.machine for each in expected}
        if (
            progress.done
            and known.issuperset(self._nodes)
            and not self._leaving
            and not self._snapshot.problem
        ):
            self._done.set()

    def _is_ready(self, name: str) -> bool:
        """Whether the node says so, and not just said so before its agent was started last."""
        node = self._node_informer.get(name) if self._node_informer else None
        lease = self._lease_informer.get(name, _LEASE_NAMESPACE) if self._lease_informer else None
        if node is None or lease is None or self._snapshot is None:
            return False
        agents = [c for c in self._snapshot.components if (c.machine, c.name) == (name, "node-agent")]
        since = agents[0].since if agents else 0.0
        return is_ready(node) and _renewed(lease) >= since - 1.0

    def _why_not_ready(self, name: str) -> str:
        node = self._node_informer.get(name) if self._node_informer else None
        if node is None:
            return ": its agent has not registered it"
        for condition in node.get("status", {}).get("conditions", []):
            if condition["type"] == "Ready":
                return f": {condition.get('message') or condition.get('reason') or ''}"
        return ""

    def _supervisor_lines(self) -> list[str]:
        return logs.tail(self._cluster.supervisor_log, _LOG_LINES)


def is_ready(node: Obj) -> bool:
    """Whether a Node has condition Ready."""
    conditions = node.get("status", {}).get("conditions") or []
    return any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)


def _renewed(lease: Obj) -> float:
    """Unix time of the last renewal; 0 if there was none."""
    text = lease.get("spec", {}).get("renewTime")
    return datetime.datetime.fromisoformat(text).timestamp() if text else 0.0


async def _delete(request: Awaitable[Obj]) -> None:
    with contextlib.suppress(NotFound):
        await request


def _indented(lines: list[str]) -> str:
    return "".join(f"\n    {line}" for line in lines)
