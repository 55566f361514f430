"""What a Service asks of its load balancer, and what counts as a node for it."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Any

import pytest

from wellhead.api.meta import Obj
from wellhead.cloud import balancers
from wellhead.cloud.balancers import FINALIZER, Request
from wellhead.cloud.classes import Unsupported
from wellhead.cloud.nodes import BalancedNode, balanced_node


def service(*, metadata: Obj | None = None, **spec: object) -> Obj:
    return {
        "metadata": {"namespace": "default", "name": "web", **(metadata or {})},
        "spec": {"type": "LoadBalancer", "ports": [{"port": 80, "protocol": "TCP"}], **spec},
    }


def node(
    *, labels: dict[str, str] | None = None, taints: tuple[str, ...] = (), address: str = "10.240.0.11"
) -> Obj:
    return {
        "metadata": {"name": "node-1", "labels": labels or {}},
        "spec": {"taints": [{"key": key, "effect": "NoSchedule"} for key in taints]},
        "status": {
            "addresses": [
                {"type": "Hostname", "address": "node-1"},
                {"type": "InternalIP", "address": "fd00:10:240::11"},
                {"type": "InternalIP", "address": address},
            ],
            "conditions": [{"type": "Ready", "status": "Unknown"}],
        },
    }


def test_policy_cluster_asks_the_proxys_healthz() -> None:
    assert balancers.request(service()) == Request(
        service=("default", "web"),
        ports=frozenset({("tcp", 80)}),
        local=False,
        check_port=10256,
        client_affinity=False,
    )


def test_policy_local_asks_the_services_own_health_check_port() -> None:
    request = balancers.request(
        service(externalTrafficPolicy="Local", healthCheckNodePort=32122, sessionAffinity="ClientIP")
    )
    assert (request.local, request.check_port, request.client_affinity) == (True, 32122, True)


def test_several_ports_and_protocols() -> None:
    ports = [{"port": 53, "protocol": "UDP"}, {"port": 53, "protocol": "TCP"}, {"port": 80}]
    assert balancers.request(service(ports=ports)).ports == {("udp", 53), ("tcp", 53), ("tcp", 80)}


def test_an_address_is_asked_for_by_field_or_annotation_and_the_annotation_wins() -> None:
    assert balancers.request(service(loadBalancerIP="203.0.113.7")).addresses == {IPv4Address("203.0.113.7")}
    annotated = {"annotations": {"wellhead.dev/load-balancer-ip": "203.0.113.8"}}
    asked = balancers.request(service(metadata=annotated, loadBalancerIP="203.0.113.7"))
    assert asked.addresses == {IPv4Address("203.0.113.8")}


@pytest.mark.parametrize("prefix", ["metallb.io", "metallb.universe.tf"])
def test_metallbs_annotations_mean_the_same_and_ours_come_first(prefix: str) -> None:
    theirs = {
        f"{prefix}/loadBalancerIPs": "203.0.113.8",
        f"{prefix}/address-pool": "shop",
        f"{prefix}/allow-shared-ip": "key",
    }
    found = service(metadata={"annotations": theirs})
    assert balancers.request(found).addresses == {IPv4Address("203.0.113.8")}
    assert balancers.asker(found).pool == "shop"
    assert balancers.tenancy(found).agreement == ("key", "Cluster")
    ours = theirs | {"wellhead.dev/load-balancer-pool": "other"}
    assert balancers.asker(service(metadata={"annotations": ours})).pool == "other"


def test_both_families_addresses_may_be_asked_for() -> None:
    families = ["IPv6", "IPv4"]
    annotated = {"annotations": {"wellhead.dev/load-balancer-ip": "203.0.113.8, 2001:db8:113::8"}}
    asked = balancers.request(service(metadata=annotated, ipFamilies=families))
    assert asked.families == (6, 4)
    assert asked.addresses == {IPv4Address("203.0.113.8"), IPv6Address("2001:db8:113::8")}
    one = balancers.request(service(loadBalancerIP="2001:db8:113::7", ipFamilies=families))
    assert one.addresses == {IPv6Address("2001:db8:113::7")}


@pytest.mark.parametrize(
    ("spec", "reason"),
    [
        ({"ports": [{"port": 5000, "protocol": "SCTP"}]}, "port 5000: protocol SCTP can't be forwarded"),
        ({"ports": []}, "no ports"),
        ({"loadBalancerIP": "somewhere"}, "'somewhere' was asked for .* is no IP address"),
        ({"loadBalancerIP": "2001:db8::1"}, "2001:db8::1 was asked for, .* ipFamilies have no IPv6"),
        ({"loadBalancerIP": "203.0.113.1,203.0.113.2"}, "has one IPv4 address"),
        ({"externalTrafficPolicy": "Local"}, "no healthCheckNodePort"),
    ],
)
def test_what_cannot_be_done_is_said(spec: Obj, reason: str) -> None:
    with pytest.raises(Unsupported, match=reason):
        balancers.request(service(**spec))


def test_an_annotation_that_nodes_do_not_heed_is_not_taken_for_a_limit() -> None:
    name = "service.beta.kubernetes.io/load-balancer-source-ranges"
    annotated = {"annotations": {name: "198.51.100.0/24"}}
    with pytest.raises(Unsupported, match=r"spec\.loadBalancerSourceRanges"):
        balancers.request(service(metadata=annotated))
    balancers.request(service(metadata=annotated, loadBalancerSourceRanges=["10.0.0.0/8"]))
    balancers.request(service(metadata=annotated, loadBalancerClass="wellhead.dev/proxy"))


def test_annotations_that_a_class_does_not_heed_are_told() -> None:
    def said(annotation: str, **spec: str) -> str:
        return balancers.without_effect(service(metadata={"annotations": {annotation: "x"}}, **spec))

    proxy = {"loadBalancerClass": "wellhead.dev/proxy"}
    assert "wellhead.dev/client-ip has no effect" in said("wellhead.dev/client-ip")
    assert said("wellhead.dev/client-ip", **proxy) == ""
    assert "aren't shared" in said("wellhead.dev/share-load-balancer-ip", **proxy)
    assert said("wellhead.dev/share-load-balancer-ip") == ""


def test_only_our_classes_and_no_class_are_ours() -> None:
    assert balancers.is_wanted(service())
    assert balancers.is_wanted(service(loadBalancerClass="wellhead.dev/forwarder"))
    assert balancers.is_wanted(service(loadBalancerClass="wellhead.dev/proxy"))
    assert not balancers.is_wanted(service(loadBalancerClass="example.com/lb"))
    assert not balancers.is_wanted(service(type="NodePort"))
    assert not balancers.is_wanted(service(metadata={"deletionTimestamp": "2026-01-01T00:00:00Z"}))


def test_cleanup_is_needed_after_deletion_or_a_type_change_and_never_of_anothers() -> None:
    held = {"finalizers": ["example.com/other", FINALIZER]}
    deleted = held | {"deletionTimestamp": "2026-01-01T00:00:00Z"}
    assert balancers.needs_cleanup(service(metadata=deleted))
    assert balancers.needs_cleanup(service(metadata=held, type="ClusterIP"))
    assert not balancers.needs_cleanup(service(metadata=held))
    assert not balancers.needs_cleanup(service(metadata=deleted, loadBalancerClass="example.com/lb"))
    assert not balancers.needs_cleanup(service(type="ClusterIP"))


def test_a_finalizer_on_a_service_of_anothers_class_is_ours_if_nobody_else_has_put_it() -> None:
    fields: Obj = {"f:metadata": {"f:finalizers": {".": {}, f'v:"{FINALIZER}"': {}}}}

    def held(*managers: str) -> dict[str, Any]:
        entries = [{"manager": each, "fieldsV1": fields} for each in managers]
        other = {"manager": "kubectl", "fieldsV1": {"f:spec": {"f:type": {}}}}
        metadata = {"finalizers": [FINALIZER], "managedFields": [*entries, other]}
        return dict(balancers.read(service(metadata=metadata, loadBalancerClass="example.com/lb")))

    assert balancers.needs_cleanup(held("wellhead-cloud"))
    assert not balancers.needs_cleanup(held("another"))
    assert not balancers.needs_cleanup(held("wellhead-cloud", "another"))
    assert not balancers.needs_cleanup(held())


def test_a_status_without_ip_mode_publishes_a_forwarders_vip_and_a_proxy_has_a_mode_of_its_own() -> None:
    vip = ip_address("203.0.113.7")
    for mode, other in (("VIP", "Proxy"), ("Proxy", "VIP")):
        obj = service() | {"status": balancers.status([vip], mode)}
        assert balancers.publishes(obj, [vip], mode)
        assert not balancers.publishes(obj, [vip], other)
    bare = service() | {"status": {"loadBalancer": {"ingress": [{"ip": str(vip)}]}}}
    assert balancers.publishes(bare, [vip], "VIP")
    assert not balancers.publishes(bare, [vip], "Proxy")
    assert not balancers.publishes(service(), [vip], "VIP")
    assert balancers.published_vips({"status": {"loadBalancer": {"ingress": [{"hostname": "lb"}]}}}) == []


def test_the_class_decides_the_ip_mode() -> None:
    assert balancers.request(service()).ip_mode == "VIP"
    proxied = balancers.request(service(loadBalancerClass="wellhead.dev/proxy"))
    assert (proxied.ip_mode, proxied.load_balancer_class) == ("Proxy", "wellhead.dev/proxy")


def test_a_node_counts_by_its_internal_ip_whether_ready_or_not() -> None:
    assert balanced_node(node()) == BalancedNode(
        "node-1", (IPv6Address("fd00:10:240::11"), IPv4Address("10.240.0.11")), excluded=False
    )
    assert balanced_node({"metadata": {"name": "new"}, "status": {}}) is None
    bare = balanced_node(node(address="not-yet"))
    assert bare is not None
    assert bare.addresses == (IPv6Address("fd00:10:240::11"),)


@pytest.mark.parametrize(
    ("labels", "taints", "excluded"),
    [
        ({"node.kubernetes.io/exclude-from-external-load-balancers": ""}, (), True),
        ({"node.kubernetes.io/exclude-from-external-load-balancers": "true"}, (), True),
        ({"node.kubernetes.io/exclude-from-external-load-balancers": "false"}, (), False),
        ({}, ("ToBeDeletedByClusterAutoscaler",), True),
        ({}, ("node.kubernetes.io/unreachable",), False),
    ],
)
def test_excluded_nodes(labels: dict[str, str], taints: tuple[str, ...], excluded: bool) -> None:
    found = balanced_node(node(labels=labels, taints=taints))
    assert found is not None
    assert found.excluded is excluded
