"""What iptables mode does in its own way."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.packets.proxy.test_source_ip import VIP, at, web
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
    World,
    dial,
)
from tests.patience import until

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
