"""What iptables mode does in its own way."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.packets.proxy.test_source_ip import CLUSTER_IP, EXTERNAL, VIP, at, web
from tests.packets.proxy.world import (
    CLIENT,
    GATEWAY,
    GATEWAY6,
    NODE,
    NODE6,
    POD_A,
    POD_A6,
    POD_B,
    POD_FAR,
    REFUSED,
    Answer,
    World,
    dial,
)
from tests.patience import until
from tests.unit.services.objects import endpoint, endpoint_slice, service
from wellhead.services.endpointslice import EndpointSlice
from wellhead.services.service import Service

pytestmark = pytest.mark.cluster


def test_node_ports_answer_on_every_address_of_the_node(world: World) -> None:
    world.program([web()], at(POD_A, POD_A6))
    world.node.ip("addr add 10.240.0.111/32 dev lo")
    world.outside.ip("route add 10.240.0.111 via 10.240.0.11")
    try:
        for address in (NODE, NODE6, "10.240.0.111"):
            assert dial(world.outside, address, 30080).server in (POD_A, POD_A6), address
        for address in (GATEWAY, GATEWAY6, "127.0.0.1", "127.1.2.3"):
            assert dial(world.node, address, 30080).server in (POD_A, POD_A6), address
        assert dial(world.node, "::1", 30080) == REFUSED, "the kernel can't do it in IPv6"
    finally:
        world.outside.ip("route del 10.240.0.111 via 10.240.0.11")
        world.node.ip("addr del 10.240.0.111/32 dev lo")


def last_seen(world: World) -> list[int]:
    """When the kernel saw CLIENT last, in jiffies, by endpoint that remembers it."""
    lists = world.node.inside(
        lambda: [each.read_text() for each in Path("/proc/thread-self/net/xt_recent").glob("KUBE-SEP-*")]
    )
    lines = [line for each in lists for line in each.splitlines() if f"src={CLIENT} " in line]
    return [int(line.split("last_seen: ")[1].split()[0]) for line in lines]


def test_the_timeout_of_affinity_counts_from_the_last_new_connection(world: World) -> None:
    config = {"clientIP": {"timeoutSeconds": 100}}
    sticky = web(sessionAffinity="ClientIP", sessionAffinityConfig=config)
    world.program([], [])
    world.program([sticky], at(POD_A, POD_B, POD_FAR))
    first = dial(world.outside, VIP, 80, source=CLIENT).server
    (before,) = last_seen(world)

    def seen_later() -> bool:
        assert dial(world.outside, VIP, 80, source=CLIENT).server == first
        (after,) = last_seen(world)
        return after > before

    until(seen_later)


@pytest.mark.parametrize("udp", [False, True])
def test_node_ports_answer_on_loopback(world: World, udp: bool) -> None:
    for policy in ("Cluster", "Local"):
        world.program([web(externalTrafficPolicy=policy)], at(POD_A))
        assert dial(world.node, "127.0.0.1", 30080, udp=udp) == Answer(POD_A, GATEWAY)
        world.program([web(externalTrafficPolicy=policy)], at(POD_FAR))
        assert dial(world.node, "127.0.0.1", 30080, udp=udp) == Answer(POD_FAR, NODE)


@pytest.mark.parametrize("udp", [False, True])
@pytest.mark.parametrize("policy", ["Cluster", "Local"])
def test_without_endpoints_every_frontend_refuses_at_once(world: World, policy: str, udp: bool) -> None:
    world.program([web(externalTrafficPolicy=policy, internalTrafficPolicy=policy)], [])
    for address, port in ((VIP, 80), (EXTERNAL, 80), (NODE, 30080)):
        assert dial(world.outside, address, port, source=CLIENT, udp=udp) == REFUSED, address
        assert dial(world.pod_a, address, port, udp=udp) == REFUSED, address
        assert dial(world.node, address, port, udp=udp) == REFUSED, address
    for client in (world.pod_a, world.node):
        assert dial(client, CLUSTER_IP, 80, udp=udp) == REFUSED
    assert dial(world.node, "127.0.0.1", 30080, udp=udp) == REFUSED


def numbered(count: int) -> list[Service]:
    return [service(f"s{each}", cluster_ips=(f"10.0.7.{each}",)) for each in range(count)]


def leads_to(count: int) -> list[EndpointSlice]:
    return [endpoint_slice(endpoint(POD_A), of=f"s{each}", name=f"s{each}") for each in range(count)]


def test_of_a_large_chain_single_rules_are_changed(world: World) -> None:
    world.program(numbered(100), leads_to(100))
    world.program(numbered(102)[3:], leads_to(101)[3:])
    assert dial(world.pod_b, "10.0.7.100", 80) == Answer(POD_A, POD_B)
    assert dial(world.pod_b, "10.0.7.101", 80) == REFUSED
    assert "-d 10.0.7.2/32" not in world.saved()
    assert not world.node.await_(world.backend.check()), "the chain is what it would be, written whole"
