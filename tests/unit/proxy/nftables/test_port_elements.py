"""One Service port's elements, read as nft would print them."""

from __future__ import annotations

from ipaddress import ip_address
from typing import Any

from tests.unit.services.objects import endpoint, endpoint_slice, node, node_view, service
from wellhead.linux.nftables.objects import Element
from wellhead.linux.nftables.statements import Verdict
from wellhead.proxy.backends.nftables import layout
from wellhead.proxy.backends.nftables.numbers import Placement, place
from wellhead.proxy.backends.nftables.port_elements import PortElements, compile_port
from wellhead.services.service_map import service_map

NUMBER = 8


def compiled(*endpoints: Any, detects: bool = True, **spec: Any) -> PortElements:
    """The only port of a Service, of which `endpoints` are on a node each."""
    found = service("web", **spec)
    one_slice = endpoint_slice(*endpoints)
    (view,) = node_view(service_map([found], [one_slice]), node(detects=detects)).ports.values()
    return compile_port(view, place(Placement(NUMBER), view))


def of(found: PortElements, name: str) -> list[Element]:
    return [each for each in (*found.own, *found.shared) if each.id.set == name]


def address_and_port(data: object) -> str:
    assert isinstance(data, bytes)
    return f"{ip_address(data[:-4])}:{int.from_bytes(data[-4:-2], 'big')}"


def chain_of(found: PortElements, frontend: Element) -> str:
    """Where a frontend's code leads."""
    assert isinstance(frontend.data, bytes)
    number, local, code = layout.split_id(frontend.data)
    policy = next(each for each in found.dispatches if each.map == "policies" and each.code == code)
    assert (number, local) == (NUMBER, policy.number > 0 and policy.chain.startswith("local"))
    return policy.chain


HERE, THERE = endpoint("10.244.1.2"), endpoint("10.244.2.2", "node-2")
OUTSIDE: dict[str, Any] = {
    "type": "LoadBalancer",
    "ingress": ({"ip": "203.0.113.1"},),
    "ports": ({"port": 80, "nodePort": 30080},),
}


def test_a_cluster_ip_leads_to_its_endpoints() -> None:
    found = compiled(HERE, THERE)
    (frontend,) = of(found, "services")
    assert frontend.id.key == ip_address("10.0.0.10").packed + b"\x06\0\0\0" + b"\0\x50\0\0"
    assert chain_of(found, frontend) == "cluster.cluster-masquerade.cluster-masquerade-2"
    assert not of(found, "endpoint-counts"), "the frontend says how many"
    assert [address_and_port(each.data) for each in of(found, "endpoints")] == [
        "10.244.1.2:8080",
        "10.244.2.2:8080",
    ]
    assert [int.from_bytes(each.id.key[-4:], "little") for each in of(found, "endpoints")] == [0, 1]
    assert len(of(found, "cluster-ips")) == 1


def test_of_many_endpoints_the_number_is_looked_up() -> None:
    found = compiled(*(endpoint(f"10.244.2.{each}", "node-2") for each in range(1, 18)))
    (frontend,) = of(found, "services")
    assert chain_of(found, frontend) == "cluster.cluster-masquerade.cluster-masquerade"
    (count,) = of(found, "endpoint-counts")
    assert isinstance(count.data, bytes)
    assert layout.split_id(count.data) == (NUMBER, False, 17)


def test_a_local_frontend_says_that_it_is_and_how_many_endpoints_are_here() -> None:
    found = compiled(HERE, THERE, internalTrafficPolicy="Local")
    (frontend,) = of(found, "services")
    assert chain_of(found, frontend) == "local.local-masquerade.local-masquerade-1"
    assert not of(found, "endpoint-counts")
    assert len(of(found, "endpoints")) == 1


