"""What the forwarder does alike in both families, with packets of each, by a forwarder of both."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass
from ipaddress import IPv4Address, ip_address
from typing import TYPE_CHECKING

import pytest

from tests.packets.cloud.test_forwarder_ipv6 import ALL, ALL4, made, running
from tests.patience import PATIENCE
from wellhead.cloud.forwarder.plane import Forwarder
from wellhead.cloud.forwarder.tables import Change, Frontend, Target
from wellhead.ip import IPAddress

if TYPE_CHECKING:
    from tests.packets.cloud.conftest import Network


@dataclass(frozen=True)
class Side:
    """The addresses of one family."""

    vip: IPAddress
    client: str

    def __str__(self) -> str:
        return f"ipv{self.vip.version}"

    def address(self, node: str) -> IPAddress:
        """A node's, by what it calls itself: its IPv4 address."""
        return ip_address(node if self.vip.version == 4 else f"fd00:10:240::{node.rpartition('.')[2]}")


SIDES = (
    Side(ip_address("203.0.113.140"), "198.51.100.79"),
    Side(ip_address("2001:db8:113::140"), "2001:db8:51::79"),
)

pytestmark = [pytest.mark.cluster, pytest.mark.parametrize("side", SIDES, ids=str)]


@pytest.fixture
async def forwarder(network: Network, side: Side) -> AsyncIterator[Forwarder]:
    async with running(made(network)) as forwarder:
        await forwarder.submit(
            Change({Frontend(side.vip, protocol, 80): Target("all") for protocol in ("tcp", "udp")}, {})
        )
        yield forwarder


@contextlib.asynccontextmanager
async def datagrams(network: Network, side: Side) -> AsyncIterator[socket.socket]:
    """A socket, whose datagrams to the VIP are one flow."""
    with network.client.socket(socket.SOCK_DGRAM, version=side.vip.version) as sock:
        yield sock


async def test_client_affinity_sends_all_flows_of_a_client_to_one_node(
    network: Network, forwarder: Forwarder, side: Side
) -> None:
    web = Frontend(side.vip, "tcp", 80)
    await forwarder.submit(Change({web: Target("all", client_affinity=True)}, {"all": ALL | ALL4}))
    assert len({(await network.connect(side.vip)).node for _ in range(20)}) == 1


async def test_a_udp_flow_leaves_a_node_that_has_nothing_to_say_any_more(
    network: Network, forwarder: Forwarder, side: Side
) -> None:
    loop, frontend = asyncio.get_running_loop(), Frontend(side.vip, "udp", 80)
    async with datagrams(network, side) as sock:

        async def ask() -> IPAddress:
            await loop.sock_sendto(sock, b"who?", (str(side.vip), 80))
            async with asyncio.timeout(PATIENCE):
                node, seen = (await loop.sock_recv(sock, 100)).decode().split()
            assert seen == side.client
            return side.address(node)

        first = await ask()
        others = (ALL | ALL4) - {first}
        await forwarder.submit(Change(groups={"all": others}))
        assert await ask() == first
        await forwarder.submit(mute={(frontend, node) for node in others})
        assert await ask() == first
        await forwarder.submit(mute={(frontend, first)})
        assert await ask() != first


async def test_the_routers_own_icmp_error_reaches_the_node_that_has_the_flow(
    network: Network, forwarder: Forwarder, side: Side
) -> None:
    network.edge.run("ip link set internet mtu 1300")
    loop = asyncio.get_running_loop()
    async with datagrams(network, side) as sock:
        answer = b""
        async with asyncio.timeout(PATIENCE):
            while not answer:  # the first answer of 1400 bytes is too long, and what comes after is cut up
                await loop.sock_sendto(sock, b"much", (str(side.vip), 80))
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(0.3):  # then it is asked again
                        answer = await loop.sock_recv(sock, 2000)
        assert len(answer) == 1400
    learned = {
        address
        for address, host in network.nodes.items()
        if "mtu 1300" in host.run(f"ip -{side.vip.version} route get {side.client}")
    }
    assert learned == {IPv4Address(answer.split()[0].decode())}
