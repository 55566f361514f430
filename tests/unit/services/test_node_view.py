"""Views as they change: what a diff holds, contested frontends, health-check node ports."""

from __future__ import annotations

from ipaddress import ip_address
from itertools import permutations
from typing import Any

from tests.unit.services.objects import DRAINING, Obj, endpoint, endpoint_slice, node, node_view, service
from wellhead.services.names import ServiceKey
from wellhead.services.node import is_leaving, parse_node
from wellhead.services.node_view import HealthCheck, NodeView
from wellhead.services.service_map import ServiceMap, service_map

WEB = ServiceKey("default", "web")
LOCAL_BALANCER: dict[str, Any] = {
    "type": "LoadBalancer",
    "externalTrafficPolicy": "Local",
    "healthCheckNodePort": 32122,
}


def test_a_change_to_one_service_leaves_the_others_out_of_the_diff() -> None:
    services = service_map([service("web"), service("other", cluster_ips=("10.0.0.11",))], [])
    view = node_view(services, node())
    services.set_slice("default", "web-1", endpoint_slice(endpoint("10.244.1.2")))
    diff = view.update()
    assert {key.service for key in diff.ports} == {"web"}
    [(before, after)] = diff.ports.values()
    assert before is not None
    assert before.cluster == ()
    assert after is not None
    assert len(after.cluster) == 1
    assert not view.update()


def test_a_change_that_changes_nothing_is_no_diff() -> None:
    services = service_map([service()], [endpoint_slice(endpoint("10.244.1.2"))])
    view = node_view(services, node())
    services.set_service(WEB, service())
    services.set_slice("default", "web-1", endpoint_slice(endpoint("10.244.1.2")))
    services.set_slice("default", "web-2", endpoint_slice(endpoint("10.244.1.2"), name="web-2"))
    assert not view.update()


def test_slices_may_come_before_their_service_and_outlive_it() -> None:
    services = ServiceMap()
    view = NodeView(services, node())
    services.set_slice("default", "web-1", endpoint_slice(endpoint("10.244.1.2")))
    assert not view.update()
    services.set_service(WEB, service())
    assert len(view.update().ports) == 1
    services.set_service(WEB, None)
    [(before, after)] = view.update().ports.values()
    assert before is not None
    assert after is None
    assert not view.ports


def test_a_slice_may_move_to_another_service() -> None:
    services = service_map(
        [service("web"), service("other", cluster_ips=("10.0.0.11",))],
        [endpoint_slice(endpoint("10.244.1.2"))],
    )
    view = node_view(services, node())
    services.set_slice("default", "web-1", endpoint_slice(endpoint("10.244.1.2"), of="other"))
    assert {key.service: len(after.cluster) for key, (_, after) in view.update().ports.items() if after} == {
        "web": 0,
        "other": 1,
    }


def test_the_oldest_service_holds_a_contested_frontend_whatever_the_order() -> None:
    claimants = [
        service(
            "young", cluster_ips=("10.0.0.1",), externalIPs=["198.18.0.1"], created="2024-01-02T00:00:00Z"
        ),
        service("b", cluster_ips=("10.0.0.2",), externalIPs=["198.18.0.1"]),
        service("a", cluster_ips=("10.0.0.3",), externalIPs=["198.18.0.1"], namespace="kube-system"),
    ]
    for order in permutations(claimants):
        view = node_view(service_map(order, []), node())
        assert _holders(view) == ["b"]


def test_the_next_oldest_takes_over_when_the_holder_goes() -> None:
    first = service("first", cluster_ips=("10.0.0.1",), externalIPs=["198.18.0.1"])
    second = service("second", cluster_ips=("10.0.0.2",), externalIPs=["198.18.0.1"])
    services = service_map([second, first], [])
    view = node_view(services, node())
    services.set_service(first.key, None)
    assert {key.service for key in view.update().ports} == {"first", "second"}
    assert _holders(view) == ["second"]
    services.set_service(first.key, first)
    assert {key.service for key in view.update().ports} == {"first", "second"}
    assert _holders(view) == ["first"]


