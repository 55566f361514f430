"""How a cluster is: what /proc, its supervisor and its API server say, in one value."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable
from pathlib import Path

import msgspec

from wellhead.api.errors import ApiError
from wellhead.api.meta import Obj
from wellhead.api.well_known import NODES, SERVICES
from wellhead.client.connection import load
from wellhead.client.kubeconfig import KubeconfigError
from wellhead.client.rest import Client, ConnectionLost
from wellhead.lab import balancers, component_health, design, kubeconfigs, processes, state, topology
from wellhead.lab.balancers import LoadBalancer
from wellhead.lab.cluster import Cluster, ClusterSpec
from wellhead.lab.components import PROXY, Component
from wellhead.lab.node_watch import is_ready
from wellhead.lab.processes import Process
from wellhead.linux import proc

_API_PATIENCE = 5.0  # seconds
_LOOPBACK = {4: "127.0.0.1", 6: "::1"}


class MachineHealth(msgspec.Struct, frozen=True, rename="camel"):
    """`pid` is that of the first process, 0 if the machine is off; `restarts` is None if nobody knows."""

    name: str
    pid: int
    restarts: int | None
    problem: str = ""


class ComponentHealth(msgspec.Struct, frozen=True, rename="camel"):
    """`pss` is the process' proportional share of memory, in bytes; `age` is in seconds.

    `problem` says why it doesn't run, or why what runs isn't healthy.
    """

    machine: str
    name: str
    pid: int
    restarts: int | None
    age: float
    pss: int
    problem: str = ""


class NodeHealth(msgspec.Struct, frozen=True, rename="camel"):
    name: str
    ready: bool
    internal_ips: tuple[str, ...]  # that of the cluster's primary family first
    external_ips: tuple[str, ...]


class Health(msgspec.Struct, frozen=True, rename="camel"):
    """All that `wellhead status` shows. `problems` is empty if and only if `healthy`."""

    name: str
    healthy: bool
    api_server: str
    proxy_mode: str
    ip_family: str
    supervisor: int
    guardian: int
    machines: tuple[MachineHealth, ...]
    components: tuple[ComponentHealth, ...]
    nodes: tuple[NodeHealth, ...]
    load_balancers: tuple[LoadBalancer, ...]
    pss: int
    problems: tuple[str, ...]


def examine(cluster: Cluster) -> Health | None:
    """How the cluster is; None if there is none."""
    spec = cluster.read_spec()
    if spec is None:
        return None
    running = processes.find(cluster.name)
    snapshot = state.ask(cluster.supervisor_socket)
    known = {(each.machine, each.name): each for each in snapshot.components} if snapshot else {}
    inits = {process.machine: process for process in running if process.is_init}
    known_machines = {each.name: each for each in snapshot.machines} if snapshot else {}
    by_key: dict[tuple[str, str], Process] = {}
    for process in running:
        by_key.setdefault((process.machine, process.component), process)

    wanted = design.design(cluster, spec)
    machine_healths = tuple(
        MachineHealth(
            name,
            inits[name].pid if name in inits else 0,
            known_machines[name].restarts if name in known_machines else None,
            known_machines[name].problem if name in known_machines and name not in inits else "",
        )
        for name in wanted.topology.names
    )
    component_healths = tuple(
        _component(
            each,
            by_key.get(each.key),
            known.get(each.key),
            inits.get(each.machine),
            _LOOPBACK[spec.plans[0].nodes.version],
        )
        for each in wanted.components
    )
    api_problem, nodes, services = asyncio.run(_ask_api(cluster))
    cloud = inits.get(topology.CLOUD)
    reports = balancers.ask(cloud.pid) if cloud is not None else {}
    pss = sum(_pss_of(process) for process in running if process.is_init or process.component)
    problems = _problems(spec, snapshot, machine_healths, component_healths, api_problem, nodes)
    if snapshot is None and _pid_of(processes.GUARDIAN, running):
        problems[0] = "the supervisor has just ended: its guardian starts another"
    return Health(
        name=cluster.name,
        healthy=not problems,
        api_server=f"https://127.0.0.1:{spec.api_port}",
        proxy_mode="none of ours" if "proxy" in spec.without else spec.proxy_mode,
        ip_family=spec.ip_family,
        supervisor=_pid_of(processes.SUPERVISOR, running),
        guardian=_pid_of(processes.GUARDIAN, running),
        machines=machine_healths,
        components=component_healths,
        nodes=nodes,
        load_balancers=tuple(balancers.balancer(each, reports) for each in services),
        pss=pss,
        problems=tuple(problems),
    )


def _pid_of(component: str, running: Iterable[Process]) -> int:
    return next((process.pid for process in running if process.component == component), 0)


def _component(
    component: Component,
    process: Process | None,
    known: state.ComponentState | None,
    init: Process | None,
    loopback_of_proxy: str,
) -> ComponentHealth:
    age = process.age if process else time.time() - known.since if known and known.since else 0.0
    problem = known.problem if known and process is None else ""
    if process and init:
        problem = _told(component, init, age, loopback_of_proxy)
    return ComponentHealth(
        machine=component.machine,
        name=component.name,
        pid=process.pid if process else 0,
        restarts=known.restarts if known else None,
        age=round(age, 1),
        pss=_pss_of(process) if process else 0,
        problem=problem,
    )


def _told(component: Component, init: Process, age: float, loopback_of_proxy: str) -> str:
    """What it says is wrong, or each of those who share its process."""
    problems = {
        name: component_health.ask(init.pid, name, age, loopback_of_proxy if name == PROXY else _LOOPBACK[4])
        for name in component.parts or (component.name,)
    }
    if not component.parts:
        return problems[component.name]
    return "; ".join(f"{name}: {problem}" for name, problem in problems.items() if problem)


def _problems(
    spec: ClusterSpec,
    snapshot: state.Snapshot | None,
    machines: tuple[MachineHealth, ...],
    components: tuple[ComponentHealth, ...],
    api_problem: str,
    nodes: tuple[NodeHealth, ...],
) -> list[str]:
    found = []
    if snapshot is None:
        found.append("the supervisor doesn't run: `wellhead up` starts another, and nothing else is lost")
    elif snapshot.problem:
        found.append(snapshot.problem)
    found += [f"machine {each.name} is off" for each in machines if not each.pid]
    found += [
        f"{each.name} on {each.machine} doesn't run{f': {each.problem}' if each.problem else ''}"
        for each in components
        if not each.pid
    ]
    found += [
        f"{each.name} on {each.machine} is not healthy: {each.problem}"
        for each in components
        if each.pid and each.problem
    ]
    if api_problem:
        found.append(f"the API server doesn't answer: {api_problem}")
    else:
        ready = sum(1 for node in nodes if node.ready)
        if ready != spec.nodes or len(nodes) != spec.nodes:
            found.append(f"{ready} of {spec.nodes} nodes are Ready")
    return found


async def _ask_api(
    cluster: Cluster,
) -> tuple[str, tuple[NodeHealth, ...], tuple[Obj, ...]]:
    """What is wrong with the API server, or else the nodes and LoadBalancer Services that it knows."""
    try:
        connection = load(str(cluster.kubeconfig(kubeconfigs.HOST_ADMIN)))
        async with asyncio.timeout(_API_PATIENCE), Client(connection, "wellhead-status") as client:
            nodes = await client.list(NODES)
            services = await client.list(SERVICES)
    except TimeoutError:
        return f"not within {_API_PATIENCE:.0f} s", (), ()
    except (ConnectionLost, ApiError, KubeconfigError) as error:
        return str(error), (), ()
    return (
        "",
        tuple(_node(each) for each in nodes["items"]),
        tuple(each for each in services["items"] if each["spec"].get("type") == "LoadBalancer"),
    )


def _node(node: Obj) -> NodeHealth:
    listed = node.get("status", {}).get("addresses") or []
    return NodeHealth(
        name=node["metadata"]["name"],
        ready=is_ready(node),
        internal_ips=tuple(each["address"] for each in listed if each["type"] == "InternalIP"),
        external_ips=tuple(each["address"] for each in listed if each["type"] == "ExternalIP"),
    )


def _pss_of(process: Process) -> int:
    """With the program that it keeps, if that is all that it does: an etcd member is almost all etcd's."""
    kept = _children(process.pid) if process.component == "etcd-member" else ()
    return sum(map(proc.proportional_memory, (process.pid, *kept)))


def _children(pid: int) -> tuple[int, ...]:
    try:
        return tuple(map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split()))
    except OSError:
        return ()
