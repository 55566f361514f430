"""What a node remembers: clients under affinity, UDP flows, connections across a resync."""

from __future__ import annotations

from typing import Any

import pytest

from tests.packets.proxy.backends import by_every_backend
from tests.packets.proxy.world import (
    CLIENT,
    NODE,
    POD_A,
    POD_A6,
    POD_B,
    POD_FAR,
    POD_FAR6,
    REFUSED,
    SILENCE,
    World,
    connect,
    dial,
)
from tests.unit.services.objects import endpoint, endpoint_slice, service
from wellhead.ip import Family
from wellhead.services.endpointslice import EndpointSlice
from wellhead.services.service import Service

pytestmark = [pytest.mark.cluster, by_every_backend]

CLUSTER_IP, CLUSTER_IP6, VIP = "10.0.0.10", "fd00:10::10", "203.0.113.140"
NODES = {POD_FAR: "node-2", POD_FAR6: "node-2"}


def dns(node_port: int = 30053, **spec: Any) -> Service:
    """A UDP Service with every kind of frontend."""
    return service(
        "dns",
        type="LoadBalancer",
        cluster_ips=(CLUSTER_IP, CLUSTER_IP6),
        ports=({"port": 53, "protocol": "UDP", "nodePort": node_port},),
        ingress=({"ip": VIP},),
        **spec,
    )


def at(*addresses: str, port: int = 8080, **conditions: Any) -> list[EndpointSlice]:
    return [
        endpoint_slice(
            *(
                endpoint(each, NODES.get(each, "node-1"), **conditions)
                for each in addresses
                if (":" in each) == six
            ),
            of="dns",
            name=f"dns-{family}-{conditions}",
            family=family,
            ports=({"port": port, "protocol": "UDP"},),
        )
        for family, six in (("IPv4", False), ("IPv6", True))
    ]


@pytest.fixture(autouse=True)
def no_flows(world: World) -> None:
    """No flows of an earlier test are left to be counted."""
    world.node.run("conntrack -F")


def sticky(**spec: Any) -> Service:
    return dns(sessionAffinity="ClientIP", **spec)


def test_a_client_returns_to_its_endpoint_whichever_address_it_dials(world: World) -> None:
    world.program([], [])
    world.program([sticky()], at(POD_A, POD_B, POD_FAR))
    first = dial(world.outside, VIP, 53, source=CLIENT, udp=True).server
    for _ in range(8):
        assert dial(world.outside, VIP, 53, source=CLIENT, udp=True).server == first
        assert dial(world.outside, NODE, 30053, source=CLIENT, udp=True).server == first


def test_another_endpoint_moves_nobody_and_a_removed_one_is_left_at_once(world: World) -> None:
    world.program([], [])
    world.program([sticky()], at(POD_A))
    assert dial(world.outside, VIP, 53, source=CLIENT, udp=True).server == POD_A
    world.program([sticky()], at(POD_A, POD_B, POD_FAR))
    for _ in range(8):
        assert dial(world.outside, VIP, 53, source=CLIENT, udp=True).server == POD_A
    world.program([sticky()], at(POD_B, POD_FAR))
    second = dial(world.outside, VIP, 53, source=CLIENT, udp=True).server
    assert second in (POD_B, POD_FAR)
    for _ in range(8):
        assert dial(world.outside, VIP, 53, source=CLIENT, udp=True).server == second


def test_affinity_is_switched_on_and_off_on_a_live_service(world: World) -> None:
    world.program([dns()], at(POD_A, POD_B))
    assert {dial(world.outside, VIP, 53, source=CLIENT, udp=True).server for _ in range(30)} == {POD_A, POD_B}
    world.program([sticky()], at(POD_A, POD_B))
    assert len({dial(world.outside, VIP, 53, source=CLIENT, udp=True).server for _ in range(8)}) == 1
    world.program([dns()], at(POD_A, POD_B))
    assert {dial(world.outside, VIP, 53, source=CLIENT, udp=True).server for _ in range(30)} == {POD_A, POD_B}


@pytest.mark.parametrize(("address", "port"), [(CLUSTER_IP, 53), (VIP, 53), (NODE, 30053)])
def test_a_udp_flow_leaves_an_endpoint_that_is_gone(world: World, address: str, port: int) -> None:
    world.program([dns()], at(POD_A))
    with connect(world.pod_b, address, port, udp=True) as client:
        assert client.ask().server == POD_A
        assert world.program([dns()], at(POD_FAR)) == 1
        assert client.ask().server == POD_FAR
        world.program([dns()], [])
        assert client.ask() == REFUSED
        world.program([dns()], at(POD_A))
        assert client.ask().server == POD_A


