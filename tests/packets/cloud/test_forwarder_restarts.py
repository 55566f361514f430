"""The forwarder comes and goes, and what it had in the kernel too, while clients connect and flows abound."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import tracemalloc
from ipaddress import IPv4Address
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.packets.cloud.test_forwarder import ALL, POOL, VIP, WEB, running, spread
from tests.patience import PATIENCE, reached
from wellhead.cloud.forwarder.plane import Forwarder
from wellhead.cloud.forwarder.tables import Change, Frontend, Target
from wellhead.linux.numbers import FORWARDER_MARKS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tests.packets.cloud.conftest import Network

pytestmark = pytest.mark.cluster

_MANY = 5_000
_OTHERS = [Frontend(IPv4Address(f"203.0.113.{host}"), "tcp", 443) for host in range(1, 60)]

# Connects until its input ends; says when it has for the first time, and in the end how often that went well,
# and what else came of it.
_CLIENT = """
import errno, json, select, socket, sys, time
found = {}
while not found or not select.select([sys.stdin], [], [], 0)[0]:
    with socket.socket() as sock:
        sock.settimeout(60)
        number = sock.connect_ex((sys.argv[1], 80))
    if not found:
        print("begun", flush=True)
    name = errno.errorcode[number] if number else "connected"
    found[name] = found.get(name, 0) + 1
    time.sleep(0.004)
print(json.dumps(found))
"""


def everything() -> Change:
    change = spread(WEB, *_OTHERS)
    change.frontends[_OTHERS[0]] = Target("two")
    change.groups["two"] = frozenset(sorted(ALL)[:2])
    return change


async def once(network: Network, change: Change | None = None) -> None:
    """A forwarder that comes, does its work, and goes."""
    forwarder = Forwarder([POOL], network.edge.path)
    forwarder.submit(change or everything(), nodes=ALL)
    async with running(forwarder):
        await forwarder.submit()


async def test_nobody_is_refused_while_the_forwarder_is_restarted_again_and_again(network: Network) -> None:
    await once(network)
    rules = network.edge.run("nft -a list chain ip wellhead-forwarder prerouting").splitlines()[2]
    clients = [start_client(network) for _ in range(2)]
    for turn in range(12):
        # Every other time with other groups, so that there is something to change.
        await once(network, spread(WEB) if turn % 2 else None)
    for found in [await asyncio.to_thread(end, client) for client in clients]:
        assert found.pop("connected") > 0
        assert found == {}
    # It is the same chain as ever: a packet finds one at any moment.
    assert network.edge.run("nft -a list chain ip wellhead-forwarder prerouting").splitlines()[2] == rules


async def test_nobody_is_told_that_there_is_no_way_while_the_table_is_gone(network: Network) -> None:
    forwarder = Forwarder([POOL], network.edge.path)
    forwarder.submit(everything(), nodes=ALL)
    async with running(forwarder):
        await forwarder.submit()
        clients = [start_client(network) for _ in range(2)]
        for _ in range(10):
            network.edge.run("nft flush ruleset")
            await reached(lambda: "wellhead-forwarder" in network.edge.run("nft list tables"))
        for found in [await asyncio.to_thread(end, client) for client in clients]:
            assert found.pop("connected") > 0
            assert found == {}


async def test_a_chain_or_an_element_that_somebody_changed_is_mended(network: Network) -> None:
    forwarder = Forwarder([POOL], network.edge.path)
    forwarder.submit(everything(), nodes=ALL)
    table = "ip wellhead-forwarder"
    async with running(forwarder):
        await forwarder.submit()
        before = listing(network)
        for harm in (
            f"flush chain {table} vip",
            f"delete element {table} frontends {{ {VIP} . tcp . 80 }}",
            f"add rule {table} choose drop",
            f"flush map {table} buckets",
            f"delete element {table} pools {{ {POOL} }}",
            f"add chain {table} own2 {{ type filter hook forward priority 0; policy drop; }}",
        ):
            network.edge.run(f"nft {harm}")
            await reached(lambda: listing(network) == before)
        assert (await network.connect()).node in ALL


def listing(network: Network) -> list[str]:
    return sorted(network.edge.run("nft list table ip wellhead-forwarder").splitlines())


async def test_a_restart_costs_the_same_however_many_flows_there_are(
    network: Network, tmp_path: Path
) -> None:
    await once(network)
    add_flows(network, WEB, range(_MANY), tmp_path / "flows")
    tracemalloc.start()
    try:
        await once(network)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 16 << 20  # as objects they would be 40 MB
    assert count(network) >= _MANY
    assert (await network.connect()).node in ALL


async def test_a_frontend_that_goes_takes_its_flows_along_and_no_others(
    network: Network, tmp_path: Path
) -> None:
    other = _OTHERS[1]
    await once(network)
    add_flows(network, WEB, range(_MANY), tmp_path / "flows")
    add_flows(network, other, range(100), tmp_path / "flows")
    forwarder = Forwarder([POOL], network.edge.path)
    forwarder.submit(spread(*_OTHERS), nodes=ALL)  # the other had it, and this one was never told of it
    tracemalloc.start()
    try:
        async with running(forwarder):
            await forwarder.submit()
            await reached(lambda: not flows(network, WEB))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 16 << 20
    assert flows(network, other) == 100


def start_client(network: Network) -> subprocess.Popen[str]:
    client = network.client.inside(
        lambda: subprocess.Popen(
            [sys.executable, "-c", _CLIENT, str(VIP)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
    )
    assert client.stdout is not None
    assert client.stdout.readline() == "begun\n"
    return client


def end(client: subprocess.Popen[str]) -> dict[str, int]:
    with client:
        out, _ = client.communicate(timeout=PATIENCE)
    found: dict[str, int] = json.loads(out)
    return found


def add_flows(network: Network, to: Frontend, numbers: Iterable[int], file: Path) -> None:
    """Flows as the forwarder's own are. The program needs a hundredth of what it takes Python to add them."""

    def flow(number: int) -> str:
        source = f"198.51.{100 + number // 50_000}.{number // 250 % 250 + 1}"
        there = f"-s {source} -d {to.vip} --sport {1024 + number} --dport {to.port}"
        back = f"-r {to.vip} -q {source} --reply-port-src {to.port} --reply-port-dst {1024 + number}"
        return (
            f"-I -p tcp {there} {back} --state ESTABLISHED --timeout 600 --mark {FORWARDER_MARKS.start + 1}\n"
        )

    file.write_text("".join(map(flow, numbers)))
    network.edge.run(f"conntrack -R {file}")


def count(network: Network) -> int:
    return int(network.edge.run("conntrack -C"))


def flows(network: Network, to: Frontend) -> int:
    return network.edge.run(f"conntrack -L -p tcp -d {to.vip} --dport {to.port}").count("\n")
