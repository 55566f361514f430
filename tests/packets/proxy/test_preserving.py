"""Clients outside that keep their address under policy Cluster: one node's part in it, by real packets.

The other node's part, sending replies back through this one, is played by a route.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from ipaddress import ip_network
from typing import Any

import pytest

from tests.packets.proxy.backends import by_every_backend
from tests.packets.proxy.test_source_ip import EXTERNAL, VIP, VIP6, at, web
from tests.packets.proxy.world import (
    CLIENT,
    CLIENT6,
    GATEWAY,
    NODE,
    NODE6,
    POD_A,
    POD_A6,
    POD_FAR,
    POD_FAR6,
    SILENCE,
    THIS_NODE,
    Answer,
    World,
    connect,
    dial,
    dial_in_vain,
)
from wellhead.api.names import PRESERVE_CLIENT_IP_ANNOTATION
from wellhead.services.service import Service

pytestmark = [pytest.mark.cluster, by_every_backend]

_INSIDE = ("10.240.0.0/24", "10.244.0.0/16", "fd00:10:240::/64", "fd00:10:244::/48")
RETURNING = dataclasses.replace(
    THIS_NODE, returning=frozenset({"node-2"}), inside=tuple(ip_network(each) for each in _INSIDE)
)


def preserving(says: str = "true", **spec: Any) -> Service:
    return web(annotations={PRESERVE_CLIENT_IP_ANNOTATION: says}, **spec)


@pytest.fixture(autouse=True)
def symmetric_return(world: World) -> Iterator[None]:
    """node-2 sends replies to clients outside back through node-1."""
    world.program([], [])
    world.view.set_node(RETURNING)
    world.other_node.ip(f"route add {CLIENT}/32 via {NODE}", f"route add {CLIENT6}/128 via {NODE6}")
    yield
    world.other_node.ip(f"route del {CLIENT}/32", f"route del {CLIENT6}/128")
    world.view.set_node(THIS_NODE)
    world.program([], [])


@pytest.mark.parametrize("udp", [False, True])
@pytest.mark.parametrize("target", [POD_A, POD_FAR])
def test_a_client_outside_keeps_its_address(world: World, target: str, udp: bool) -> None:
    world.program([preserving()], at(target))
    for address, port in ((NODE, 30080), (VIP, 80), (EXTERNAL, 80)):
        assert dial(world.outside, address, port, source=CLIENT, udp=udp) == Answer(target, CLIENT)


@pytest.mark.parametrize("target", [POD_A6, POD_FAR6])
def test_ipv6_is_the_same(world: World, target: str) -> None:
    world.program([preserving()], at(target))
    for address, port in ((NODE6, 30080), (VIP6, 80)):
        assert dial(world.outside, address, port, source=CLIENT6) == Answer(target, CLIENT6)


def test_clients_inside_are_masqueraded_as_ever(world: World) -> None:
    world.program([preserving()], at(POD_FAR))
    assert dial(world.pod_a, VIP, 80) == Answer(POD_FAR, NODE)
    assert dial(world.node, VIP, 80) == Answer(POD_FAR, NODE)
    assert dial(world.node, NODE, 30080) == Answer(POD_FAR, NODE)
    world.program([preserving()], at(POD_A))
    assert dial(world.pod_b, NODE, 30080) == Answer(POD_A, GATEWAY)
    assert dial(world.pod_a, VIP, 80) == Answer(POD_A, GATEWAY)
    assert dial(world.other_node, NODE, 30080, source=POD_FAR) == Answer(POD_A, GATEWAY)
    assert dial(world.other_node, NODE, 30080) == Answer(POD_A, GATEWAY)


def test_clients_of_endpoints_whose_replies_would_not_come_back_are_masqueraded(world: World) -> None:
    world.view.set_node(dataclasses.replace(RETURNING, returning=frozenset()))
    world.program([preserving()], at(POD_A, POD_FAR))
    seen = {dial(world.outside, VIP, 80, source=CLIENT) for _ in range(20)}
    assert seen == {Answer(POD_A, CLIENT), Answer(POD_FAR, NODE)}


def test_without_the_annotation_clients_are_masqueraded(world: World) -> None:
    for each in (web(), preserving("false")):
        world.program([each], at(POD_FAR))
        assert dial(world.outside, VIP, 80, source=CLIENT) == Answer(POD_FAR, NODE)


def test_policy_local_stays_what_it_is(world: World) -> None:
    world.program([preserving(externalTrafficPolicy="Local")], at(POD_FAR))
    assert dial_in_vain(world.outside, NODE, 30080, source=CLIENT) == SILENCE


def test_source_ranges_hold(world: World) -> None:
    world.program([preserving(loadBalancerSourceRanges=[f"{CLIENT}/32"])], at(POD_FAR))
    assert dial(world.outside, VIP, 80, source=CLIENT) == Answer(POD_FAR, CLIENT)
    world.program([preserving(loadBalancerSourceRanges=["192.0.2.0/24"])], at(POD_FAR))
    assert dial_in_vain(world.outside, VIP, 80, source=CLIENT) == SILENCE


def test_affinity_holds(world: World) -> None:
    world.program([preserving(sessionAffinity="ClientIP")], at(POD_A, POD_FAR))
    [only] = {dial(world.outside, VIP, 80, source=CLIENT) for _ in range(8)}
    assert only.seen == CLIENT


def test_switched_on_and_off_it_is_for_new_connections(world: World) -> None:
    def new() -> str:
        return dial(world.outside, VIP, 80, source=CLIENT, udp=True).seen

    world.program([web()], at(POD_FAR))
    with connect(world.outside, VIP, 80, source=CLIENT, udp=True) as before:
        assert before.ask().seen == NODE
        world.program([preserving()], at(POD_FAR))
        assert (before.ask().seen, new()) == (NODE, CLIENT)
        with connect(world.outside, VIP, 80, source=CLIENT, udp=True) as between:
            assert between.ask().seen == CLIENT
            world.program([web()], at(POD_FAR))
            assert (before.ask().seen, between.ask().seen, new()) == (NODE, CLIENT, NODE)


def test_a_udp_flow_whose_replies_come_back_no_longer_is_masqueraded(world: World) -> None:
    world.program([preserving()], at(POD_FAR))
    with connect(world.outside, VIP, 80, source=CLIENT, udp=True) as client:
        assert client.ask().seen == CLIENT
        world.view.set_node(dataclasses.replace(RETURNING, returning=frozenset()))
        world.program([preserving()], at(POD_FAR))
        assert client.ask().seen == NODE


def test_the_rules_are_as_the_kernel_prints_them(world: World) -> None:
    world.program([preserving()], at(POD_A, POD_FAR))
    assert not world.node.await_(world.backend.check())
