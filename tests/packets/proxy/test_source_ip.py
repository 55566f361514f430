"""The source-IP matrix on one node: what a server sees, by real packets."""

from __future__ import annotations

from typing import Any

import pytest

from tests.packets.proxy.backends import by_every_backend
from tests.packets.proxy.world import (
    CLIENT,
    CLIENT6,
    GATEWAY,
    GATEWAY6,
    NODE,
    NODE6,
    POD_A,
    POD_A6,
    POD_B,
    POD_B6,
    POD_FAR,
    POD_FAR6,
    REFUSED,
    SILENCE,
    Answer,
    World,
    dial,
    dial_in_vain,
)
from tests.unit.services.objects import endpoint, endpoint_slice, service
from wellhead.services.endpointslice import EndpointSlice
from wellhead.services.service import Service

pytestmark = [pytest.mark.cluster, by_every_backend]

VIP, EXTERNAL = "203.0.113.140", "198.18.0.1"
VIP6 = "2001:db8:113::140"
CLUSTER_IP, CLUSTER_IP6 = "10.0.0.10", "fd00:10::10"
NODES = {POD_A: "node-1", POD_B: "node-1", POD_FAR: "node-2"}
NODES |= {POD_A6: "node-1", POD_B6: "node-1", POD_FAR6: "node-2"}


def web(**spec: Any) -> Service:
    """A Service with every kind of frontend, in both families."""
    facts: dict[str, Any] = {
        "type": "LoadBalancer",
        "cluster_ips": (CLUSTER_IP, CLUSTER_IP6),
        "ports": (
            {"name": "tcp", "port": 80, "nodePort": 30080},
            {"name": "udp", "port": 80, "nodePort": 30080, "protocol": "UDP"},
        ),
        "externalIPs": [EXTERNAL],
        "ingress": ({"ip": VIP, "ipMode": "VIP"}, {"ip": VIP6, "ipMode": "VIP"}),
        **spec,
    }
    return service("web", **facts)


def at(*addresses: str, name: str = "web", **conditions: Any) -> list[EndpointSlice]:
    return [
        endpoint_slice(
            *(endpoint(each, NODES[each], **conditions) for each in addresses if (":" in each) == six),
            of="web",
            name=f"{name}-{family}",
            family=family,
            ports=(
                {"name": "tcp", "port": 8080},
                {"name": "udp", "port": 8080, "protocol": "UDP"},
            ),
        )
        for family, six in (("IPv4", False), ("IPv6", True))
    ]


def test_cluster_ip_keeps_a_pods_address(world: World) -> None:
    for target in (POD_B, POD_FAR):
        world.program([web()], at(target))
        assert dial(world.pod_a, CLUSTER_IP, 80) == Answer(target, POD_A)
    world.program([web()], at(POD_FAR6))
    assert dial(world.pod_a, CLUSTER_IP6, 80) == Answer(POD_FAR6, POD_A6)


def test_cluster_ip_from_the_node_shows_the_node(world: World) -> None:
    world.program([web()], at(POD_A))
    assert dial(world.node, CLUSTER_IP, 80) == Answer(POD_A, GATEWAY)
    world.program([web()], at(POD_FAR))
    assert dial(world.node, CLUSTER_IP, 80) == Answer(POD_FAR, NODE)


@pytest.mark.parametrize("udp", [False, True])
def test_a_pod_reaches_itself_through_its_service(world: World, udp: bool) -> None:
    world.program([web()], at(POD_A, POD_A6))
    assert dial(world.pod_a, CLUSTER_IP, 80, udp=udp) == Answer(POD_A, GATEWAY)
    assert dial(world.pod_a, CLUSTER_IP6, 80, udp=udp) == Answer(POD_A6, GATEWAY6)


@pytest.mark.parametrize("udp", [False, True])
@pytest.mark.parametrize(("address", "port"), [(NODE, 30080), (VIP, 80), (EXTERNAL, 80)])
def test_outside_traffic_under_cluster_shows_the_node(
    world: World, address: str, port: int, udp: bool
) -> None:
    world.program([web()], at(POD_A))
    assert dial(world.outside, address, port, source=CLIENT, udp=udp) == Answer(POD_A, GATEWAY)
    world.program([web()], at(POD_FAR))
    assert dial(world.outside, address, port, source=CLIENT, udp=udp) == Answer(POD_FAR, NODE)


@pytest.mark.parametrize("udp", [False, True])
@pytest.mark.parametrize(("address", "port"), [(NODE, 30080), (VIP, 80), (EXTERNAL, 80)])
def test_outside_traffic_under_local_shows_the_client_or_is_dropped(
    world: World, address: str, port: int, udp: bool
) -> None:
    local = web(externalTrafficPolicy="Local")
    world.program([local], at(POD_A, POD_FAR))
    for _ in range(4):
        assert dial(world.outside, address, port, source=CLIENT, udp=udp) == Answer(POD_A, CLIENT)
    world.program([local], at(POD_FAR))
    assert dial_in_vain(world.outside, address, port, source=CLIENT, udp=udp) == SILENCE


