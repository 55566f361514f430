"""How a node handles a frontend: by policy, by endpoints, by where the client is."""

from __future__ import annotations

import dataclasses
from ipaddress import ip_address, ip_network
from typing import Any

import pytest

from tests.unit.services.objects import DRAINING, endpoint, endpoint_slice, node, node_view, service
from wellhead.services.endpointslice import EndpointSlice
from wellhead.services.node import LocalNode
from wellhead.services.service_map import service_map
from wellhead.services.view import Action, Handling, PortView, Preserved, Routing, Scope

HERE = endpoint("10.244.1.2", "node-1")
THERE = endpoint("10.244.2.2", "node-2")
CLUSTER = Handling(Action.FORWARD, Scope.CLUSTER)
MASQUERADED = Handling(Action.FORWARD, Scope.CLUSTER, masquerade=True)
LOCAL = Handling(Action.FORWARD, Scope.LOCAL)
LOCAL_MASQUERADED = Handling(Action.FORWARD, Scope.LOCAL, masquerade=True)
REJECT, DROP = Handling(Action.REJECT), Handling(Action.DROP)


def view(*endpoints: Any, on: LocalNode | None = None, **spec: Any) -> PortView:
    slices: list[EndpointSlice] = [endpoint_slice(*endpoints)] if endpoints else []
    [found] = node_view(service_map([service(**spec)], slices), on or node()).ports.values()
    return found


def node_port(*endpoints: Any, policy: str = "Cluster", on: LocalNode | None = None) -> Routing:
    ports = ({"port": 80, "nodePort": 30080},)
    return view(*endpoints, on=on, type="NodePort", ports=ports, externalTrafficPolicy=policy).external


def test_cluster_ip_keeps_the_source_of_this_nodes_pods() -> None:
    assert view(HERE, THERE).internal == Routing(pods=CLUSTER, node=MASQUERADED, others=MASQUERADED)


def test_cluster_ip_keeps_every_source_where_nothing_detects_local_pods() -> None:
    assert view(HERE, on=node(detects=False)).internal == Routing(CLUSTER, CLUSTER, CLUSTER)


def test_masquerade_all_replaces_every_source_to_a_cluster_ip() -> None:
    assert set(view(HERE, on=node(masquerade_all=True)).internal) == {MASQUERADED}


def test_external_traffic_under_cluster_is_masqueraded() -> None:
    assert set(node_port(THERE)) == {MASQUERADED}


def test_external_traffic_under_local_keeps_its_source_and_its_node() -> None:
    assert node_port(HERE, THERE, policy="Local").others == LOCAL


def test_external_traffic_under_local_is_dropped_where_no_endpoint_is() -> None:
    assert node_port(THERE, policy="Local").others == DROP


def test_inside_traffic_under_external_local_short_circuits() -> None:
    routing = node_port(THERE, policy="Local")
    assert (routing.pods, routing.node) == (CLUSTER, MASQUERADED)


def test_pods_count_as_outside_where_nothing_detects_them() -> None:
    routing = node_port(THERE, policy="Local", on=node(detects=False))
    assert (routing.pods, routing.node) == (DROP, MASQUERADED)


@pytest.mark.parametrize("policy", ["Cluster", "Local"])
def test_without_usable_endpoints_everything_is_rejected(policy: str) -> None:
    unready = endpoint("10.244.1.2", ready=False)
    assert set(node_port(unready, policy=policy)) == {REJECT}
    assert set(view(unready, internalTrafficPolicy=policy).internal) == {REJECT}


def test_internal_local_uses_this_nodes_endpoints_for_pods_and_node_alike() -> None:
    internal = view(HERE, THERE, internalTrafficPolicy="Local").internal
    assert internal == Routing(pods=LOCAL, node=LOCAL_MASQUERADED, others=LOCAL_MASQUERADED)


def test_internal_local_is_dropped_where_no_endpoint_is() -> None:
    assert set(view(THERE, internalTrafficPolicy="Local").internal) == {DROP}


def test_local_traffic_is_served_by_draining_endpoints_while_others_are_ready_elsewhere() -> None:
    ports = ({"port": 80, "nodePort": 30080},)
    draining = endpoint("10.244.1.2", "node-1", **DRAINING)
    found = view(draining, THERE, type="NodePort", ports=ports, externalTrafficPolicy="Local")
    assert found.external.others == LOCAL
    assert [str(each) for each in found.local] == ["10.244.1.2:8080"]
    assert [str(each) for each in found.cluster] == ["10.244.2.2:8080"]


