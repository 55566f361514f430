from __future__ import annotations

from ipaddress import ip_address, ip_network

import pytest

from wellhead.lab import topology
from wellhead.lab.addresses import IPV4, IPV6
from wellhead.lab.topology import Address, Link, Route


def test_it_reads_like_the_drawing() -> None:
    picture = topology.build(2)
    assert picture.names == ("client", "edge", "control-plane", "cloud", "node-1", "node-2")
    assert Link("client", "eth0", "edge", "internet", 1500) in picture.links
    assert Link("node-2", "eth0", "edge", "node-2", 1600, "nodes") in picture.links
    addresses = {(each.machine, each.interface): str(each.address) for each in picture.addresses}
    assert addresses == {
        ("client", "eth0"): "198.51.100.79/24",
        ("edge", "internet"): "198.51.100.1/24",
        ("edge", "nodes"): "10.240.0.1/24",
        ("control-plane", "eth0"): "10.240.0.2/24",
        ("cloud", "eth0"): "10.240.0.3/24",
        ("node-1", "eth0"): "10.240.0.11/24",
        ("node-2", "eth0"): "10.240.0.12/24",
    }


def test_nodes_and_edge_forward_and_nobody_else() -> None:
    forwards = {machine.name for machine in topology.build(1).machines if machine.forwards}
    assert forwards == {"edge", "node-1"}


def test_everyone_but_the_edge_has_a_default_route() -> None:
    picture = topology.build(1)
    assert Route("client", ip_network("0.0.0.0/0"), IPV4.internet_gateway) in picture.routes
    defaults = [route.machine for route in picture.routes if route.destination.prefixlen == 0]
    assert sorted(defaults) == sorted(set(picture.names) - {"edge"})


def test_the_control_plane_and_the_cloud_know_the_way_to_pods() -> None:
    routes = topology.build(2).routes
    for machine in ("control-plane", "cloud"):
        assert Route(machine, ip_network("10.244.2.0/24"), ip_address("10.240.0.12")) in routes


def test_two_plans_make_it_dual_stack() -> None:
    picture = topology.build(1, (IPV4, IPV6))
    node = [each for each in picture.addresses if each.machine == "node-1"]
    assert [each.address.version for each in node] == [4, 6]
    assert all(isinstance(each, Address) for each in node)


def test_interface_names_fit_the_kernel() -> None:
    for link in topology.build(IPV4.max_nodes).links:
        assert max(len(link.interface), len(link.peer_interface)) <= 15


def test_a_machine_keeps_its_hardware_address_when_it_is_made_again() -> None:
    assert topology.build(1).hardware_address("node-1", "eth0") == "0a:58:0a:f0:00:0b"
    everyone = topology.build(50)
    ends = [(link.machine, link.interface) for link in everyone.links]
    ends += [(link.peer, link.peer_interface) for link in everyone.links]
    assert len({everyone.hardware_address(*end) for end in ends}) == len(ends)


@pytest.mark.parametrize("nodes", [0, -1, IPV4.max_nodes + 1])
def test_more_nodes_than_addresses_are_refused(nodes: int) -> None:
    with pytest.raises(ValueError, match="room for 1 to"):
        topology.build(nodes)


def test_links_of_the_edge_are_all_links() -> None:
    picture = topology.build(2)
    assert all("edge" in (link.machine, link.peer) for link in picture.links)
    assert [link.machine for link in picture.links].count("node-1") == 1


@pytest.mark.parametrize(
    ("name", "is_ours"),
    [("node-1", True), ("node-20", True), ("node-01", False), ("node-", False), ("a", False)],
)
def test_our_nodes_are_known_by_name(name: str, is_ours: bool) -> None:
    assert topology.is_node_name(name) == is_ours