def test_an_ipv6_udp_flow_leaves_an_endpoint_that_is_gone(world: World) -> None:
    world.program([dns()], at(POD_A6))
    with connect(world.pod_b, CLUSTER_IP6, 53, udp=True) as client:
        assert client.ask().server == POD_A6
        assert world.program([dns()], at(POD_FAR6)) == 1
        assert client.ask().server == POD_FAR6


def test_a_udp_flow_stays_with_an_endpoint_that_still_serves(world: World) -> None:
    world.program([dns()], at(POD_A))
    with connect(world.pod_b, CLUSTER_IP, 53, udp=True) as client:
        assert client.ask().server == POD_A
        draining = at(POD_A, ready=False, serving=True, terminating=True)
        assert world.program([dns()], draining + at(POD_FAR)) == 0
        assert client.ask().server == POD_A
        assert dial(world.pod_b, CLUSTER_IP, 53, udp=True).server == POD_FAR


def test_a_udp_flow_that_was_dropped_is_decided_again(world: World) -> None:
    local = dns(externalTrafficPolicy="Local")
    world.program([local], at(POD_FAR))
    with connect(world.outside, VIP, 53, source=CLIENT, udp=True) as client:
        assert client.ask_in_vain() == SILENCE
        world.program([local], at(POD_A))
        assert client.ask().server == POD_A


def test_a_udp_flow_from_before_the_service_is_decided_again(world: World) -> None:
    world.program([], [])
    with connect(world.outside, VIP, 53, source=CLIENT, udp=True) as client:
        # Nobody knows the VIP: the node sends the packet on by its default route, and conntrack notes it.
        client.ask_in_vain()
        world.program([dns()], at(POD_A))
        assert client.ask().server == POD_A


def test_a_udp_flow_ends_with_its_service_and_with_its_node_port(world: World) -> None:
    world.program([dns()], at(POD_A))
    with connect(world.outside, NODE, 30053, source=CLIENT, udp=True) as client:
        assert client.ask().server == POD_A
        assert world.program([dns(node_port=30054)], at(POD_A)) == 1
        assert client.ask() == REFUSED  # by the node itself: nothing listens there
    with connect(world.outside, NODE, 30054, source=CLIENT, udp=True) as client:
        assert client.ask().server == POD_A
        assert world.program([], []) == 1
        assert client.ask() == REFUSED


def test_a_udp_flow_follows_a_changed_target_port(world: World) -> None:
    world.program([dns()], at(POD_A, port=9999))
    with connect(world.pod_b, CLUSTER_IP, 53, udp=True) as client:
        assert client.ask() == REFUSED  # by the pod: nothing listens there
        assert world.program([dns()], at(POD_A)) == 1
        assert client.ask().server == POD_A


def test_other_udp_flows_are_left_alone(world: World) -> None:
    other = service("other", cluster_ips=("10.0.0.11",), ports=({"port": 53, "protocol": "UDP"},))
    far = endpoint_slice(
        endpoint(POD_FAR, "node-2"), of="other", name="other", ports=({"port": 8080, "protocol": "UDP"},)
    )
    world.program([dns(), other], [*at(POD_A), far])
    with (
        connect(world.pod_b, "10.0.0.11", 53, udp=True) as through_other,
        connect(world.pod_b, POD_FAR, 8080, udp=True) as direct,
    ):
        assert through_other.ask().server == direct.ask().server == POD_FAR
        assert world.program([other], [far]) == 0


def test_the_kernel_holds_exactly_what_was_asked_for(world: World) -> None:
    services = [
        sticky(externalTrafficPolicy="Local", loadBalancerSourceRanges=["198.51.100.0/24"]),
        service("empty", cluster_ips=("10.0.0.12", "fd00:10::12"), externalIPs=["198.18.0.7"]),
    ]
    world.program(services, at(POD_A, POD_B, POD_FAR, POD_A6, POD_FAR6))
    assert world.node.await_(world.backend.check()) is False, "the kernel words a rule differently"
    for family, address in ((Family.IPV4, CLUSTER_IP), (Family.IPV6, CLUSTER_IP6)):
        assert address in world.saved(family)
