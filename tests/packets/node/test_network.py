"""The pod network of one node, seen by packets. Reverse-path filtering is strict throughout."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network
from typing import Any

import pytest

from tests.packets.node.world import EDGE, GATEWAY, NODE, OUTSIDE, POD_CIDR, World
from wellhead.node.network import links, routes
from wellhead.node.network.rules import HostPort

A, B = "10.244.1.2", "10.244.1.3"


@pytest.fixture
def pods(world: World) -> World:
    world.add_pod("a", A)
    world.add_pod("b", B)
    world.apply_rules()
    return world


def test_pods_and_nodes_reach_pods_without_nat(pods: World) -> None:
    assert pods.seen("a", "b", B, 80) == A
    assert pods.seen("edge", "b", B, 80) == EDGE
    assert pods.seen("node", "b", B, 80) in (NODE, GATEWAY)
    assert pods.seen("b", "node", NODE, 80) == B
    assert pods.seen("b", "node", GATEWAY, 80) == B


def test_only_what_leaves_the_cluster_is_masqueraded(pods: World) -> None:
    assert pods.seen("a", "edge", EDGE, 80) == A
    assert pods.seen("a", "edge", OUTSIDE, 80) == NODE


def test_a_pods_interface_looks_as_the_tutorial_shows_it(pods: World) -> None:
    shown = pods.ip("a", "addr", "show", "eth0")
    assert "mtu 1460" in shown
    assert "link/ether 0a:58:0a:f4:01:02" in shown
    assert "inet 10.244.1.2/24 scope global eth0\n" in shown


def test_even_a_neighbour_is_reached_through_the_node(pods: World) -> None:
    assert f"{B} via {GATEWAY} dev eth0" in pods.ip("a", "route", "get", B)


def test_an_address_that_no_pod_has_is_refused_at_once(pods: World) -> None:
    with pytest.raises(OSError, match="No route to host"):
        pods.seen("a", "node", NODE, 80, dial=("10.244.1.99", 80))


def test_a_host_port_keeps_the_clients_address_but_on_the_way_to_oneself(pods: World) -> None:
    pods.apply_rules(
        HostPort("tcp", 8000, None, IPv4Address(A), 80),
        HostPort("tcp", 8001, IPv4Address(GATEWAY), IPv4Address(A), 80),
    )
    assert pods.seen("edge", "a", A, 80, dial=(NODE, 8000)) == EDGE
    assert pods.seen("b", "a", A, 80, dial=(NODE, 8000)) == B
    assert pods.seen("a", "a", A, 80, dial=(NODE, 8000)) == GATEWAY
    assert pods.seen("b", "a", A, 80, dial=(GATEWAY, 8001)) == B
    with pytest.raises(ConnectionRefusedError):
        pods.seen("b", "a", A, 80, dial=(NODE, 8001))
    pods.apply_rules()
    with pytest.raises(ConnectionRefusedError):
        pods.seen("b", "a", A, 80, dial=(NODE, 8000))


def test_connecting_again_replaces_and_disconnecting_leaves_nothing(pods: World) -> None:
    routes_before = pods.ip("node", "route").count("10.244.1.")
    pods.netlink(lambda ip: links.disconnect(ip, "b"))
    pods.add_pod("b", B)
    assert pods.seen("a", "b", B, 80) == A
    assert pods.ip("node", "route").count("10.244.1.") == routes_before

    def disconnect_all(ip: Any) -> None:
        for uid in ("a", "b", "b"):
            links.disconnect(ip, uid)

    pods.netlink(disconnect_all)
    assert "veth" not in pods.ip("node", "-o", "link").replace("eth0@", "")
    assert [line for line in pods.ip("node", "route").splitlines() if "10.244." in line] == [
        "unreachable 10.244.1.0/24 proto 87 "
    ]


def test_routes_to_other_nodes_follow_the_wanted_ones(world: World) -> None:
    two, three = IPv4Network("10.244.2.0/24"), IPv4Network("10.244.3.0/24")

    def present() -> set[str]:
        return {line.strip() for line in world.ip("node", "route").splitlines() if "proto 87" in line}

    own: routes.Routes = {POD_CIDR: None}
    node_2, node_3 = IPv4Address("10.240.0.12"), IPv4Address("10.240.0.13")
    world.netlink(lambda ip: routes.apply(ip, own | {two: node_2, three: node_3}))
    assert present() == {
        "unreachable 10.244.1.0/24 proto 87",
        "10.244.2.0/24 via 10.240.0.12 dev eth0 proto 87",
        "10.244.3.0/24 via 10.240.0.13 dev eth0 proto 87",
    }
    world.netlink(lambda ip: routes.apply(ip, own | {two: node_3}))
    assert present() == {
        "unreachable 10.244.1.0/24 proto 87",
        "10.244.2.0/24 via 10.240.0.13 dev eth0 proto 87",
    }