def test_endpoints_that_no_routing_uses_are_left_out() -> None:
    assert view(HERE, THERE).local == ()
    only_local = view(HERE, THERE, internalTrafficPolicy="Local")
    assert only_local.cluster == ()
    assert [str(each) for each in only_local.local] == ["10.244.1.2:8080"]


def test_source_ranges_are_passed_on() -> None:
    found = view(HERE, type="LoadBalancer", loadBalancerSourceRanges=["198.51.100.0/24"])
    assert found.allowed_sources == (ip_network("198.51.100.0/24"),)


def test_a_range_with_this_node_in_it_admits_the_services_own_vips() -> None:
    found = view(
        HERE,
        on=node(addresses=(ip_address("10.240.0.11"),)),
        type="LoadBalancer",
        ingress=({"ip": "203.0.113.1"},),
        loadBalancerSourceRanges=["10.240.0.0/24"],
    )
    assert found.allowed_sources == (ip_network("10.240.0.0/24"), ip_network("203.0.113.1/32"))


def test_flows_to_serving_endpoints_may_go_on_though_nothing_new_is_sent_there() -> None:
    draining = endpoint("10.244.1.2", **DRAINING)
    found = view(draining, THERE)
    assert {str(each) for each in found.serving} == {"10.244.1.2:8080", "10.244.2.2:8080"}


def test_a_published_not_ready_address_is_serving_enough() -> None:
    published = endpoint("10.244.1.2", ready=True, serving=False)
    assert {str(each) for each in view(published).serving} == {"10.244.1.2:8080"}


PRESERVED = Handling(Action.FORWARD, Scope.CLUSTER, masquerade=True, preserve=True)
RETURNING = node(returning=frozenset({"node-2"}), inside=(ip_network("10.240.0.0/24"),))
ELSEWHERE = endpoint("10.244.3.2", "node-3")


def preserving(*endpoints: Any, on: LocalNode = RETURNING, says: str = "true", **spec: Any) -> PortView:
    return view(
        *endpoints,
        on=on,
        type="NodePort",
        ports=({"port": 80, "nodePort": 30080},),
        annotations={"wellhead.dev/preserve-client-ip": says} if says else {},
        **spec,
    )


def test_a_client_outside_keeps_its_address_towards_endpoints_whose_replies_come_back() -> None:
    found = preserving(HERE, THERE, ELSEWHERE)
    assert found.external == Routing(pods=MASQUERADED, node=MASQUERADED, others=PRESERVED)
    returning = (ip_address("10.244.1.2"), ip_address("10.244.2.2"))
    assert found.preserved == Preserved(returning, elsewhere=("node-3",))


def test_where_no_endpoints_replies_come_back_everybody_is_masqueraded() -> None:
    found = preserving(ELSEWHERE, endpoint("10.244.9.9", None))
    assert set(found.external) == {MASQUERADED}
    assert found.preserved == Preserved((), elsewhere=("", "node-3"))


def test_the_annotation_decides_and_otherwise_the_proxys_configuration() -> None:
    by_default = dataclasses.replace(RETURNING, preserve_client_ip=True)
    assert preserving(HERE, on=by_default, says="").external.others == PRESERVED
    assert preserving(HERE, on=by_default, says="false").external.others == MASQUERADED
    assert preserving(HERE, says="").external.others == MASQUERADED
    assert preserving(HERE, says="nonsense").external.others == MASQUERADED


def test_nothing_is_preserved_while_nobody_knows_who_is_inside() -> None:
    found = preserving(HERE, on=node(returning=frozenset({"node-2"})))
    assert set(found.external) == {MASQUERADED}
    assert found.preserved == Preserved((), elsewhere=("node-1",))


def test_news_of_other_nodes_change_services_that_preserve_client_addresses() -> None:
    plain = service("plain", type="NodePort", ports=({"port": 81, "nodePort": 30081},))
    opted_in = service(
        "web",
        cluster_ips=("10.0.0.11",),
        type="NodePort",
        ports=({"port": 80, "nodePort": 30080},),
        annotations={"wellhead.dev/preserve-client-ip": "true"},
    )
    slices = [endpoint_slice(THERE), endpoint_slice(THERE, of="plain", name="plain-1")]
    found = node_view(service_map([plain, opted_in], slices), RETURNING)
    found.set_node(dataclasses.replace(RETURNING, returning=frozenset()))
    assert [key.service for key in found.update().ports] == ["web"]
    assert not found.set_node(dataclasses.replace(RETURNING, returning=frozenset()))
