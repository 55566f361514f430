"""The pod network of one node, seen by packets, in both families. Reverse-path filtering is strict."""

from __future__ import annotations

from ipaddress import ip_address, ip_network

import pytest

from tests.packets.node.world import IPV4, IPV6, Family, World
from wellhead.linux.rtnetlink import Requests
from wellhead.node.network import links, routes
from wellhead.node.network.families import IPAddress, IPNetwork
from wellhead.node.network.host_ports import HostPort


@pytest.fixture
def pods(world: World) -> World:
    world.add_pod("a", IPV4.a, IPV6.a)
    world.add_pod("b", IPV4.b, IPV6.b)
    world.apply_rules()
    return world


@pytest.fixture(params=[IPV4, IPV6], ids=["ipv4", "ipv6"])
def ip(request: pytest.FixtureRequest) -> Family:
    """The addresses of each family."""
    found: Family = request.param
    return found


def test_pods_and_nodes_reach_pods_without_nat(pods: World, ip: Family) -> None:
    assert pods.seen("a", "b", ip.b, 80) == ip.a
    assert pods.seen("edge", "b", ip.b, 80) == ip.edge
    assert pods.seen("node", "b", ip.b, 80) in (ip.node, ip.gateway)
    assert pods.seen("b", "node", ip.node, 80) == ip.b
    assert pods.seen("b", "node", ip.gateway, 80) == ip.b


def test_only_what_leaves_the_cluster_is_masqueraded(pods: World, ip: Family) -> None:
    assert pods.seen("a", "edge", ip.edge, 80) == ip.a
    assert pods.seen("a", "edge", ip.outside, 80) == ip.node


def test_a_pods_interface_looks_as_the_tutorial_shows_it(pods: World) -> None:
    shown = pods.ip("a", "addr", "show", "eth0")
    assert "mtu 1460" in shown
    assert "link/ether 0a:58:0a:f4:01:02" in shown
    assert "inet 10.244.1.2/24 scope global eth0\n" in shown
    assert "inet6 fd00:10:244:1::2/64 scope global nodad \n" in shown


def test_even_a_neighbour_is_reached_through_the_node(pods: World, ip: Family) -> None:
    assert f"via {ip.gateway} dev eth0" in pods.ip("a", "route", "get", ip.b)


def test_an_address_that_no_pod_has_is_refused_at_once(pods: World, ip: Family) -> None:
    with pytest.raises(OSError, match=r"No route to host|Network is unreachable"):
        pods.seen("a", "node", ip.node, 80, dial=(ip.nobody, 80))


def test_a_host_port_keeps_the_clients_address_but_on_the_way_to_oneself(pods: World, ip: Family) -> None:
    pods.apply_rules(
        HostPort("tcp", 8000, None, ip_address(ip.a), 80),
        HostPort("tcp", 8001, ip_address(ip.gateway), ip_address(ip.a), 80),
    )
    assert pods.seen("edge", "a", ip.a, 80, dial=(ip.node, 8000)) == ip.edge
    assert pods.seen("b", "a", ip.a, 80, dial=(ip.node, 8000)) == ip.b
    assert pods.seen("a", "a", ip.a, 80, dial=(ip.node, 8000)) == ip.gateway
    assert pods.seen("b", "a", ip.a, 80, dial=(ip.gateway, 8001)) == ip.b
    with pytest.raises(ConnectionRefusedError):
        pods.seen("b", "a", ip.a, 80, dial=(ip.node, 8001))
    pods.apply_rules()
    with pytest.raises(ConnectionRefusedError):
        pods.seen("b", "a", ip.a, 80, dial=(ip.node, 8000))


def test_connecting_again_replaces_and_disconnecting_leaves_nothing(pods: World) -> None:
    def present() -> list[str]:
        lines = (pods.ip("node", "route") + pods.ip("node", "-6", "route")).splitlines()
        return [line.strip() for line in lines if ":244:" in line or ".244." in line]

    before = present()
    pods.ask(lambda node: links.disconnect(node, "b"))
    pods.add_pod("b", IPV4.b, IPV6.b)
    for family in (IPV4, IPV6):
        assert pods.seen("a", "b", family.b, 80) == family.a
    assert len(present()) == len(before)

    def disconnect_all(node: Requests) -> None:
        for uid in ("a", "b", "b"):
            links.disconnect(node, uid)

    pods.ask(disconnect_all)
    assert "veth" not in pods.ip("node", "-o", "link").replace("eth0@", "")
    assert present() == [
        "unreachable 10.244.1.0/24 proto 87",
        "unreachable fd00:10:244:1::/64 dev lo proto 87 metric 1024 pref medium",
    ]


def test_routes_to_other_nodes_follow_the_wanted_ones(world: World, ip: Family) -> None:
    def pods_of(node: int) -> str:
        return f"10.244.{node}.0/24" if ip is IPV4 else f"fd00:10:244:{node}::/64"

    def address(node: int) -> IPAddress:
        return ip_address(f"10.240.0.1{node}" if ip is IPV4 else f"fd00:10:240::1{node}")

    def present() -> set[str]:
        lines = world.ip("node", "-4" if ip is IPV4 else "-6", "route").splitlines()
        return {line.partition(" dev ")[0].partition(" proto ")[0] for line in lines if "proto 87" in line}

    def apply(wanted: routes.Routes, gone: list[IPNetwork] | None) -> None:
        world.ask(lambda asker: routes.apply(asker, wanted, gone))

    two, three = (ip_network(pods_of(node)) for node in (2, 3))
    own: routes.Routes = {IPV4.pod_cidr: None, IPV6.pod_cidr: None}
    unreachable = f"unreachable {ip.pod_cidr}"
    apply(own | {two: address(2), three: address(3)}, None)
    both = {f"{two} via {address(2)}", f"{three} via {address(3)}"}
    assert present() == {unreachable, *both}
    apply(own | {two: address(3)}, None)
    assert present() == {unreachable, f"{two} via {address(3)}"}
    # By difference: what isn't named stays, and what is gone already is no fault.
    apply({three: address(3)}, [])
    assert present() == {unreachable, f"{two} via {address(3)}", f"{three} via {address(3)}"}
    for _ in range(2):
        apply({two: address(2)}, [three])
        assert present() == {unreachable, f"{two} via {address(2)}"}


@pytest.mark.parametrize(("loopback", "pod"), [("127.0.0.1", IPV4.a), ("127.1.2.3", IPV4.a), ("::1", IPV6.a)])
@pytest.mark.parametrize("bound", [False, True], ids=["to-every-address", "to-loopback"])
def test_a_host_port_answers_on_the_nodes_loopback(pods: World, loopback: str, pod: str, bound: bool) -> None:
    host_ip = ip_address(loopback) if bound else None
    pods.apply_rules(HostPort("tcp", 8000, host_ip, ip_address(pod), 80))
    family = IPV4 if "." in loopback else IPV6
    assert pods.seen("node", "a", pod, 80, dial=(loopback, 8000)) == family.gateway
    if bound:
        with pytest.raises(ConnectionRefusedError):
            pods.seen("b", "a", pod, 80, dial=(family.node, 8000))
