"""A UDP flow to a host port goes where the port leads now, while its client goes on sending."""

from __future__ import annotations

import asyncio
import socket
from ipaddress import ip_address

import pytest

from tests.packets.node.world import IPV4, IPV6, Family, World
from tests.patience import PATIENCE
from wellhead.ip import Protocol, family_of
from wellhead.linux import conntrack
from wellhead.linux.conntrack import Dialled
from wellhead.node.network.host_ports import HostPort
from wellhead.node.network.rules import NodeRules


@pytest.mark.parametrize("family", [IPV4, IPV6], ids=["ipv4", "ipv6"])
@pytest.mark.parametrize("client", ["edge", "node"])
def test_a_udp_flow_follows_its_host_port_from_pod_to_pod(world: World, family: Family, client: str) -> None:
    world.add_pod("a", IPV4.a, IPV6.a)
    world.add_pod("b", IPV4.b, IPV6.b)
    ports = {
        uid: frozenset({HostPort("udp", 5000, None, ip_address(address), 53)})
        for uid, address in (("a", family.a), ("b", family.b))
    }
    servers = {uid: world.socket(uid, family.number, socket.SOCK_DGRAM) for uid in ports}
    with servers["a"], servers["b"], world.socket(client, family.number, socket.SOCK_DGRAM) as caller:
        for uid, server in servers.items():
            server.bind((family.a if uid == "a" else family.b, 53))
            server.settimeout(PATIENCE)

        async def follow() -> list[bytes]:
            rules = NodeRules((IPV4.pod_cidr, IPV6.pod_cidr), (*IPV4.inside, *IPV6.inside))
            await rules.apply()
            for uid in ports:
                await rules.admit(uid, world.link(uid).name, world.link(uid).sources)

            def send(text: bytes) -> None:
                caller.sendto(text, (family.node, 5000))

            send(b"to nobody")
            await rules.set_host_ports("a", ports["a"])
            send(b"to a")
            heard = [servers["a"].recv(100)]
            await rules.dismiss("a")
            send(b"to nobody again")
            await rules.set_host_ports("b", ports["b"])
            send(b"to b")
            heard.append(servers["b"].recv(100))
            # A change that leaves the port where it is leaves the flow alone.
            before = len(await asyncio.to_thread(_flows, family))
            await rules.set_host_ports(
                "b", ports["b"] | {HostPort("tcp", 5000, None, ip_address(family.b), 53)}
            )
            assert len(await asyncio.to_thread(_flows, family)) == before
            send(b"to b still")
            heard.append(servers["b"].recv(100))
            return heard

        assert world.run_async(follow()) == [b"to a", b"to b", b"to b still"]


def _flows(family: Family) -> list[object]:

    return list(conntrack.flows(family_of(ip_address(family.node)), [Dialled(Protocol.UDP, None, 5000)]))
