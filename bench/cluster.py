"""A whole cluster: how long it takes to start, to run a pod, to take writes; what memory it needs."""

from __future__ import annotations

import asyncio
import itertools
import json
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

from bench.apiserver.measure import pairs
from bench.measure import Result, median, stopwatch
from wellhead.api.meta import Obj
from wellhead.api.resources import CONFIGMAPS, NAMESPACES, PODS, SERVICEACCOUNTS
from wellhead.client.connection import load
from wellhead.client.rest import Client
from wellhead.lab.cluster import Cluster

NAME = "bench"
_STARTS = 3
_PODS = 15
_BURST, _BURST_SECONDS = 100, 300
_LARGE = 20
_WRITES = 2000
_PAIRS, _LOTS = 20_000, 4
_WRITERS = 16
_WELLHEAD = Path(sys.executable).with_name("wellhead")


def wellhead(*arguments: str, name: str = NAME) -> str:
    """Run a `wellhead` command for a cluster of the bench's; its standard output."""
    command = [str(_WELLHEAD), arguments[0], "--name", name, *arguments[1:]]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


@contextmanager
def cluster() -> Iterator[Result]:
    """A three-node cluster, and how long `up` took, over several starts; the last one stays for the block."""
    seconds: list[float] = []
    try:
        for _ in range(_STARTS):
            wellhead("down")
            with stopwatch() as took:
                wellhead("up", "--nodes", "3")
            seconds += took
        yield median("up, three nodes Ready", seconds, "s", "`wellhead up` as a command")
    finally:
        wellhead("down")


def large() -> list[Result]:
    """A cluster of many nodes: how long it takes, and what a node needs."""
    try:
        with stopwatch() as took:
            wellhead("up", "--nodes", str(_LARGE))
        status = json.loads(wellhead("status", "-o", "json"))
        nodes = [each["pid"] for each in status["components"] if each["machine"].startswith("node-")]
        each_node = sum(_smaps(pid)["PSS"] for pid in nodes) / _LARGE
    finally:
        wellhead("down")
    return [
        Result(f"up, {_LARGE} nodes Ready", took[0], "s", "once"),
        Result(f"PSS of a node, of {_LARGE}", each_node, "MiB", "agent and proxy, without pods"),
    ]


def memory() -> list[Result]:
    """The proportional (PSS) and resident (RSS) memory of each process of the idle cluster, and the sum."""
    status = json.loads(wellhead("status", "-o", "json"))
    pids = {f"{each['name']} on {each['machine']}": each["pid"] for each in status["components"]}
    pids["supervisor"] = status["supervisor"]
    pids |= {f"first process of {each['name']}": each["pid"] for each in status["machines"]}
    sizes = {name: _smaps(pid) for name, pid in pids.items()}
    rows = [
        Result(f"{kind}, {name}", size[kind], "MiB", "smaps_rollup")
        for kind in ("PSS", "RSS")
        for name, size in sizes.items()
    ]
    total = sum(size["PSS"] for size in sizes.values())
    return [Result("PSS, whole cluster", total, "MiB", "sum over its processes, idle, no pods"), *rows]


def _smaps(pid: int) -> dict[str, float]:
    """Pss and Rss in MiB."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]
    fields = {line.split(":")[0].upper(): int(line.split()[1]) / 1024 for line in lines}
    return {kind: fields[kind] for kind in ("PSS", "RSS")}


async def api() -> list[Result]:
    """Pod start and API writes, through the Kubernetes API alone."""
    async with client_of(NAME) as client:
        await first_pod_ready(client)  # the image's files are in the page cache from here on
        ready = [await pod_ready(client, f"pod-{number}") for number in range(_PODS)]
        return [
            median("pod, create to Ready", [s * 1000 for s in ready], "ms", "busybox, seen through a watch"),
            *await _burst(client),
            *await _pairs(),
            await _writes(client, 1),
            await _writes(client, _WRITERS),
        ]


@asynccontextmanager
async def client_of(name: str) -> AsyncIterator[Client]:
    """The administrator's, of a cluster of this name."""
    async with Client(load(str(Cluster(name).kubeconfig("admin"))), "wellhead-bench") as client:
        yield client


