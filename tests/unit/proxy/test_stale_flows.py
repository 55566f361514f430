"""Which flows are forgotten."""

from __future__ import annotations

from ipaddress import ip_address, ip_network
from typing import Any

import pytest

from tests.unit.services.objects import DRAINING, endpoint, endpoint_slice, node, node_view, service
from wellhead.ip import Family, Protocol
from wellhead.linux.conntrack import End, Flow
from wellhead.proxy.stale_flows import Destination, Valid, dialled_early, is_stale, valid_flows
from wellhead.services.node import LocalNode
from wellhead.services.service_map import service_map
from wellhead.services.view import PortView

NODE_ADDRESSES = frozenset([ip_address("10.240.0.11")])
UDP = {"port": 53, "protocol": "UDP", "nodePort": 30053}
TARGET = {"port": 8053, "protocol": "UDP"}


def dns(*endpoints: Any, on: LocalNode | None = None, **spec: Any) -> PortView:
    facts: dict[str, Any] = {"type": "NodePort", "ports": (UDP,), **spec}
    slices = [endpoint_slice(*endpoints, of="dns", ports=(TARGET,))] if endpoints else []
    [view] = node_view(service_map([service("dns", **facts)], slices), on or node()).ports.values()
    return view


def at(text: str) -> End:
    ip, _, port = text.rpartition(":")
    return End(ip_address(ip), int(port))


def stale(valid: Valid, to: str, answered_by: str) -> bool:
    client = at("10.244.1.9:4000")
    return is_stale(Flow(Protocol.UDP, client, at(to), at(answered_by), client, 0), valid, NODE_ADDRESSES)


def test_flows_go_on_to_whatever_still_serves() -> None:
    view = dns(
        endpoint("10.244.1.2", **DRAINING),
        endpoint("10.244.1.3"),
        endpoint("10.244.1.4", ready=False, serving=False),
    )
    valid = valid_flows(Family.IPV4, [(None, view)])
    assert not stale(valid, "10.0.0.10:53", "10.244.1.2:8053")
    assert not stale(valid, "10.0.0.10:53", "10.244.1.3:8053")
    assert stale(valid, "10.0.0.10:53", "10.244.1.4:8053")
    assert stale(valid, "10.0.0.10:53", "10.244.1.3:53"), "another port than the target's"
    assert stale(valid, "10.0.0.10:53", "10.0.0.10:53"), "from when there was no endpoint"


def test_node_ports_are_meant_on_the_nodes_addresses_alone() -> None:
    valid = valid_flows(Family.IPV4, [(None, dns(endpoint("10.244.1.3")))])
    assert Destination(None, 30053) in valid
    assert stale(valid, "10.240.0.11:30053", "10.244.1.2:8053")
    assert not stale(valid, "192.0.2.1:30053", "192.0.2.1:30053"), "a flow to the same port of a stranger"


@pytest.mark.parametrize("after", [None, dns()])
def test_flows_of_a_service_without_endpoints_or_that_is_gone_are_stale(after: PortView | None) -> None:
    valid = valid_flows(Family.IPV4, [(dns(endpoint("10.244.1.3")), after)])
    assert stale(valid, "10.0.0.10:53", "10.244.1.3:8053")
    assert stale(valid, "10.240.0.11:30053", "10.244.1.3:8053")


def test_a_frontend_that_moved_to_another_port_goes_by_its_new_holder() -> None:
    old, new = dns(endpoint("10.244.1.3")), dns(endpoint("10.244.1.4"))
    for changes in ([(old, None), (None, new)], [(None, new), (old, None)]):
        valid = valid_flows(Family.IPV4, changes)
        assert stale(valid, "10.0.0.10:53", "10.244.1.3:8053")
        assert not stale(valid, "10.0.0.10:53", "10.244.1.4:8053")


def test_tcp_and_the_other_family_are_left_alone() -> None:
    tcp = dns(ports=({"port": 53, "nodePort": 30053},))
    assert not valid_flows(Family.IPV4, [(None, tcp)])
    assert not valid_flows(Family.IPV6, [(None, dns())])


def test_what_was_dialled_before_a_load_balancers_address_was_known_is_decided_again() -> None:
    def web(*vips: str) -> PortView:
        ingress = tuple({"ip": vip} for vip in vips)
        return dns(type="LoadBalancer", ports=({"port": 80, "nodePort": 30080},), ingress=ingress)

    known = (ip_address("203.0.113.1"), 80)
    assert dialled_early(Family.IPV4, [(None, web("203.0.113.1"))]) == {known}
    assert dialled_early(Family.IPV4, [(web(), web("203.0.113.1"))]) == {known}
    assert not dialled_early(Family.IPV4, [(web("203.0.113.1"), web("203.0.113.1"))])
    assert not dialled_early(Family.IPV4, [(web("203.0.113.1"), None)])
    assert not dialled_early(Family.IPV6, [(None, web("203.0.113.1"))])
    assert not dialled_early(Family.IPV4, [(None, dns(ports=({"port": 80, "nodePort": 30080},)))])


def test_preserved_flows_whose_replies_come_back_no_longer_are_decided_again() -> None:
    asking: dict[str, Any] = {"annotations": {"wellhead.dev/preserve-client-ip": "true"}}
    inside = (ip_network("10.240.0.0/24"),)
    there = (endpoint("10.244.2.2", "node-2"),)
    returning = dns(*there, on=node(inside=inside, returning=frozenset({"node-2"})), **asking)
    no_longer = dns(*there, on=node(inside=inside), **asking)

    def is_forgotten(after: PortView, *, preserved: bool) -> bool:
        valid = valid_flows(Family.IPV4, [(returning, after)])
        where = (at("198.51.100.79:4000"), at("10.240.0.11:30053"), at("10.244.2.2:8053"))
        seen = where[0] if preserved else at("10.240.0.11:4000")
        return is_stale(Flow(Protocol.UDP, *where, seen, 0), valid, NODE_ADDRESSES)

    assert is_forgotten(no_longer, preserved=True)
    assert not is_forgotten(no_longer, preserved=False)
    assert not is_forgotten(returning, preserved=True)
    assert not is_forgotten(dns(*there), preserved=True), "nobody asks any more: the flow lives on"
