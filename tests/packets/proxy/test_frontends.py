"""What becomes of a new connection to a frontend: topology, affinity, contested addresses, strays."""

from __future__ import annotations

import socket
import struct
from dataclasses import replace
from typing import Any

import pytest

from tests.packets.proxy.backends import by_every_backend
from tests.packets.proxy.test_source_ip import CLUSTER_IP, EXTERNAL, VIP, at, web
from tests.packets.proxy.world import (
    CLIENT,
    NODE,
    POD_A,
    POD_B,
    POD_FAR,
    REFUSED,
    THIS_NODE,
    World,
    dial,
)
from tests.unit.services.objects import endpoint, endpoint_slice, service
from wellhead.services.endpointslice import EndpointSlice
from wellhead.services.service import Service

pytestmark = [pytest.mark.cluster, by_every_backend]

ANYWHERE = {POD_A, POD_B, POD_FAR}


def servers(world: World, address: str = CLUSTER_IP, times: int = 12) -> set[str]:
    return {dial(world.pod_b, address, 80).server for _ in range(times)}


def hinted(**hints: tuple[str, ...]) -> list[EndpointSlice]:
    """Three endpoints; `a`, `b` and `far` say for which zones or, where they name one, nodes they are."""
    found = [
        endpoint(
            address,
            node,
            for_zones=tuple(each for each in hints.get(name, ()) if each.startswith("zone")),
            for_nodes=tuple(each for each in hints.get(name, ()) if each.startswith("node")),
        )
        for name, address, node in (
            ("a", POD_A, "node-1"),
            ("b", POD_B, "node-1"),
            ("far", POD_FAR, "node-2"),
        )
    ]
    return [endpoint_slice(*found, of="web", name="web-IPv4", ports=({"name": "tcp", "port": 8080},))]


@pytest.mark.parametrize(
    ("hints", "expected"),
    [
        pytest.param({"a": ("zone-2",), "b": ("zone-2",), "far": ("zone-1",)}, {POD_FAR}, id="this-zone"),
        pytest.param(
            {"a": ("zone-1", "node-2"), "b": ("zone-1", "node-1"), "far": ("zone-1", "node-2")},
            {POD_B},
            id="this-node-before-this-zone",
        ),
        pytest.param({"a": ("zone-1",), "b": ("zone-2",)}, ANYWHERE, id="one-without-a-hint"),
        pytest.param({"a": ("zone-2",), "b": ("zone-2",), "far": ("zone-3",)}, ANYWHERE, id="none-for-us"),
    ],
)
def test_hints_keep_traffic_near_if_every_endpoint_has_one_and_one_is_for_us(
    world: World, hints: dict[str, tuple[str, ...]], expected: set[str]
) -> None:
    world.program([], [])
    world.view.set_node(replace(THIS_NODE, zone="zone-1"))
    try:
        world.program([web()], hinted(**hints))
        assert servers(world, times=4 if len(expected) == 1 else 40) == expected
    finally:
        world.view.set_node(THIS_NODE)
        world.program([], [])


def test_a_new_connection_goes_by_the_new_state_right_after_a_sync(world: World) -> None:
    for expected in (POD_A, POD_B, "refused", POD_FAR, POD_A):
        world.program([web()], at(*() if expected == "refused" else (expected,)))
        assert servers(world, times=3) == {expected}


def test_a_client_is_remembered_for_each_service_port_and_each_client_by_itself(world: World) -> None:
    ports: tuple[dict[str, Any], ...] = tuple(
        {"name": f"p{number}", "port": number} for number in range(80, 104)
    )
    slices = [
        endpoint_slice(
            *(endpoint(each) for each in (POD_A, POD_B)),
            of="web",
            name="web-IPv4",
            ports=tuple({"name": each["name"], "port": 8080} for each in ports),
        )
    ]
    world.program([], [])
    world.program([service(cluster_ips=(CLUSTER_IP,), ports=ports, sessionAffinity="ClientIP")], slices)

    def chosen() -> list[tuple[str, ...]]:
        """By client, the endpoint of each port."""
        return [
            tuple(dial(client, CLUSTER_IP, each["port"]).server for each in ports)
            for client in (world.pod_a, world.pod_b)
        ]

    first = chosen()
    # That chance alone makes one port as the other, or one client as the other, is one in three million.
    assert all(len(set(each)) == 2 for each in first)
    assert first[0] != first[1]
    assert chosen() == first


def claiming(name: str, year: int) -> Service:
    return service(
        name,
        cluster_ips=(f"10.0.1.{year - 2000}",),
        created=f"{year}-01-01T00:00:00Z",
        externalIPs=[EXTERNAL],
    )


@pytest.mark.parametrize("older_comes_first", [True, False])
def test_the_older_of_two_services_holds_a_contested_address_and_then_the_next(
    world: World, older_comes_first: bool
) -> None:
    slices = [
        endpoint_slice(endpoint(address), of=name, name=name)
        for name, address in (("older", POD_A), ("younger", POD_B))
    ]
    older, younger = claiming("older", 2020), claiming("younger", 2024)
    world.program([], [])
    world.program([older if older_comes_first else younger], slices)
    world.program([older, younger], slices)
    assert servers(world, EXTERNAL, times=3) == {POD_A}
    world.program([younger], slices)
    assert servers(world, EXTERNAL, times=3) == {POD_B}
    world.program([younger, older], slices)
    assert servers(world, EXTERNAL, times=3) == {POD_A}
    assert servers(world, "10.0.1.24", times=1) == {POD_B}, "its own address it has all along"


def stray_syn_ack_passes(world: World) -> bool:
    """Whether a segment of a connection that conntrack knows nothing of gets from a pod to the client."""
    world.outside.run(
        "nft -f -",
        """
        table ip witness {
            counter seen { }
            chain in {
                type filter hook prerouting priority 0;
                tcp sport 8080 tcp dport 40000 counter name seen
            }
        }
        """,
    )
    syn_ack = struct.pack("!HHIIBBHHH", 8080, 40000, 1, 1, 5 << 4, 0x12, 1000, 0, 0)
    try:
        with world.pod_a.inside(lambda: socket.socket(socket.AF_INET, socket.SOCK_RAW, 6)) as raw:
            raw.sendto(syn_ack, (CLIENT, 0))
        assert dial(world.outside, POD_A, 8080, udp=True).server == POD_A  # by then it has arrived
        return "packets 1 " in world.outside.run("nft list counters table ip witness")
    finally:
        world.outside.run("nft delete table ip witness")


def test_packets_that_conntrack_calls_invalid_are_dropped(world: World) -> None:
    """A segment of no known connection would reach the client untranslated, who would reset it."""
    world.program([web()], at(POD_A))
    assert not stray_syn_ack_passes(world)
    world.let_invalid_pass()
    assert stray_syn_ack_passes(world), "nobody else drops it"
    assert world.node.await_(world.backend.check())
    assert not stray_syn_ack_passes(world)


def test_endpoints_that_neither_are_ready_nor_serve_are_as_good_as_none(world: World) -> None:
    local: dict[str, Any] = {"externalTrafficPolicy": "Local", "internalTrafficPolicy": "Local"}
    unready = at(POD_A, ready=False, serving=False) + at(POD_FAR, name="b", ready=False, serving=False)
    for policies in ({}, local):
        world.program([web(**policies)], unready)
        for each in ((world.outside, VIP, 80), (world.outside, NODE, 30080), (world.pod_a, CLUSTER_IP, 80)):
            assert dial(*each) == REFUSED
