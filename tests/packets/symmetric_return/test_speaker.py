"""A node that announces VIPs and spreads them, and returns replies symmetrically: neither disturbs the other.

Node 1 is the speaker. A connection to its VIP goes to one of three nodes, itself among them; each of them
sends it on to the endpoint on node 2 with the client's address.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator
from ipaddress import ip_address, ip_network

import pytest

from tests.packets.symmetric_return.conftest import in_force
from tests.packets.symmetric_return.world import (
    CLIENT,
    CLIENT6,
    NUMBERS,
    PRESERVE,
    TARGET_PORT,
    Connection,
    World,
    connect,
    pod_address,
    vip,
)
from wellhead.cloud.forwarder.plane import Forwarder
from wellhead.cloud.forwarder.tables import Change, Frontend, Target
from wellhead.ip import Family, IPAddress, Protocol
from wellhead.linux import conntrack
from wellhead.linux.conntrack import Dialled
from wellhead.linux.numbers import RouteOwner
from wellhead.proxy.marks import Marks
from wellhead.proxy.symmetric_return.kernel import remove_all

pytestmark = pytest.mark.cluster

POOLS = [ip_network("203.0.113.0/24"), ip_network("2001:db8:113::/64")]
SPEAKER = 1
SEEN = {4: CLIENT, 6: CLIENT6}


@pytest.fixture
def world(built: World) -> Iterator[World]:
    if built.routed:
        pytest.skip("a speaker's nodes are its neighbours")
    found = in_force(built)
    _check_paths(found, "2")  # clients' packets come by the speaker, and their answers by the nodes
    for number in NUMBERS:
        node = found.nodes[number].host
        if number != SPEAKER:
            for version, ip, to in ((4, "ip", "{}:{}"), (6, "ip6", "[{}]:{}")):
                target = to.format(pod_address(2, version), TARGET_PORT)
                node.run(
                    f"nft add rule inet ingress prerouting {ip} daddr {vip(SPEAKER, version)} tcp dport 80"
                    f" meta mark set meta mark | {PRESERVE:#x} dnat {ip} to {target}"
                )
    yield found
    _check_paths(found, "1")


def _check_paths(world: World, how: str) -> None:
    for number in NUMBERS:
        world.nodes[number].host.sysctl("net/ipv4/conf/eth0/rp_filter", how)
        world.router.sysctl(f"net/ipv4/conf/wan{number}/rp_filter", how)


def addresses(world: World, *numbers: int) -> frozenset[IPAddress]:
    return frozenset(ip_address(world.node_address(each, version)) for each in numbers for version in (4, 6))


@contextlib.asynccontextmanager
async def speaking(world: World) -> AsyncIterator[Forwarder]:
    """Node 1 spreads its VIP's port 80 over all nodes."""
    host, nodes = world.nodes[SPEAKER].host, addresses(world, *NUMBERS)
    forwarder = Forwarder(POOLS, host.path, announced=["wan"])
    frontends = {Frontend(ip_address(vip(SPEAKER, each)), "tcp", 80): Target("all") for each in (4, 6)}
    forwarder.submit(Change(dict(frontends), {"all": nodes}), nodes=nodes)
    running = asyncio.ensure_future(forwarder.run())
    try:
        await forwarder.submit()
        yield forwarder
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await forwarder.remove()


def connections(world: World, stack: contextlib.ExitStack, version: int, count: int = 24) -> list[Connection]:
    found = [stack.enter_context(connect(world, SPEAKER, version=version)) for _ in range(count)]
    assert {each.seen for each in found} == {SEEN[version]}
    return found


def ways(world: World, version: int) -> set[int]:
    """The nodes that have translated connections to the VIP."""
    asked = Dialled(Protocol.TCP, ip_address(vip(SPEAKER, version)), 80)
    pod = ip_address(pod_address(2, version))

    def translates() -> bool:
        return any(each.answered_by.ip == pod for each in conntrack.flows(Family(version), [asked]))

    return {number for number in NUMBERS if world.nodes[number].host.inside(translates)}


@pytest.mark.parametrize("version", [4, 6])
async def test_connections_by_every_node_keep_their_client_and_outlive_a_nodes_removal(
    world: World, version: int
) -> None:
    with contextlib.ExitStack() as stack:
        async with speaking(world) as forwarder:
            by_vip = connections(world, stack, version)
            assert ways(world, version) == set(NUMBERS)
            by_node = [stack.enter_context(connect(world, each, version=version)) for each in (2, 3)]
            # Node 3 is none of the forwarder's any more; to the symmetric return it is a peer as before.
            rest = addresses(world, 1, 2)
            await forwarder.submit(Change(groups={"all": rest}), nodes=rest)
            world.converge()
            assert all(each.echo() for each in by_node)
            again = connections(world, stack, version)
            assert all(each.echo() for each in again)
            # And the other way round: what is left of the return paths goes, VIPs are forwarded as before.
            before = owned(world, RouteOwner.FORWARDER, version)
            world.nodes[SPEAKER].host.inside(lambda: remove_all(Marks()))
            assert owned(world, RouteOwner.FORWARDER, version) == before != ""
            assert owned(world, RouteOwner.RETURN, version) == ""
            world.nodes[SPEAKER].restart()
            world.converge()
            assert all(each.echo() for each in connections(world, stack, version))
        assert owned(world, RouteOwner.FORWARDER, version) == ""
        assert owned(world, RouteOwner.RETURN, version) != ""
    assert len(by_vip) == 24


def owned(world: World, owner: RouteOwner, version: int) -> str:
    """The routes of an owner on the speaker."""
    return world.nodes[SPEAKER].host.run(f"ip -{version} route show table all proto {owner}")
