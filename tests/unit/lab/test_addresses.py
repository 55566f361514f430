from __future__ import annotations

from ipaddress import ip_address, ip_network

from wellhead.lab.addresses import IPV4, IPV6


def test_the_plan_is_the_documents() -> None:
    assert IPV4.edge == ip_address("10.240.0.1")
    assert IPV4.control_plane == ip_address("10.240.0.2")
    assert IPV4.control_plane_external == ip_address("192.0.2.2")
    assert IPV4.cloud == ip_address("10.240.0.3")
    assert IPV4.node(3) == ip_address("10.240.0.13")
    assert IPV4.node_external(3) == ip_address("192.0.2.13")
    assert IPV4.node_pods(3) == ip_network("10.244.3.0/24")
    assert IPV4.kubernetes_service == ip_address("10.0.0.1")
    assert IPV4.client == ip_address("198.51.100.79")


def test_ipv6_shares_are_64s_and_numbers_are_written_as_in_ipv4() -> None:
    assert IPV6.node_pods(12) == ip_network("fd00:10:244:12::/64")
    assert IPV6.node(2) == ip_address("fd00:10:240::12")
    assert IPV6.node_external(2) == ip_address("2001:db8:192::12")
    assert IPV6.cloud == ip_address("fd00:10:240::3")


def test_the_last_node_still_finds_an_address_of_every_kind() -> None:
    for plan in (IPV4, IPV6):
        last = min(plan.max_nodes, 10_000)
        assert plan.node(last) in plan.nodes
        assert plan.node(last) != plan.nodes.broadcast_address
        assert plan.node_external(last) in plan.external
        assert plan.node_pods(last).subnet_of(plan.pods)  # type: ignore[arg-type]


def test_no_network_of_the_plan_overlaps_another() -> None:
    for plan in (IPV4, IPV6):
        networks = [plan.nodes, plan.pods, plan.services, plan.vips, plan.external, plan.internet]
        for position, network in enumerate(networks):
            assert not any(network.overlaps(other) for other in networks[position + 1 :])