def test_where_one_frontend_has_to_look_up_the_number_it_is_there() -> None:
    found = compiled(HERE, THERE, sessionAffinity="ClientIP", **OUTSIDE)
    assert {chain_of(found, each) for each in of(found, "services")} == {
        "cluster.cluster-masquerade.cluster-masquerade",
        "cluster-masquerade",
    }
    found = compiled(HERE, THERE, externalTrafficPolicy="Local", internalTrafficPolicy="Local", **OUTSIDE)
    (node_port,) = of(found, "node-ports")
    assert chain_of(found, node_port) == "cluster.cluster-masquerade.local"
    assert len(of(found, "endpoint-counts")) == 2


def test_only_endpoints_of_this_node_may_reach_themselves() -> None:
    assert [each.id.key for each in of(compiled(HERE, THERE), "hairpins")] == [
        ip_address("10.244.1.2").packed * 2
    ]


def test_without_endpoints_there_are_frontends_alone() -> None:
    found = compiled(**OUTSIDE)
    assert {each.id.set for each in (*found.own, *found.shared)} == {"services", "node-ports", "cluster-ips"}
    assert {chain_of(found, each) for each in of(found, "services")} == {"rejected"}


def test_external_local_has_both_scopes_and_drops_where_there_is_no_endpoint() -> None:
    found = compiled(HERE, THERE, externalTrafficPolicy="Local", **OUTSIDE)
    (node_port,) = of(found, "node-ports")
    assert chain_of(found, node_port) == "cluster.cluster-masquerade.local"
    scopes = {layout.split_id(each.id.key)[1:] for each in of(found, "endpoint-counts")}
    assert scopes == {(False, 0), (True, 0)}
    assert len(of(found, "endpoints")) == 3
    (node_port,) = of(found := compiled(THERE, externalTrafficPolicy="Local", **OUTSIDE), "node-ports")
    assert chain_of(found, node_port) == "cluster.cluster-masquerade.dropped-1"
    (node_port,) = of(
        found := compiled(HERE, THERE, detects=False, externalTrafficPolicy="Local", **OUTSIDE), "node-ports"
    )
    assert chain_of(found, node_port) == "local.cluster-masquerade.local"


def test_source_ranges_guard_the_load_balancers_addresses_alone() -> None:
    found = compiled(
        HERE, loadBalancerSourceRanges=["10.0.0.0/8", "10.1.0.0/16", "198.51.100.7/32"], **OUTSIDE
    )
    chains = {ip_address(each.id.key[:4]).compressed: chain_of(found, each) for each in of(found, "services")}
    assert chains["203.0.113.1"] == "from-source-ranges-masquerade-1"
    assert chains["10.0.0.10"] == "cluster.cluster-masquerade.cluster-masquerade-1"
    ranges = {(each.id.key[4:], each.id.key_end[4:]) for each in of(found, "source-ranges")}
    assert ranges == {
        (ip_address(first).packed, ip_address(last).packed)
        for first, last in (("10.0.0.0", "10.255.255.255"), ("198.51.100.7", "198.51.100.7"))
    }


def test_affinity_puts_slots_between_indexes_and_endpoints() -> None:
    found = compiled(HERE, THERE, sessionAffinity="ClientIP")
    assert not of(found, "endpoints")
    assert [each.chain for each in found.dispatches if each.map == "picks"] == ["affinity-10800-cluster"]
    slots = [layout.split_id(each.data)[2] for each in of(found, "slots") if isinstance(each.data, bytes)]
    assert slots == [1, 2]
    assert [layout.split_id(each.id.key[4:])[2] for each in of(found, "slot-endpoints")] == [1, 2]
    (pick_slot,) = (each for each in found.dispatches if each.map == "slot-picks")
    assert pick_slot.element.data == Verdict("pick-slot-2", returns=True)


def test_comments_are_as_long_as_nft_shows() -> None:
    found = compiled(HERE, ports=({"name": "p" * 63, "port": 80},), namespace="n" * 63)
    assert all(len(each.comment) <= 127 for each in found.own)
