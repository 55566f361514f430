"""The forwarder with real packets: a client, a router, and three nodes that hold the VIPs."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from collections import Counter
from collections.abc import AsyncIterator
from ipaddress import IPv4Address, IPv4Network
from typing import TYPE_CHECKING

import pytest

from tests.patience import PATIENCE, reached
from wellhead.cloud.forwarder.plane import Forwarder
from wellhead.cloud.forwarder.tables import Change, Frontend, Target

if TYPE_CHECKING:
    from tests.packets.cloud.conftest import Connection, Network

pytestmark = pytest.mark.cluster

POOL = IPv4Network("203.0.113.0/24")
VIP, OTHER_VIP = IPv4Address("203.0.113.140"), IPv4Address("203.0.113.141")
ONE, TWO, THREE = (IPv4Address(f"10.240.0.{host}") for host in (11, 12, 13))
ALL = frozenset({ONE, TWO, THREE})
WEB = Frontend(VIP, "tcp", 80)
DATAGRAMS = Frontend(VIP, "udp", 80)


@contextlib.asynccontextmanager
async def running(forwarder: Forwarder) -> AsyncIterator[Forwarder]:
    task = asyncio.ensure_future(forwarder.run())
    try:
        yield forwarder
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


def spread(*frontends: Frontend, nodes: frozenset[IPv4Address] = ALL, by_client: bool = False) -> Change:
    return Change({frontend: Target("all", by_client) for frontend in frontends}, {"all": nodes})


@pytest.fixture
async def forwarder(network: Network) -> AsyncIterator[Forwarder]:
    forwarder = Forwarder([POOL], network.edge.path)
    forwarder.submit(spread(WEB, DATAGRAMS), nodes=ALL)
    async with running(forwarder):
        await forwarder.submit()
        yield forwarder


async def connect(network: Network, count: int) -> list[Connection]:
    return [await network.connect() for _ in range(count)]


async def test_flows_reach_every_node_unchanged(network: Network, forwarder: Forwarder) -> None:
    connections = await connect(network, 40)
    assert {connection.client for connection in connections} == {IPv4Address("198.51.100.79")}
    assert {connection.node for connection in connections} == ALL


async def test_a_draining_node_keeps_its_flows_and_gets_no_new_ones(
    network: Network, forwarder: Forwarder
) -> None:
    before = await connect(network, 30)
    await forwarder.submit(Change(groups={"all": ALL - {TWO}}))
    after = await connect(network, 30)
    assert {connection.node for connection in after} == ALL - {TWO}
    assert all([await connection.works() for connection in before])


async def test_without_any_node_established_flows_go_on_and_new_ones_get_no_answer(
    network: Network, forwarder: Forwarder
) -> None:
    before = await connect(network, 5)
    await forwarder.submit(Change(groups={"all": frozenset()}))
    await network.connect_in_vain()
    assert all([await connection.works() for connection in before])
    await forwarder.submit(Change(groups={"all": frozenset({THREE})}))
    after = await connect(network, 5)
    assert {connection.node for connection in after} == {THREE}


async def test_a_connection_attempt_that_got_no_answer_is_tried_at_another_node(
    network: Network, forwarder: Forwarder
) -> None:
    await forwarder.submit(Change(groups={"all": frozenset({ONE})}))
    network.nodes[ONE].run("ip link set eth0 down")
    attempt = asyncio.ensure_future(network.connect())
    await reached(lambda: "SYN_SENT" in network.edge.run("conntrack -L"))
    await forwarder.submit(Change(groups={"all": frozenset({THREE})}))
    connection = await attempt
    assert connection.node == THREE


async def test_a_dead_node_loses_exactly_its_own_flows(network: Network, forwarder: Forwarder) -> None:
    connections = await connect(network, 30)
    network.nodes[TWO].run("ip link set eth0 down")
    await forwarder.submit(Change(groups={"all": ALL - {TWO}}), lost={TWO})
    assert {connection.node for connection in connections} == ALL
    assert await network.works_all_but(connections, TWO)


async def test_a_removed_node_leaves_no_rule_route_or_flow(network: Network, forwarder: Forwarder) -> None:
    connections = await connect(network, 30)
    await forwarder.submit(Change(groups={"all": ALL - {TWO}}), nodes=ALL - {TWO})
    assert "10.240.0.12" not in network.edge.run("ip route show table all")
    assert network.edge.run("ip rule").count("fwmark") == 2
    assert await network.works_all_but(connections, TWO)


async def test_a_node_that_comes_gets_flows_and_disturbs_none(network: Network, forwarder: Forwarder) -> None:
    await forwarder.submit(Change(groups={"all": ALL - {TWO}}), nodes=ALL - {TWO})
    before = await connect(network, 20)
    await forwarder.submit(Change(groups={"all": ALL}), nodes=ALL)
    assert all([await connection.works() for connection in before])
    after = await connect(network, 40)
    assert {connection.node for connection in after} == ALL


@pytest.mark.parametrize("count", [1, 20])
async def test_only_known_frontends_are_forwarded(network: Network, forwarder: Forwarder, count: int) -> None:
    removed = [WEB, *(Frontend(VIP, "tcp", 8000 + number) for number in range(1, count))]
    await forwarder.submit(spread(*removed))
    await network.connect_in_vain(OTHER_VIP)
    await network.connect_in_vain(VIP, port=81)
    connections = await connect(network, 3)
    await forwarder.submit(Change(dict.fromkeys(removed)))
    await network.connect_in_vain()
    assert await network.works_all_but(connections, *ALL)
    await reached(lambda: f"dst={VIP}" not in network.edge.run("conntrack -L -p tcp"))
    await forwarder.submit(spread(WEB))
    assert (await network.connect()).node in ALL


async def test_a_restart_and_a_change_meanwhile_lose_no_flow(network: Network) -> None:
    first = Forwarder([POOL], network.edge.path)
    first.submit(spread(WEB), nodes=ALL)
    async with running(first):
        await first.submit()
        before = await connect(network, 30)
    assert all([await connection.works() for connection in before])
    second = Forwarder([POOL], network.edge.path)
    second.submit(spread(WEB, nodes=ALL - {THREE}), nodes=ALL)
    async with running(second):
        await second.submit()
        assert all([await connection.works() for connection in before])
        after = await connect(network, 30)
        assert {connection.node for connection in after} == ALL - {THREE}


async def test_a_restart_forgets_what_vanished_meanwhile(network: Network) -> None:
    first = Forwarder([POOL], network.edge.path)
    first.submit(spread(WEB), nodes=ALL)
    async with running(first):
        await first.submit()
        before = await connect(network, 20)
    second = Forwarder([POOL], network.edge.path)
    second.submit(spread(WEB, nodes=ALL - {THREE}), nodes=ALL - {THREE})
    async with running(second):
        await second.submit()
        assert await network.works_all_but(before, THREE)


async def test_vip_traffic_from_a_node_goes_nowhere(network: Network, forwarder: Forwarder) -> None:
    network.nodes[ONE].run(f"ip addr del {VIP}/32 dev lo")
    with network.nodes[ONE].socket(socket.SOCK_STREAM) as sock:
        await network.in_vain(sock, VIP)


async def test_a_udp_flow_stays_with_its_node_while_the_nodes_change(
    network: Network, forwarder: Forwarder
) -> None:
    loop = asyncio.get_running_loop()
    sockets = [network.client.socket(socket.SOCK_DGRAM) for _ in range(12)]

    async def ask(sock: socket.socket) -> bytes:
        await loop.sock_sendto(sock, b"who?", (str(VIP), 80))
        async with asyncio.timeout(PATIENCE):
            return await loop.sock_recv(sock, 100)

    before = [await ask(sock) for sock in sockets]
    assert len(set(before)) > 1
    await forwarder.submit(Change(groups={"all": frozenset({ONE})}))
    assert [await ask(sock) for sock in sockets] == before
    fresh = network.client.socket(socket.SOCK_DGRAM)
    assert await ask(fresh) == b"10.240.0.11 198.51.100.79"
    for sock in (*sockets, fresh):
        sock.close()


async def test_an_icmp_error_reaches_the_node_that_has_the_flow(
    network: Network, forwarder: Forwarder
) -> None:
    loop = asyncio.get_running_loop()
    sock = network.client.socket(socket.SOCK_DGRAM)
    await loop.sock_sendto(sock, b"who?", (str(VIP), 80))
    async with asyncio.timeout(PATIENCE):
        node = IPv4Address((await loop.sock_recv(sock, 100)).split()[0].decode())
    port = sock.getsockname()[1]
    # "Fragmentation needed, next hop's MTU 1300", about a packet from VIP to client.
    about = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 1400, 1, 0x4000, 64, 17, 0, VIP.packed, _client().packed)
    about += struct.pack("!HHHH", 80, port, 1380, 0)
    message = struct.pack("!BBHHH", 3, 4, 0, 0, 1300) + about
    message = message[:2] + struct.pack("!H", _checksum(message)) + message[4:]
    raw = network.client.socket(socket.SOCK_RAW, socket.IPPROTO_ICMP)
    await loop.sock_sendto(raw, message, (str(VIP), 0))

    def learned() -> set[IPv4Address]:
        return {
            address
            for address, host in network.nodes.items()
            if "mtu 1300" in host.run(f"ip route get {_client()}")
        }

    assert await reached(learned) == {node}
    raw.close()
    sock.close()


async def test_a_change_touches_only_what_differs(network: Network, forwarder: Forwarder) -> None:
    before = network.edge.run("nft -a list chain ip wellhead-forwarder vip")
    await forwarder.submit(spread(WEB, Frontend(OTHER_VIP, "tcp", 443)))
    await forwarder.submit(Change(groups={"all": frozenset({ONE})}))
    await forwarder.submit(Change(groups={"all": ALL}))
    assert network.edge.run("nft -a list chain ip wellhead-forwarder vip") == before
    frontends = network.edge.run("nft list map ip wellhead-forwarder frontends")
    assert frontends.count("0x00000001") == 3
    buckets = Counter(
        word
        for word in network.edge.run("nft list map ip wellhead-forwarder buckets").split()
        if "0x4000" in word
    )
    assert sum(buckets.values()) == 1024


async def test_a_table_that_somebody_removed_comes_back_also_if_it_is_to_change_meanwhile(
    network: Network, forwarder: Forwarder
) -> None:
    network.edge.run("nft delete table ip wellhead-forwarder")
    with contextlib.suppress(Exception):
        await forwarder.submit(Change(groups={"all": ALL - {ONE}}))
    await forwarder.submit()
    connections = await connect(network, 20)
    assert {connection.node for connection in connections} == ALL - {ONE}


async def test_remove_leaves_nothing(network: Network) -> None:
    forwarder = Forwarder([POOL], network.edge.path)
    before = [
        network.edge.run(command) for command in ("nft list ruleset", "ip rule", "ip route show table all")
    ]
    forwarder.submit(spread(WEB), nodes=ALL)
    async with running(forwarder):
        await forwarder.submit()
    await forwarder.remove()
    after = [
        network.edge.run(command) for command in ("nft list ruleset", "ip rule", "ip route show table all")
    ]
    assert after == before


def _client() -> IPv4Address:
    return IPv4Address("198.51.100.79")


def _checksum(data: bytes) -> int:
    total: int = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


async def test_a_table_too_large_for_the_kernels_news_is_made_once(
    network: Network, caplog: pytest.LogCaptureFixture
) -> None:
    forwarder = Forwarder([POOL], network.edge.path)
    change = Change({WEB: Target("group-7")}, {f"group-{number}": ALL for number in range(60)})
    forwarder.submit(change, nodes=ALL)
    async with running(forwarder):
        await forwarder.submit()
        await forwarder.submit()  # had anything been lost, it would be made anew by now
        assert "somebody has changed" not in caplog.text
        assert (await network.connect()).node in ALL
