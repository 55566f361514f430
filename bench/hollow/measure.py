"""How late a thousand nodes hear of a change, and what they cost the API server."""

from __future__ import annotations

import asyncio
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

from bench.apiserver.objects import service, slice_of
from bench.apiserver.server import Server, alone
from bench.hollow.nodes import PROXY, STAMP, node_name
from bench.measure import Result
from bench.proxy.network import CONTROL_PLANE
from wellhead.api.resources import ENDPOINTSLICES, SERVICES
from wellhead.client.connection import load
from wellhead.client.rest import Client
from wellhead.lab import pki

NODES, _PROCESSES = 1000, 4
_SERVICES = 100
_CHANGES, _APART_SECONDS = 100, 0.2
_SETTLE_SECONDS = 10.0  # and each lease was renewed meanwhile


def measure(doing: Callable[[str], None] = lambda what: None, nodes: int = NODES) -> list[Result]:
    """All rows. Says what it is `doing`. Raises RuntimeError if a node misses a change."""
    kubelets = [
        pki.Identity(node_name(each), f"system:node:{node_name(each)}", ("system:nodes",))
        for each in range(nodes)
    ]
    doing(f"certificates for {nodes} hollow nodes")
    with ExitStack() as stack:
        server = stack.enter_context(alone("SQLite", pki.Identity(PROXY, "system:kube-proxy"), *kubelets))
        asyncio.run(_make(server))
        doing(f"{nodes} hollow nodes connect")
        start, cpu = time.perf_counter(), server.seconds()
        share = nodes // _PROCESSES
        processes = [
            stack.enter_context(_process(server, number, number * share, share))
            for number in range(_PROCESSES)
        ]
        for each in processes:
            _line(each)
        synced, cpu = time.perf_counter() - start, server.seconds() - cpu
        doing(f"changes to {nodes} hollow nodes")
        resting = server.seconds()
        time.sleep(_SETTLE_SECONDS)
        resting = (server.seconds() - resting) / _SETTLE_SECONDS
        busy = server.seconds()
        asyncio.run(_change(server))
        for each in processes:
            assert each.stdin is not None
            each.stdin.write(f"{_CHANGES * share}\n")
            each.stdin.flush()
        found = [json.loads(_line(each)) for each in processes]
        busy = server.seconds() - busy
        late = [seconds for each in found for seconds in each["changes"]]
        leases = [seconds for each in found for seconds in each["leases"]]
        if len(late) != _CHANGES * nodes:
            raise RuntimeError(f"{len(late)} of {_CHANGES * nodes} changes were heard of")
        how = f"{_CHANGES} of Services and slices, {_APART_SECONDS:g} s apart, each to {nodes:,} watches"
        rows = (
            ("all have all", synced, "s", f"3 watches each, from none, with {_SERVICES} Services"),
            ("CPU of that", cpu, "s", "user and system time of the server"),
            ("PSS with them", server.pss(), "MiB", "of the server"),
            ("CPU at rest", 100 * resting, "%", "of the server, 100 leases a second"),
            ("a change, p50", 1000 * statistics.median(late), "ms", how),
            ("a change, p99", 1000 * statistics.quantiles(late, n=100)[98], "ms", how),
            ("CPU of a change", 1000 * busy / _CHANGES, "ms", "of the server, with what else happened"),
            ("a lease, p99", 1000 * statistics.quantiles(leases, n=100)[98], "ms", "renewed each 10 s"),
        )
        return [Result(name, value, unit, method) for name, value, unit, method in rows]


@contextmanager
def _process(server: Server, number: int, first: int, count: int) -> Iterator[subprocess.Popen[str]]:
    """A process of nodes with an address of its own."""
    source = f"10.240.9.{number + 1}"
    subprocess.run(["ip", "addr", "add", f"{source}/32", "dev", "lo"], check=True)
    command = [sys.executable, "-m", "bench.hollow.nodes", str(server.directory), f"{CONTROL_PLANE}:6443"]
    process = subprocess.Popen(
        [*command, source, str(first), str(count)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def _line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    line = process.stdout.readline()
    if not line:
        raise RuntimeError("a process of hollow nodes has died")
    return line


async def _make(server: Server) -> None:
    async with Client(load(str(server.admin)), "wellhead-bench") as client:
        for number in range(_SERVICES):
            await client.create(SERVICES, service(f"service-{number}"))
            await client.create(ENDPOINTSLICES, slice_of(f"service-{number}"))


async def _change(server: Server) -> None:
    async with Client(load(str(server.admin)), "wellhead-bench") as client:
        for number in range(_CHANGES):
            resource = (SERVICES, ENDPOINTSLICES)[number % 2]
            sent = {"metadata": {"annotations": {STAMP: str(time.monotonic_ns())}}}
            await client.patch(resource, f"service-{number % _SERVICES}", sent, "default")
            await asyncio.sleep(_APART_SECONDS)