def test_ipv6_is_the_same(world: World) -> None:
    world.program([web()], at(POD_A6))
    assert dial(world.outside, VIP6, 80, source=CLIENT6) == Answer(POD_A6, GATEWAY6)
    assert dial(world.outside, NODE6, 30080, source=CLIENT6) == Answer(POD_A6, GATEWAY6)
    world.program([web(externalTrafficPolicy="Local")], at(POD_A6))
    assert dial(world.outside, VIP6, 80, source=CLIENT6) == Answer(POD_A6, CLIENT6)
    world.program([web(externalTrafficPolicy="Local")], at(POD_FAR6))
    assert dial_in_vain(world.outside, NODE6, 30080, source=CLIENT6) == SILENCE
    world.program([web()], [])
    # The refusal is sent at once. Where it arrives while connect() still holds the socket, as it does between
    # namespaces of one machine, Linux takes note of it in IPv4, but in IPv6 only of the next, a second later.
    assert dial(world.outside, VIP6, 80, source=CLIENT6) == REFUSED
    assert dial(world.pod_a, CLUSTER_IP6, 80, udp=True) == REFUSED


@pytest.mark.parametrize("address", [VIP, EXTERNAL])
def test_inside_traffic_to_an_outside_address(world: World, address: str) -> None:
    world.program([web()], at(POD_FAR))
    assert dial(world.pod_a, address, 80) == Answer(POD_FAR, NODE)
    assert dial(world.node, address, 80) == Answer(POD_FAR, NODE)
    world.program([web(externalTrafficPolicy="Local")], at(POD_FAR))
    assert dial(world.pod_a, address, 80) == Answer(POD_FAR, POD_A)
    assert dial(world.node, address, 80) == Answer(POD_FAR, NODE)


def test_inside_traffic_to_this_nodes_node_port_under_local(world: World) -> None:
    world.program([web(externalTrafficPolicy="Local")], at(POD_FAR))
    assert dial(world.pod_a, NODE, 30080) == Answer(POD_FAR, POD_A)
    assert dial(world.node, NODE, 30080) == Answer(POD_FAR, NODE)
    # Another node's pod counts as outside here.
    assert dial_in_vain(world.other_node, NODE, 30080, source=POD_FAR) == SILENCE


def test_internal_local_stays_on_the_node_or_is_dropped(world: World) -> None:
    local = web(internalTrafficPolicy="Local")
    world.program([local], at(POD_B, POD_FAR))
    for _ in range(4):
        assert dial(world.pod_a, CLUSTER_IP, 80) == Answer(POD_B, POD_A)
        assert dial(world.node, CLUSTER_IP, 80) == Answer(POD_B, GATEWAY)
    world.program([local], at(POD_FAR))
    assert dial_in_vain(world.pod_a, CLUSTER_IP, 80) == SILENCE
    assert dial_in_vain(world.node, CLUSTER_IP, 80) == SILENCE


def test_a_terminating_balancers_address_is_not_short_circuited(world: World) -> None:
    world.program([web(externalIPs=[], ingress=({"ip": VIP, "ipMode": "Proxy"},))], at(POD_A))
    assert VIP not in world.saved()


def test_source_ranges_admit_whom_they_name(world: World) -> None:
    world.program([web(loadBalancerSourceRanges=[f"{CLIENT}/32"])], at(POD_A, POD_A6))
    assert dial(world.outside, VIP, 80, source=CLIENT) == Answer(POD_A, GATEWAY)
    for client in (world.outside, world.pod_b, world.node):
        assert dial_in_vain(client, VIP, 80) == SILENCE
        assert dial(client, EXTERNAL, 80).server == POD_A
        assert dial(client, NODE, 30080).server == POD_A
    assert dial(world.outside, VIP6, 80, source=CLIENT6) == Answer(POD_A6, GATEWAY6)


def test_traffic_is_spread_over_all_endpoints(world: World) -> None:
    world.program([web()], at(POD_A, POD_B, POD_FAR))
    assert {dial(world.outside, VIP, 80).server for _ in range(40)} == {POD_A, POD_B, POD_FAR}


def test_draining_endpoints_serve_when_nothing_else_does(world: World) -> None:
    world.program([web()], at(POD_A, ready=False, serving=True, terminating=True))
    assert dial(world.outside, VIP, 80).server == POD_A
    world.program([web()], at(POD_A, ready=False, serving=True, terminating=True) + at(POD_B, name="b"))
    assert {dial(world.outside, VIP, 80).server for _ in range(8)} == {POD_B}
