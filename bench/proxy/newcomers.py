"""The proxy as a process that follows an API server: its first sync, its memory, how soon a Service works."""

from __future__ import annotations

import asyncio
import itertools
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import msgspec

from bench.proxy import objects
from bench.proxy.apiserver import ApiServer
from bench.proxy.connections import until_accepted
from bench.proxy.network import ENDPOINTS, POD_PORT, Namespace, Node
from wellhead.api.meta import Obj
from wellhead.api.resources import ENDPOINTSLICES, NAMESPACES, SERVICES
from wellhead.client.connection import load
from wellhead.client.rest import Client
from wellhead.proxy.mode import ProxyMode

_WRITERS = 8
_AFTERMATH = 2.0  # seconds in which a proxy that starts removes what other modes have left
_SYNCS_WITHIN = 300.0
_ACCEPTS_WITHIN = 60.0
_NEWCOMERS = 200
_NEWCOMERS_WITHIN = 60.0  # seconds: a slow proxy gets fewer


class FirstSync(msgspec.Struct):
    """The proxy's own log record of it."""

    service_ports: int
    seconds: float


@dataclass(frozen=True)
class Followed:
    """What was seen of one proxy process. Seconds and MB."""

    first_sync: FirstSync
    from_start: float
    """From the process's start to the end of the first sync: Python, the lists, reading them, the sync."""
    resident: float
    peak: float
    """The most it was resident: while lists come in, that is."""
    newcomers: list[float]
    """From the API's answer to a new Service until a connection to its ClusterIP is accepted."""


def begin(server: ApiServer) -> None:
    """Make the namespace for what is created.

    Raises:
        wellhead.api.errors.AlreadyExists: there is one, which is somebody else's, or still being deleted.
    """

    async def create() -> None:
        async with Client(load(str(server.admin)), "wellhead-bench") as client:
            await client.create(NAMESPACES, {"metadata": {"name": objects.NAMESPACE}})

    with server.beside():
        asyncio.run(create())


def fill(server: ApiServer, first: int, end: int) -> None:
    """Create the Services of these numbers, with their EndpointSlices."""
    with server.beside():
        asyncio.run(_fill(server.admin, range(first, end)))


def empty(server: ApiServer) -> None:
    """Delete all that was created."""

    async def delete() -> None:
        async with Client(load(str(server.admin)), "wellhead-bench") as client:
            await client.delete(NAMESPACES, objects.NAMESPACE)

    with server.beside():
        asyncio.run(delete())


def follow(server: ApiServer, node: Node, mode: ProxyMode) -> Followed:
    """Run a proxy on the node, and create Services while it does."""
    with tempfile.NamedTemporaryFile("rb") as log, _proxy(server, node.node, mode, Path(log.name)) as process:
        started = time.monotonic()
        first_sync = _first_sync(process, Path(log.name))
        from_start = time.monotonic() - started
        time.sleep(_AFTERMATH)
        with server.beside():
            newcomers = asyncio.run(_newcomers(server.admin, node.client))
        return Followed(
            first_sync, from_start, _memory(process.pid, "VmRSS"), _memory(process.pid, "VmHWM"), newcomers
        )


@contextmanager
def _proxy(server: ApiServer, node: Namespace, mode: ProxyMode, log: Path) -> Iterator[subprocess.Popen[str]]:
    command = [
        *(sys.executable, "-m", "wellhead.cli.main", "proxy", "--kubeconfig", str(server.proxy)),
        *("--hostname-override", objects.NODE, "--proxy-mode", mode),
        *("--detect-local-mode", "ClusterCIDR", "--cluster-cidr", "10.244.0.0/15"),
        # The limit of conntrack entries is the whole machine's, namespaces or not: leave it.
        *("--conntrack-max-per-core", "0", "--conntrack-min", "0"),
        *("--log-level", "info", "--log-format", "json"),
    ]
    with log.open("wb") as file, node.program(*command, stderr=file.fileno()) as process:
        yield process
    # The next begins where there is nothing: taking rules over is something else than a first sync.
    node.run(sys.executable, "-m", "wellhead.cli.main", "proxy", "--cleanup")


def _first_sync(process: subprocess.Popen[str], log: Path) -> FirstSync:
    deadline = time.monotonic() + _SYNCS_WITHIN
    while time.monotonic() < deadline and process.poll() is None:
        for line in log.read_bytes().splitlines(keepends=True):
            if b'"first sync' in line and line.endswith(b"\n"):
                return msgspec.json.decode(line, type=FirstSync)
        time.sleep(0.01)
    raise RuntimeError(f"the proxy has not synced: {log.read_text()[-2000:]}")


def _memory(pid: int, kind: str) -> float:
    status = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 / 1e6 for line in status if line.startswith(kind))


async def _fill(kubeconfig: Path, wanted: range) -> None:
    numbers = iter(wanted)

    async def write() -> None:
        for number in numbers:
            name, its_slice = objects.filler(number)
            await client.create(ENDPOINTSLICES, its_slice)
            await client.create(SERVICES, objects.service(name))

    async with Client(load(str(kubeconfig)), "wellhead-bench") as client, asyncio.TaskGroup() as group:
        for _ in range(_WRITERS):
            group.create_task(write())


async def _newcomers(kubeconfig: Path, dialler: Namespace) -> list[float]:
    """The EndpointSlice is there first, so that it is the Service that is waited for."""
    found: list[float] = []
    until = time.monotonic() + _NEWCOMERS_WITHIN
    async with Client(load(str(kubeconfig)), "wellhead-bench") as client:
        for number in itertools.takewhile(lambda _: time.monotonic() < until, range(_NEWCOMERS)):
            name = f"newcomer-{number}"
            endpoints = [(each, objects.NODE) for each in ENDPOINTS]
            await client.create(ENDPOINTSLICES, objects.endpoint_slice(name, endpoints, POD_PORT))
            await asyncio.sleep(random.uniform(0.01, 0.03))  # in no step with anything of the proxy's
            found.append(await _newcomer(client, objects.service(name), dialler))
            await client.delete(SERVICES, name, objects.NAMESPACE)
            await client.delete(ENDPOINTSLICES, f"{name}-1", objects.NAMESPACE)
    return found


async def _newcomer(client: Client, service: Obj, dialler: Namespace) -> float:
    created = await client.create(SERVICES, service)
    started = time.perf_counter()
    with dialler.entered():
        until_accepted(created["spec"]["clusterIP"], objects.SERVICE_PORT, _ACCEPTS_WITHIN)
    return time.perf_counter() - started
