"""The forwarder with real IPv6 packets: what differs from IPv4 is its rules, routes and ICMP."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import TYPE_CHECKING

import pytest

from tests.patience import reached
from wellhead.cloud.forwarder.plane import Forwarder
from wellhead.cloud.forwarder.tables import Change, Frontend, Target
from wellhead.ip import IPNetwork

if TYPE_CHECKING:
    from tests.packets.cloud.conftest import Connection, Network

pytestmark = pytest.mark.cluster

POOLS: list[IPNetwork] = [IPv4Network("203.0.113.0/24"), IPv6Network("2001:db8:113::/64")]
VIP, OTHER_VIP = IPv6Address("2001:db8:113::140"), IPv6Address("2001:db8:113::141")
ONE, TWO, THREE = (IPv6Address(f"fd00:10:240::{host}") for host in (11, 12, 13))
ALL = frozenset({ONE, TWO, THREE})
ALL4 = frozenset(IPv4Address(f"10.240.0.{host}") for host in (11, 12, 13))
TWO4 = IPv4Address("10.240.0.12")
WEB, WEB4, DATAGRAMS = (
    Frontend(VIP, "tcp", 80),
    Frontend(IPv4Address("203.0.113.140"), "tcp", 80),
    Frontend(VIP, "udp", 80),
)
CLIENT = "2001:db8:51::79"


@contextlib.asynccontextmanager
async def running(forwarder: Forwarder) -> AsyncIterator[Forwarder]:
    task = asyncio.ensure_future(forwarder.run())
    try:
        yield forwarder
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


def made(network: Network) -> Forwarder:
    forwarder = Forwarder(POOLS, network.edge.path)
    change = Change(dict.fromkeys((WEB, WEB4, DATAGRAMS), Target("all")), {"all": ALL | ALL4})
    forwarder.submit(change, nodes=ALL | ALL4)
    return forwarder


@pytest.fixture
async def forwarder(network: Network) -> AsyncIterator[Forwarder]:
    async with running(made(network)) as forwarder:
        await forwarder.submit()
        yield forwarder


async def connect(network: Network, count: int) -> list[Connection]:
    return [await network.connect(VIP) for _ in range(count)]


async def test_flows_of_both_families_reach_every_node_unchanged(
    network: Network, forwarder: Forwarder
) -> None:
    connections = await connect(network, 40)
    assert {str(connection.client) for connection in connections} == {CLIENT}
    assert {connection.node for connection in connections} == ALL4
    assert str((await network.connect()).client) == "198.51.100.79"
    await network.connect_in_vain(OTHER_VIP)


async def test_established_flows_stay_while_nodes_drain_die_and_a_controller_restarts(
    network: Network,
) -> None:
    async with running(made(network)) as first:
        await first.submit()
        before = await connect(network, 20)
        await first.submit(Change(groups={"all": ALL - {TWO}}))
        assert all([await connection.works() for connection in before])
        assert TWO4 not in {connection.node for connection in await connect(network, 20)}
    assert all([await connection.works() for connection in before])
    async with running(made(network)) as second:
        await second.submit()
        assert all([await connection.works() for connection in before])
        network.nodes[TWO4].run("ip link set eth0 down")
        await second.submit(Change(groups={"all": ALL - {TWO}}), lost={TWO})
        assert await network.works_all_but(before, TWO4)
    await second.remove()
    assert "wellhead" not in network.edge.run("nft list tables")
    assert "fwmark" not in network.edge.run("ip rule") + network.edge.run("ip -6 rule")
    assert "mark=0x4000" not in network.edge.run("conntrack -L -f ipv6")


async def test_what_others_take_away_comes_back(network: Network, forwarder: Forwarder) -> None:
    before = await connect(network, 10)
    tables = ("nft list ruleset", "ip -6 rule", "ip rule", "ip route show table all proto 89")
    wanted = [network.edge.run(table) for table in tables]
    network.edge.run("nft flush ruleset", "ip -6 rule flush proto 89", "ip rule flush proto 89")
    network.edge.run(f"ip route del default via {ONE} table {0x40000001}")
    await reached(
        lambda: [sorted(network.edge.run(table).split()) for table in tables],
        lambda found: found == [sorted(text.split()) for text in wanted],
    )
    assert all([await connection.works() for connection in before])