async def first_pod_ready(client: Client) -> None:
    """Make the namespace, and what only the first pod has to wait for."""
    await client.create(NAMESPACES, {"metadata": {"name": "bench"}})
    async with asyncio.timeout(10):
        async for event in client.watch(SERVICEACCOUNTS, "bench", resource_version="0"):
            if event.object["metadata"].get("name") == "default":
                break
    await pod_ready(client, "first")


async def _burst(client: Client) -> list[Result]:
    """A hundred pods at once; then all are deleted, and end when they are told to."""
    names = [f"burst-{number}" for number in range(_BURST)]
    container = {
        "name": "main",
        "image": "busybox",
        "command": ["sh", "-c", "trap exit TERM; sleep 600 & wait"],
    }
    listed = await client.list(PODS, "bench")
    ready, gone = set[str](), set[str]()
    all_ready, all_gone = asyncio.Event(), asyncio.Event()

    async def watch() -> None:
        version = listed["metadata"]["resourceVersion"]
        async for event in client.watch(PODS, "bench", resource_version=version):
            name = event.object["metadata"].get("name", "")
            if name in names and event.type == "DELETED":
                gone.add(name)
            elif name in names and _is_ready(event.object):
                ready.add(name)
            if len(ready) == _BURST:
                all_ready.set()
            if len(gone) == _BURST:
                all_gone.set()

    def pod(name: str) -> Obj:
        return {"metadata": {"name": name, "namespace": "bench"}, "spec": {"containers": [container]}}

    watching = asyncio.create_task(watch())
    async with asyncio.timeout(_BURST_SECONDS):
        with stopwatch() as making:
            await asyncio.gather(*(client.create(PODS, pod(name)) for name in names))
            await all_ready.wait()
        with stopwatch() as ending:
            await asyncio.gather(*(client.delete(PODS, name, "bench") for name in names))
            await all_gone.wait()
    watching.cancel()
    await asyncio.gather(watching, return_exceptions=True)
    return [
        Result(f"{_BURST} pods, create to all Ready", making[0], "s", "busybox on three nodes"),
        Result(f"{_BURST} pods, delete to all gone", ending[0], "s", "they end on SIGTERM"),
    ]


def _is_ready(pod: Obj) -> bool:
    conditions = pod.get("status", {}).get("conditions") or []
    return any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)


async def pod_ready(client: Client, name: str) -> float:
    """How many seconds a pod takes from its creation until it is seen to be Ready."""
    container = {"name": "main", "image": "busybox", "command": ["sleep", "600"]}
    pod: Obj = {
        "metadata": {"name": name, "namespace": "bench"},
        "spec": {"containers": [container], "terminationGracePeriodSeconds": 0},
    }
    start = time.perf_counter()
    created = await client.create(PODS, pod)
    version = created["metadata"]["resourceVersion"]
    field = f"metadata.name={name}"
    async with asyncio.timeout(30):
        async for event in client.watch(PODS, "bench", resource_version=version, field_selector=field):
            if _is_ready(event.object):
                break
    return time.perf_counter() - start


async def _pairs() -> list[Result]:
    """Services and their slices, with everybody in the cluster who follows them."""
    seconds = await pairs(Cluster(NAME).kubeconfig("admin"), [_PAIRS // _LOTS] * _LOTS)
    how = f"{_PAIRS:,} Services and slices over 32 plain sockets, with the cluster's watchers, durable"
    return [
        Result("Services and slices, creates", _PAIRS / sum(seconds), "1/s", how),
        Result("the last of them ÷ the first", seconds[0] / seconds[-1], "", f"rates of {_LOTS} lots"),
    ]


async def _writes(client: Client, writers: int) -> Result:
    numbers = itertools.count()

    async def write() -> None:
        while (number := next(numbers)) < _WRITES:
            metadata = {"name": f"of-{writers}-{number}", "namespace": "bench"}
            await client.create(CONFIGMAPS, {"metadata": metadata, "data": {"number": str(number)}})

    with stopwatch() as took:
        async with asyncio.TaskGroup() as group:
            for _ in range(writers):
                group.create_task(write())
    name = f"API creates, {writers} at a time"
    return Result(name, _WRITES / took[0], "1/s", f"{_WRITES} ConfigMaps from one client process, durable")