def _holders(view: NodeView) -> list[str]:
    address = ip_address("198.18.0.1")
    return [
        port.key.service
        for port in view.ports.values()
        if any(held.frontend.address == address for held in port.frontends)
    ]


def test_a_service_that_claims_an_address_twice_holds_it_as_external_ip() -> None:
    twice = service(type="LoadBalancer", externalIPs=["198.18.0.1"], ingress=({"ip": "198.18.0.1"},))
    [port] = node_view(service_map([twice], []), node()).ports.values()
    assert [held.kind.name for held in port.frontends] == ["CLUSTER_IP", "EXTERNAL_IP"]


def test_the_health_check_counts_ready_local_addresses_once() -> None:
    ports = ({"name": "a", "port": 80}, {"name": "b", "port": 81})
    targets = ({"name": "a", "port": 8080}, {"name": "b", "port": 8081})
    services = service_map(
        [service(ports=ports, **LOCAL_BALANCER)],
        [
            endpoint_slice(
                endpoint("10.244.1.2"),
                endpoint("10.244.1.3", **DRAINING),
                endpoint("10.244.2.2", "node-2"),
                ports=targets,
            )
        ],
    )
    assert node_view(services, node()).health_checks == {WEB: HealthCheck(32122, 1)}
    assert node_view(services, node("node-3")).health_checks == {WEB: HealthCheck(32122, 0)}


def test_a_dual_stack_endpoint_counts_once() -> None:
    services = service_map(
        [service(cluster_ips=("10.0.0.10", "fd00:10::1"), **LOCAL_BALANCER)],
        [
            endpoint_slice(endpoint("10.244.1.2")),
            endpoint_slice(endpoint("fd00::2"), name="web-6", family="IPv6"),
        ],
    )
    assert node_view(services, node()).health_checks == {WEB: HealthCheck(32122, 1)}


def test_the_health_check_goes_with_the_policy() -> None:
    services = service_map([service(**LOCAL_BALANCER)], [])
    view = node_view(services, node())
    services.set_service(WEB, service(type="LoadBalancer", externalTrafficPolicy="Cluster"))
    assert view.update().health_checks == {WEB: (HealthCheck(32122, 0), None)}
    assert view.health_checks == {}


def test_a_new_zone_of_the_node_is_taken_into_account() -> None:
    near, far = endpoint("10.0.0.1", for_zones=("a",)), endpoint("10.0.0.2", for_zones=("b",))
    view = node_view(service_map([service()], [endpoint_slice(near, far)]), node())
    assert not view.set_node(node())
    assert view.set_node(node(zone="a"))
    [(before, after)] = view.update().ports.values()
    assert before is not None
    assert after is not None
    assert (len(before.cluster), len(after.cluster)) == (2, 1)


def test_what_a_node_object_says() -> None:
    found = parse_node(
        {
            "metadata": {"name": "node-1", "labels": {"topology.kubernetes.io/zone": "a"}},
            "spec": {"podCIDR": "10.244.1.0/24", "podCIDRs": ["10.244.1.0/24", "fd00:10:244:1::/64"]},
            "status": {
                "addresses": [
                    {"type": "Hostname", "address": "node-1"},
                    {"type": "InternalIP", "address": "10.240.0.11"},
                    {"type": "ExternalIP", "address": "192.0.2.11"},
                ]
            },
        }
    )
    assert found.zone == "a"
    assert found.addresses == (ip_address("10.240.0.11"),)
    assert [str(each) for each in found.pod_networks] == ["10.244.1.0/24", "fd00:10:244:1::/64"]


def test_a_node_is_leaving_when_deleted_or_about_to_be() -> None:
    node_object: Obj = {"metadata": {"name": "node-1"}, "spec": {}}
    assert not is_leaving(node_object)
    node_object["spec"]["taints"] = [{"key": "ToBeDeletedByClusterAutoscaler", "effect": "NoSchedule"}]
    assert is_leaving(node_object)
    assert is_leaving({"metadata": {"name": "node-1", "deletionTimestamp": "2024-01-01T00:00:00Z"}})
