"""Flows that the kernel remembers, found and forgotten."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from ipaddress import ip_address

import pytest

from tests.packets.proxy.world import Host
from wellhead.ip import Family, IPAddress, Protocol
from wellhead.linux import conntrack
from wellhead.linux.conntrack import Dialled, End, Flow

pytestmark = pytest.mark.cluster

LOOPBACK = {Family.IPV4: ip_address("127.0.0.1"), Family.IPV6: ip_address("::1")}
_TRACK = """
table inet t {
    chain out {
        type filter hook output priority -10; policy accept;
        ct state new udp dport 5301 ct mark set 0x10300
        ct state new udp dport 5302 ct mark set 0x20300
    }
}
"""


@pytest.fixture
def tracking(host: Host) -> Host:
    """With flows of UDP to three ports of both loopback addresses."""
    host.run("nft -f -", _TRACK)

    def send() -> None:
        for family, address in LOOPBACK.items():
            for port in (5301, 5302, 5303):
                with socket.socket(family.number, socket.SOCK_DGRAM) as sender:
                    sender.sendto(b"x", (str(address), port))

    host.inside(send)
    return host


def ports(host: Host, family: Family, find: Callable[[], Iterator[Flow]] | None = None) -> list[int]:
    found = host.inside(lambda: list(find() if find else conntrack.all_flows(family)))
    assert all(each.family is family and each.destination.ip == LOOPBACK[family] for each in found)
    return sorted(each.destination.port for each in found if each.protocol is Protocol.UDP)


@pytest.mark.parametrize("family", Family)
def test_flows_are_found_by_protocol_address_and_port(tracking: Host, family: Family) -> None:
    def to(*asked: tuple[Protocol, IPAddress | None, int]) -> list[int]:
        return ports(tracking, family, lambda: conntrack.flows(family, [Dialled(*each) for each in asked]))

    here, elsewhere = LOOPBACK[family], LOOPBACK[family] + 1
    assert ports(tracking, family) == [5301, 5302, 5303]
    assert ports(tracking, family, lambda: conntrack.all_flows(family, Protocol.UDP)) == [5301, 5302, 5303]
    assert ports(tracking, family, lambda: conntrack.all_flows(family, Protocol.TCP)) == []
    assert to((Protocol.UDP, None, 5302)) == [5302]
    assert to((Protocol.UDP, here, 5301), (Protocol.UDP, None, 5303)) == [5301, 5303]
    assert to((Protocol.UDP, elsewhere, 5301), (Protocol.TCP, here, 5301)) == []


@pytest.mark.parametrize("family", Family)
def test_flows_are_found_and_forgotten_by_mark(tracking: Host, family: Family) -> None:
    assert tracking.inside(lambda: conntrack.any_marked([0x300], 0xFFFF))
    assert not tracking.inside(lambda: conntrack.any_marked([0x30000], 0xFF0000))
    assert tracking.inside(lambda: conntrack.any_marked([0x10000], 0xFF0000))
    tracking.inside(lambda: conntrack.forget_marked([0x10000], 0xFF0000, family))
    assert ports(tracking, family) == [5302, 5303]
    tracking.inside(lambda: conntrack.forget_marked([0x10000], 0xFF0000))
    assert not tracking.inside(lambda: conntrack.any_marked([0x10000], 0xFF0000))


@pytest.mark.parametrize("family", Family)
def test_one_flow_is_forgotten_and_its_like_stay(tracking: Host, family: Family) -> None:
    def forget() -> list[bool]:
        [flow] = conntrack.flows(family, [Dialled(Protocol.UDP, None, 5303)])
        return [conntrack.forget(flow), conntrack.forget(flow)]

    assert tracking.inside(forget) == [True, False]
    assert ports(tracking, family) == [5301, 5302]


def test_what_a_flow_says(tracking: Host) -> None:
    [flow] = tracking.inside(lambda: list(conntrack.flows(Family.IPV4, [Dialled(Protocol.UDP, None, 5301)])))
    client = End(LOOPBACK[Family.IPV4], flow.source.port)
    server = End(LOOPBACK[Family.IPV4], 5301)
    assert flow == Flow(Protocol.UDP, client, server, server, client, 0x10300)
