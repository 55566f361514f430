"""VIPs announced on the nodes' own network: nodes answer clients past the machine that announces."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Iterable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import TYPE_CHECKING

import pytest

from tests.patience import PATIENCE, reached
from wellhead.cloud.announce.announcer import Announcer
from wellhead.cloud.forwarder.plane import Forwarder
from wellhead.cloud.forwarder.tables import Change, Frontend, Target
from wellhead.ip import IPAddress, IPNetwork

if TYPE_CHECKING:
    from tests.packets.cloud.conftest import Connection, Host, Network
    from tests.packets.cloud.control import Control

pytestmark = pytest.mark.cluster

POOLS: list[IPNetwork] = [IPv4Network("10.240.0.128/27"), IPv6Network("fd00:10:240::1:0/112")]
VIPS: list[IPAddress] = [IPv4Address("10.240.0.140"), IPv6Address("fd00:10:240::1:140")]
SPEAKERS = [IPv4Address("10.240.0.21"), IPv4Address("10.240.0.22")]
ONE, TWO, THREE = (IPv4Address(f"10.240.0.{host}") for host in (11, 12, 13))


def both(*nodes: IPv4Address) -> frozenset[IPAddress]:
    return frozenset(nodes) | {IPv6Address(f"fd00:10:240::{int(node) & 0xFF}") for node in nodes}


ALL = both(ONE, TWO, THREE)


class Speaker:
    """A machine that forwards VIPs, and announces them."""

    def __init__(self, host: Host) -> None:
        for name, value in (
            ("net/ipv4/ip_forward", "1"),
            ("net/ipv6/conf/all/forwarding", "1"),
            ("net/ipv4/conf/all/rp_filter", "1"),  # strict: nothing here needs it to be off
        ):
            host.sysctl(name, value)
        self.host = host
        self.announcer = Announcer(["eth0"], host.path)
        self.forwarder = Forwarder(POOLS, host.path, announced=["eth0"], on_vips=self.announcer.announce)
        targets = {Frontend(vip, protocol, 80): Target("all") for vip in VIPS for protocol in ("tcp", "udp")}
        self.forwarder.submit(Change(dict(targets), {"all": ALL}), nodes=ALL)

    @contextlib.asynccontextmanager
    async def speaking(self) -> AsyncIterator[Speaker]:
        tasks = [asyncio.ensure_future(self.forwarder.run()), asyncio.ensure_future(self.announcer.run())]
        try:
            await self.forwarder.submit()
            yield self
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


@pytest.fixture
def switched(network: Network) -> Network:
    """Nodes hold the VIPs as theirs, but say so to nobody."""
    for node in network.nodes.values():
        node.sysctl("net/ipv4/conf/all/arp_ignore", "1")
        node.sysctl("net/ipv4/conf/all/arp_announce", "2")
        node.run(*(f"ip addr add {vip} dev lo" for vip in VIPS))
    return network


def learn_macs(speaker: Host, network: Network) -> None:
    """What health checks do all the time: every node sends something."""
    for node in network.nodes:
        with speaker.socket(socket.SOCK_STREAM) as sock:
            sock.setblocking(True)
            sock.settimeout(PATIENCE)
            sock.connect((str(node), 80))


async def connect(network: Network, vip: IPAddress, count: int) -> list[Connection]:
    return [await network.connect(vip) for _ in range(count)]


async def connect_again(
    network: Network, vip: IPAddress, connections: Iterable[Connection]
) -> list[Connection]:
    """Break them off, and open others from their ports: at once, since each may wait for a second packet."""
    return await asyncio.gather(*(network.connect_again(each, vip) for each in connections))


@pytest.mark.parametrize("vip", VIPS)
async def test_clients_beyond_the_router_reach_every_node_and_are_answered_past_the_speaker(
    switched: Network, vip: IPAddress
) -> None:
    async with Speaker(switched.add_host("speaker", SPEAKERS[0])).speaking() as speaker:
        connections = await connect(switched, vip, 40)
        assert {connection.node for connection in connections} == {ONE, TWO, THREE}
        assert {str(connection.client) for connection in connections} <= {"198.51.100.79", "2001:db8:51::79"}
        assert all([await connection.works() for connection in connections])
        # Established flows stay where they are, though the speaker never sees an answer.
        await speaker.forwarder.submit(Change(groups={"all": ALL - both(TWO)}))
        assert all([await connection.works() for connection in connections])
        assert TWO not in {connection.node for connection in await connect(switched, vip, 20)}
        await speaker.forwarder.submit(Change(groups={"all": ALL - both(TWO)}), lost=both(TWO))
        assert await switched.works_all_but(connections, TWO)
    # Nobody answers for it any more, and the router finds out.
    switched.edge.run("ip neigh flush all", "ip -6 neigh flush all")
    await switched.connect_in_vain(vip)


@pytest.mark.parametrize("vip", VIPS)
async def test_another_speaker_takes_over_and_every_connection_goes_on(
    switched: Network, vip: IPAddress
) -> None:
    first, second = (
        Speaker(switched.add_host(f"speaker-{number}", address)) for number, address in enumerate(SPEAKERS)
    )
    async with first.speaking():
        before = await connect(switched, vip, 30)
    # Its kernel goes on forwarding what still comes to it.
    assert all([await connection.works() for connection in before])
    async with second.speaking():
        mac = second.host.inside(lambda: _mac("eth0"))
        await reached(lambda: switched.edge.run(f"ip neigh show {vip}"), lambda found: mac in found)
        assert all([await connection.works() for connection in before])
        first.host.run("ip link set eth0 down")
        assert all([await connection.works() for connection in [*before, await switched.connect(vip)]])


@pytest.mark.parametrize("vip", VIPS)
async def test_a_port_that_a_client_uses_again_goes_where_its_first_packet_went(
    switched: Network, vip: IPAddress
) -> None:
    async with Speaker(switched.add_host("speaker", SPEAKERS[0])).speaking() as speaker:
        for gone in (ONE, TWO, THREE):
            await speaker.forwarder.submit(Change(groups={"all": ALL}))
            earlier = await connect(switched, vip, 12)
            await speaker.forwarder.submit(Change(groups={"all": ALL - both(gone)}))
            # The speaker remembers all of them, and the nodes that they had.
            again = await connect_again(switched, vip, earlier)
            assert gone not in {each.node for each in again}
            await speaker.forwarder.submit(Change(groups={"all": ALL}))
            assert all([await each.works() for each in again])


@pytest.mark.parametrize("vip", VIPS)
async def test_a_speaker_may_be_a_node_itself_and_a_table_that_it_left_harms_nobody(
    switched: Network, vip: IPAddress
) -> None:
    # Two nodes have, instead of the VIP, what a service proxy makes of it.
    for node in (ONE, TWO):
        host, ip = switched.nodes[node], "ip" if vip.version == 4 else "ip6"
        own = next(str(address) for address in both(node) if address.version == vip.version)
        to = own if vip.version == 4 else f"[{own}]"
        host.run(f"ip addr del {vip} dev lo")
        host.run(f"nft add table {ip} proxy")
        host.run(f"nft add chain {ip} proxy pre {{type nat hook prerouting priority -100;}}")
        host.run(f"nft add rule {ip} proxy pre {ip} daddr {vip} tcp dport 80 dnat to {to}:80")
    first = Speaker(switched.nodes[ONE])
    async with first.speaking():
        learn_macs(switched.nodes[ONE], switched)
        before = await connect(switched, vip, 40)
        assert {connection.node for connection in before} == {ONE, TWO, THREE}
        assert all([await connection.works() for connection in before])
        await first.forwarder.submit(Change(groups={"all": ALL - both(ONE)}))
        assert ONE not in {connection.node for connection in await connect(switched, vip, 15)}
        assert all([await connection.works() for connection in before])
        # Ports whose earlier connections the speaker's own service proxy had, and those of others.
        again = await connect_again(switched, vip, before[:12])
        assert ONE not in {each.node for each in again}
        await first.forwarder.submit(Change(groups={"all": ALL}))
        assert all([await each.works() for each in again])
        before = [*before[12:], *await connect_again(switched, vip, again)]
        assert ONE in {each.node for each in before}
        await first.forwarder.submit(Change(groups={"all": ALL - both(ONE)}))
        assert all([await each.works() for each in before])
    async with Speaker(switched.nodes[TWO]).speaking():
        learn_macs(switched.nodes[TWO], switched)
        mac = switched.nodes[TWO].inside(lambda: _mac("eth0"))
        await reached(lambda: switched.edge.run(f"ip neigh show {vip}"), lambda found: mac in found)
        assert all([await connection.works() for connection in before])
        after = await connect(switched, vip, 40)
        assert {connection.node for connection in after} == {ONE, TWO, THREE}


async def test_datagrams_follow_their_flow_and_an_interface_that_comes_up_is_announced_anew(
    switched: Network,
) -> None:
    loop = asyncio.get_running_loop()
    vip = VIPS[0]
    node_sockets = []
    for node, host in switched.nodes.items():
        sock = host.socket(socket.SOCK_DGRAM)
        sock.bind((str(vip), 80))
        loop.add_reader(sock, _echo, sock, str(node).encode())
        node_sockets.append(sock)
    client = switched.client.socket(socket.SOCK_DGRAM)

    async def ask() -> str:
        async with asyncio.timeout(PATIENCE):
            while True:
                await loop.sock_sendto(client, b"who?", (str(vip), 80))
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(0.5):  # nobody repeats a datagram that was lost
                        return (await loop.sock_recv(client, 100)).decode()

    try:
        async with Speaker(switched.add_host("speaker", SPEAKERS[0])).speaking() as speaker:
            first = await ask()
            others = ALL - both(IPv4Address(first))
            await speaker.forwarder.submit(Change(groups={"all": others}))
            assert await ask() == first
            speaker.host.run(
                "ip link set eth0 down", "ip link set eth0 up", "ip route add default via 10.240.0.1"
            )
            switched.edge.run("ip neigh flush all")
            assert await ask() in {str(node) for node in (ONE, TWO, THREE)}
    finally:
        for sock in node_sockets:
            loop.remove_reader(sock)
            sock.close()
        client.close()


def _echo(sock: socket.socket, name: bytes) -> None:
    with contextlib.suppress(BlockingIOError):
        _, client = sock.recvfrom(100)
        sock.sendto(name, client)


def _mac(interface: str) -> str:
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0) as sock:
        sock.bind((interface, 0))
        return str(sock.getsockname()[4].hex(":"))


async def test_when_the_leader_is_killed_another_announces_and_every_connection_goes_on(
    switched: Network, control: Control
) -> None:
    for node in switched.nodes:
        await switched.serve_health(node, 10256)
    hosts = [switched.add_host(f"speaker-{number}", address) for number, address in enumerate(SPEAKERS)]
    processes = [control.start_speaker(host, f"speaker-{number}") for number, host in enumerate(hosts)]
    spec = {"type": "LoadBalancer", "ports": [{"port": 80}], "ipFamilyPolicy": "RequireDualStack"}
    annotation = {"wellhead.dev/load-balancer-ip": ",".join(map(str, VIPS))}
    control.create(
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": "web", "annotations": annotation},
            "spec": spec,
        }
    )
    await control.until(lambda: len(control.service()["status"]["loadBalancer"].get("ingress", ())) == 2)

    def holder() -> str:
        return control.kubectl(
            "get", "lease", "-n", "kube-system", "wellhead-cloud", "-o", "jsonpath={.spec.holderIdentity}"
        )

    def speaker() -> int | None:
        macs = [host.inside(lambda: _mac("eth0")) for host in hosts]
        neighbours = [switched.edge.run(f"ip neigh show {vip}") for vip in VIPS]
        return next((n for n, mac in enumerate(macs) if all(mac in each for each in neighbours)), None)

    before = [await switched.connect(vip) for vip in VIPS for _ in range(15)]
    leader, first = speaker(), holder()
    assert leader is not None
    processes[leader].kill()
    await control.until(lambda: speaker() == 1 - leader)
    assert holder() != first
    hosts[leader].run("ip link set eth0 down")
    assert all([await connection.works() for connection in before])
    assert {(await switched.connect(vip)).node for vip in VIPS for _ in range(20)} == {ONE, TWO, THREE}
    # One that is stopped gives its lease back, and what it leaves in the kernel goes with --cleanup.
    processes[1 - leader].terminate()
    await control.until(lambda: holder() == "")
