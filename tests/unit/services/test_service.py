"""What is read out of Service objects."""

from __future__ import annotations

from ipaddress import ip_address, ip_network
from typing import Any

import msgspec
import pytest

from tests.unit.services.objects import service, service_object
from wellhead.ip import Family, Protocol
from wellhead.services.names import Frontend, FrontendKind
from wellhead.services.service import ServiceForm, parse_service


def test_every_address_of_a_service_is_a_frontend() -> None:
    [port] = service(
        type="LoadBalancer",
        externalIPs=["198.18.0.1"],
        ports=({"name": "http", "port": 80, "nodePort": 30080},),
        ingress=({"ip": "203.0.113.1", "ipMode": "VIP"},),
    ).ports
    assert port.claims == (
        (FrontendKind.CLUSTER_IP, Frontend(Family.IPV4, ip_address("10.0.0.10"), Protocol.TCP, 80)),
        (FrontendKind.EXTERNAL_IP, Frontend(Family.IPV4, ip_address("198.18.0.1"), Protocol.TCP, 80)),
        (FrontendKind.LOAD_BALANCER_IP, Frontend(Family.IPV4, ip_address("203.0.113.1"), Protocol.TCP, 80)),
        (FrontendKind.NODE_PORT, Frontend(Family.IPV4, None, Protocol.TCP, 30080)),
    )
    assert str(port.key) == "default/web:http"


def test_it_is_read_from_json_as_from_a_dict() -> None:
    obj = service_object(
        type="LoadBalancer",
        externalTrafficPolicy="Local",
        healthCheckNodePort=32000,
        sessionAffinity="ClientIP",
        sessionAffinityConfig={"clientIP": {"timeoutSeconds": 60}},
        loadBalancerSourceRanges=["198.18.0.0/15"],
        externalIPs=["198.18.0.1"],
        ports=({"name": "http", "port": 80, "nodePort": 30080, "targetPort": "web"},),
        ingress=({"ip": "203.0.113.1"},),
        annotations={"wellhead.dev/preserve-client-ip": "true", "other": "x"},
    )
    obj["metadata"]["managedFields"] = [{"manager": "kubectl"}]
    form = msgspec.json.decode(msgspec.json.encode(obj), type=ServiceForm)
    assert parse_service(form) == parse_service(obj)


def test_an_unnamed_port_is_named_by_its_service_alone() -> None:
    [port] = service().ports
    assert str(port.key) == "default/web"


def test_ingress_of_a_terminating_balancer_is_no_frontend() -> None:
    [port] = service(
        type="LoadBalancer", ingress=({"ip": "203.0.113.1", "ipMode": "Proxy"}, {"hostname": "lb.example"})
    ).ports
    assert port.addresses(FrontendKind.LOAD_BALANCER_IP) == ()


def test_ingress_without_ip_mode_is_a_vip() -> None:
    [port] = service(type="LoadBalancer", ingress=({"ip": "203.0.113.1"},)).ports
    assert port.addresses(FrontendKind.LOAD_BALANCER_IP) == (ip_address("203.0.113.1"),)


@pytest.mark.parametrize(
    "spec",
    [
        {"type": "ExternalName", "clusterIP": "", "clusterIPs": []},
        {"clusterIP": "None", "clusterIPs": ["None"]},
        {"clusterIP": "", "clusterIPs": []},
    ],
    ids=["ExternalName", "headless", "no ClusterIP yet"],
)
def test_services_without_cluster_ip_are_not_served(spec: dict[str, Any]) -> None:
    assert parse_service(service_object(**spec)) is None


def test_a_service_is_for_the_proxy_that_its_label_names() -> None:
    labelled = service_object(labels={"service.kubernetes.io/service-proxy-name": "other"})
    assert parse_service(labelled) is None
    assert parse_service(labelled, proxy_name="other") is not None
    assert parse_service(service_object(), proxy_name="other") is None


def test_the_load_balancer_class_is_no_concern_of_the_proxy() -> None:
    [port] = service(
        type="LoadBalancer", loadBalancerClass="example.com/x", ingress=({"ip": "203.0.113.1"},)
    ).ports
    assert port.addresses(FrontendKind.LOAD_BALANCER_IP)


def test_each_family_has_its_own_ports_and_addresses() -> None:
    parsed = service(
        type="LoadBalancer",
        cluster_ips=("fd00:10::1", "10.0.0.10"),
        externalIPs=["198.18.0.1", "2001:db8::1"],
        ports=({"port": 53, "protocol": "UDP", "nodePort": 30053},),
    )
    assert parsed.primary_family is Family.IPV6
    six, four = parsed.ports
    assert (six.key.family, [str(each.address) for _, each in six.claims], six.claims[-1].frontend.port) == (
        Family.IPV6,
        ["fd00:10::1", "2001:db8::1", "None"],
        30053,
    )
    assert (four.key.family, four.addresses(FrontendKind.EXTERNAL_IP)) == (
        Family.IPV4,
        (ip_address("198.18.0.1"),),
    )


def test_source_ranges_count_per_family() -> None:
    four, six = service(
        type="LoadBalancer",
        cluster_ips=("10.0.0.10", "fd00:10::1"),
        loadBalancerSourceRanges=[" 198.51.100.0/24", "198.51.100.7/32"],
    ).ports
    assert four.source_ranges == (ip_network("198.51.100.0/24"), ip_network("198.51.100.7/32"))
    assert six.source_ranges == ()


def test_a_source_range_of_length_zero_is_no_restriction() -> None:
    [port] = service(type="LoadBalancer", loadBalancerSourceRanges=["198.51.100.0/24", "0.0.0.0/0"]).ports
    assert port.source_ranges == ()


def test_affinity_lasts_three_hours_unless_told_otherwise() -> None:
    assert service().ports[0].affinity_seconds is None
    assert service(sessionAffinity="ClientIP").ports[0].affinity_seconds == 10800
    config = {"clientIP": {"timeoutSeconds": 5}}
    parsed = service(sessionAffinity="ClientIP", sessionAffinityConfig=config)
    assert parsed.ports[0].affinity_seconds == 5


def test_only_a_local_load_balancer_has_a_health_check_port() -> None:
    local: dict[str, Any] = {"externalTrafficPolicy": "Local", "healthCheckNodePort": 32122}
    assert service(type="LoadBalancer", **local).health_check_node_port == 32122
    assert service(type="NodePort", **local).health_check_node_port is None
    cluster: dict[str, Any] = {"externalTrafficPolicy": "Cluster", "healthCheckNodePort": 32122}
    assert service(type="LoadBalancer", **cluster).health_check_node_port is None
