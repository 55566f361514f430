"""What load balancers in front of the nodes do with sources."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.paths.objects import (
    CLIENT,
    CLUSTER,
    FLANNEL,
    LOCAL,
    NODES,
    ONE,
    TWO,
    codes,
    daemon_set,
    endpoints,
    kind,
    kube_proxy,
    node,
    outcomes,
    pod,
    report,
    seen,
    service,
    way,
    world,
)

VIP = [{"ip": "198.18.5.5", "ipMode": "VIP"}]


def balanced(
    policy: dict[str, Any], *, annotations: dict[str, str] | None = None, ingress: Any = None, **spec: Any
) -> dict[str, Any]:
    return service(
        type="LoadBalancer",
        annotations=annotations or {},
        ingress=VIP if ingress is None else ingress,
        **policy,
        **spec,
    )


L2 = [
    kind("L2Advertisement", name="all", namespace="metallb-system", spec={}),
    kind(
        "ServiceL2Status",
        name="l2-x",
        namespace="metallb-system",
        status={"node": "lima", "serviceName": "api", "serviceNamespace": "team"},
    ),
]


def test_metallb_in_layer_2_comes_in_by_the_node_that_announces() -> None:
    cluster = world(NODES, FLANNEL, L2, kube_proxy(), balanced(CLUSTER), TWO)
    found = outcomes(cluster, "198.18.5.5:80")
    assert seen(found) == {"node lima 10.50.2.0": 0.5, "node lima 10.50.2.1": 0.5}
    assert {each.enters for each in found} == {"lima"}


def test_under_local_only_the_announcing_nodes_endpoints_are_used() -> None:
    cluster = world(NODES, FLANNEL, L2, kube_proxy(), balanced(LOCAL), TWO)
    found = report(cluster, "198.18.5.5:80", CLIENT)
    assert seen(found.ways[0].outcomes) == {f"client {CLIENT}": 1.0}
    assert found.ways[0].outcomes[0].endpoint == "10.50.2.5:8080"
    assert "LocalUneven" in {each.code.value for each in found.warnings}


def test_metallb_moves_the_announcement_to_a_node_with_endpoints_under_local() -> None:
    cluster = world(NODES, FLANNEL, L2, kube_proxy(), balanced(LOCAL), ONE)
    assert {each.enters for each in outcomes(cluster, "198.18.5.5:80")} == {"oslo"}


def test_without_knowing_who_announces_every_node_may() -> None:
    cluster = world(NODES, FLANNEL, L2[:1], kube_proxy(), balanced(CLUSTER), ONE)
    found = outcomes(cluster, "198.18.5.5:80")
    assert ({each.enters for each in found}, "AmbiguousIngressNode" in codes(found)) == (
        {"oslo", "lima", "cairo"},
        True,
    )
    assert {each.enters for each in outcomes(cluster, "198.18.5.5:80", node="cairo")} == {"cairo"}


def test_bgp_spreads_over_the_nodes_with_endpoints_under_local() -> None:
    bgp = kind("BGPAdvertisement", name="all", namespace="metallb-system", spec={})
    cluster = world(NODES, FLANNEL, bgp, kube_proxy(), balanced(LOCAL), TWO)
    assert {each.enters: each.share for each in outcomes(cluster, "198.18.5.5:80")} == {
        "oslo": 0.5,
        "lima": 0.5,
    }


def test_pods_take_the_short_cut_to_a_vip_and_are_masqueraded_under_cluster_alone() -> None:
    for policy, expected in ((CLUSTER, {"node cairo 10.50.3.0": 1.0}), (LOCAL, {"client 10.50.3.20": 1.0})):
        cluster = world(NODES, FLANNEL, L2, kube_proxy(), balanced(policy), TWO)
        assert seen(outcomes(cluster, "198.18.5.5:80", "10.50.3.20")) == expected


K3S = [node("oslo", 1, version="v1.34.1+k3s1"), node("lima", 2, version="v1.34.1+k3s1")]
SVCLB = [
    pod(
        f"svclb-api-{where}",
        f"10.50.{number}.3",
        where,
        image="example/klipper-lb:v0.4",
        namespace="kube-system",
        labels={
            "svccontroller.k3s.cattle.io/svcname": "api",
            "svccontroller.k3s.cattle.io/svcnamespace": "team",
        },
        ports=[{"containerPort": 80, "hostPort": 80}],
    )
    for number, where in ((1, "oslo"), (2, "lima"))
]
ON_NODES = [{"ip": "10.9.0.1", "ipMode": "VIP"}, {"ip": "10.9.0.2", "ipMode": "VIP"}]


def test_k3s_status_addresses_are_kube_proxys_and_others_the_service_lbs() -> None:
    for policy, at_status in ((CLUSTER, "node oslo 10.50.1.1"), (LOCAL, f"client {CLIENT}")):
        cluster = world(K3S, SVCLB, kube_proxy(), balanced(policy, ingress=ON_NODES), ONE)
        assert seen(outcomes(cluster, "10.9.0.1:80")) == {at_status: 1.0}
        found = outcomes(cluster, "172.27.1.1:80", node="oslo")
        assert (seen(found), "ServiceLBPodRewrites" in codes(found)) == (
            {"pod kube-system/svclb-api-oslo 10.50.1.3": 1.0},
            True,
        )


def test_k3s_with_an_external_ip_in_status_comes_in_by_the_service_lb() -> None:
    nodes = [node("oslo", 1, version="v1.34.1+k3s1", external="198.18.9.1"), K3S[1]]
    cluster = world(nodes, SVCLB, kube_proxy(), balanced(LOCAL, ingress=[{"ip": "198.18.9.1"}]), ONE)
    assert seen(outcomes(cluster, "198.18.9.1:80")) == {"pod kube-system/svclb-api-oslo 10.50.1.3": 1.0}


NLB = "service.beta.kubernetes.io/aws-load-balancer-"
EKS = [node("oslo", 1, pods="", provider="aws"), node("lima", 2, pods="", provider="aws")]
EKS_REST = [daemon_set("aws-node", "example/amazon-k8s-cni:v1"), kube_proxy(clusterCIDR='""')]
NAMED = [{"hostname": "api-1.elb.example.com"}]


def nlb(policy: dict[str, Any], **annotations: str) -> dict[str, Any]:
    found = {NLB + key.replace("_", "-"): value for key, value in annotations.items()}
    return balanced(policy, annotations=found, ingress=NAMED, loadBalancerClass="service.k8s.aws/nlb")


VPC_POD = endpoints(("10.9.0.77", "oslo"))


@pytest.mark.parametrize(
    ("annotations", "policy", "expected"),
    [
        ({"nlb_target_type": "ip"}, LOCAL, {"balancer ?": 1.0}),
        (
            {"nlb_target_type": "ip", "target_group_attributes": "preserve_client_ip.enabled=true"},
            CLUSTER,
            {f"client {CLIENT}": 1.0},
        ),
        ({"nlb_target_type": "instance"}, CLUSTER, {"node oslo 10.9.0.1": 0.5, "node lima 10.9.0.2": 0.5}),
        ({"nlb_target_type": "instance"}, LOCAL, {f"client {CLIENT}": 1.0}),
        ({}, LOCAL, {f"client {CLIENT}": 1.0}),
        (
            {"nlb_target_type": "instance", "target_group_attributes": "preserve_client_ip.enabled=false"},
            LOCAL,
            {"balancer ?": 1.0},
        ),
    ],
)
def test_network_load_balancers_by_target_type_and_preservation(
    annotations: dict[str, str], policy: dict[str, Any], expected: dict[str, float]
) -> None:
    cluster = world(EKS, EKS_REST, nlb(policy, **annotations), VPC_POD)
    assert seen(outcomes(cluster, "svc/api")) == expected


def test_provider_defaults_are_said_to_be_assumed() -> None:
    assert "AssumesPreserveClientIPOff" in codes(
        outcomes(world(EKS, EKS_REST, nlb(LOCAL, nlb_target_type="ip"), VPC_POD), "svc/api")
    )
    assert "AssumesPreserveClientIPOn" in codes(
        outcomes(world(EKS, EKS_REST, nlb(LOCAL), VPC_POD), "svc/api")
    )


@pytest.mark.parametrize(("scheme", "expected"), [("internal", "dropped"), ("internet-facing", "unknown")])
def test_a_preserving_balancer_has_no_way_back_to_the_sender(scheme: str, expected: str) -> None:
    asked = nlb(
        LOCAL, nlb_target_type="ip", target_group_attributes="preserve_client_ip.enabled=true", scheme=scheme
    )
    cluster = world(EKS, EKS_REST, asked, VPC_POD, pod("shell", "10.9.0.78", "oslo"))
    assert seen(outcomes(cluster, "svc/api", "pod/shell")) == {expected: 1.0}


def test_udp_is_preserved_for_targets_of_type_ip() -> None:
    asked = nlb(LOCAL, nlb_target_type="ip")
    asked["spec"]["ports"][0]["protocol"] = "UDP"
    cluster = world(EKS, EKS_REST, asked, endpoints(("10.9.0.77", "oslo"), protocol="UDP"))
    assert seen(outcomes(cluster, "svc/api")) == {f"client {CLIENT}": 1.0}


def test_classic_load_balancers_end_connections() -> None:
    asked = balanced(
        LOCAL,
        annotations={NLB + "proxy-protocol": "*"},
        ingress=[{"hostname": "a1b2.eu-west-1.elb.amazonaws.com"}],
    )
    found = outcomes(world(EKS, EKS_REST, asked, VPC_POD), "svc/api")
    assert seen(found) == {"balancer ?": 1.0}
    assert [(each.form, each.address) for each in found[0].forwarded] == [("PROXY protocol v1", CLIENT)]


CLOUD_PROXIES = [
    ("digitalocean", "service.beta.kubernetes.io/do-loadbalancer-enable-proxy-protocol"),
    ("hcloud", "load-balancer.hetzner.cloud/uses-proxyprotocol"),
    ("linode", "service.beta.kubernetes.io/linode-loadbalancer-default-proxy-protocol"),
    ("scaleway", "service.beta.kubernetes.io/scw-loadbalancer-proxy-protocol-v2"),
    ("vultr", "service.beta.kubernetes.io/vultr-loadbalancer-proxy-protocol"),
    ("openstack", "loadbalancer.openstack.org/proxy-protocol"),
]


@pytest.mark.parametrize(("provider", "annotation"), CLOUD_PROXIES)
def test_clouds_whose_balancers_are_proxies(provider: str, annotation: str) -> None:
    nodes = [node("oslo", 1, provider=provider), node("lima", 2, provider=provider)]
    plain = world(nodes, FLANNEL, kube_proxy(), balanced(LOCAL, ingress=[{"ip": "198.18.5.5"}]), ONE)
    found = report(plain, "198.18.5.5:80", CLIENT)
    assert seen(found.ways[0].outcomes) == {"balancer ?": 1.0}
    assert "IPModeMissing" in {each.code.value for each in found.warnings}
    told = world(nodes, FLANNEL, kube_proxy(), balanced(LOCAL, annotations={annotation: "true"}), ONE)
    forms = outcomes(told, "198.18.5.5:80")[0].forwarded
    assert [each.form.startswith("PROXY protocol") for each in forms] == [True]
    cluster = world(nodes, FLANNEL, kube_proxy(), balanced(CLUSTER), ONE)
    assert seen(outcomes(cluster, "198.18.5.5:80")) == {
        "node oslo 10.50.1.1": 0.5,
        "node lima 10.50.2.0": 0.5,
    }


def test_octavia_may_be_two_things() -> None:
    cluster = world([node("oslo", 1, provider="openstack")], kube_proxy(), balanced(LOCAL), ONE)
    assert "AmbiguousBalancer" in codes(outcomes(cluster, "198.18.5.5:80"))


@pytest.mark.parametrize("provider", ["azure", "gce", "alicloud"])
def test_clouds_whose_balancers_keep_the_source(provider: str) -> None:
    nodes = [node("oslo", 1, provider=provider), node("lima", 2, provider=provider)]
    cluster = world(nodes, kube_proxy(), balanced(LOCAL), ONE)
    assert seen(outcomes(cluster, "198.18.5.5:80")) == {f"client {CLIENT}": 1.0}
    assert next(
        iter(seen(outcomes(world(nodes, kube_proxy(), balanced(CLUSTER), ONE), "198.18.5.5:80")))
    ).startswith("node")


def test_digitaloceans_network_load_balancers_keep_the_source() -> None:
    kept = {"service.beta.kubernetes.io/do-loadbalancer-type": "REGIONAL_NETWORK"}
    cluster = world(
        [node("oslo", 1, provider="digitalocean")], kube_proxy(), balanced(LOCAL, annotations=kept), ONE
    )
    assert seen(outcomes(cluster, "198.18.5.5:80")) == {f"client {CLIENT}": 1.0}


def test_ip_mode_proxy_leads_pods_through_the_balancer() -> None:
    nodes = [node("oslo", 1, provider="hcloud"), node("lima", 2, provider="hcloud")]
    cluster = world(
        nodes, FLANNEL, kube_proxy(), balanced(LOCAL, ingress=[{"ip": "198.18.5.5", "ipMode": "Proxy"}]), ONE
    )
    assert seen(outcomes(cluster, "198.18.5.5:80", "10.50.1.9")) == {"balancer ?": 1.0}
    bypassed = world(nodes, FLANNEL, kube_proxy(), balanced(LOCAL), ONE)
    assert seen(outcomes(bypassed, "198.18.5.5:80", "10.50.1.9")) == {"client 10.50.1.9": 1.0}


def test_a_balancer_that_nobody_knows_is_unknown_where_it_matters() -> None:
    strange = balanced(LOCAL, loadBalancerClass="example.com/magic")
    found = report(world(NODES, kube_proxy(), strange, ONE), "198.18.5.5:80", CLIENT)
    assert seen(found.ways[0].outcomes) == {"unknown": 1.0}
    assert [(each.name, each.known) for each in found.parties if each.role == "balancer"] == [
        ("load balancer of class example.com/magic", False)
    ]
    alike = world(NODES, FLANNEL, kube_proxy(), balanced(CLUSTER, loadBalancerClass="example.com/magic"), ONE)
    assert set(seen(outcomes(alike, "198.18.5.5:80"))) == {
        "node oslo 10.50.1.1",
        "node lima 10.50.2.0",
        "node cairo 10.50.3.0",
    }


def test_a_pending_balancer_leads_nowhere() -> None:
    found = way(world(NODES, kube_proxy(), balanced(LOCAL, ingress=[]), ONE), "LoadBalancerIP")
    assert (seen(found.outcomes), found.address) == ({"unreachable": 1.0}, "<pending>")
    assert "BalancerPending" in codes(found.outcomes)


def test_local_without_any_ready_endpoint_fails_every_health_check() -> None:
    gone = endpoints(("10.50.1.5", "oslo"), conditions={"ready": False, "serving": False})
    cluster = world([node("oslo", 1, provider="gce")], kube_proxy(), balanced(LOCAL), gone)
    assert seen(outcomes(cluster, "198.18.5.5:80")) == {"unreachable": 1.0}


def test_wellheads_two_balancers() -> None:
    nodes = [
        node("oslo", 1, version="v1.37.1+wellhead-0.1.0"),
        node("lima", 2, version="v1.37.1+wellhead-0.1.0"),
    ]
    forwarded = world(nodes, balanced(LOCAL), ONE)
    assert seen(outcomes(forwarded, "198.18.5.5:80")) == {f"client {CLIENT}": 1.0}
    proxied = balanced(
        LOCAL,
        annotations={"wellhead.dev/client-ip": "x-forwarded-for"},
        ingress=[{"ip": "198.18.5.5", "ipMode": "Proxy"}],
        loadBalancerClass="wellhead.dev/proxy",
    )
    found = outcomes(world(nodes, proxied, ONE), "198.18.5.5:80")
    assert (seen(found), found[0].forwarded[0].address) == ({"balancer ?": 1.0}, CLIENT)


@pytest.mark.parametrize(("ranges", "refused"), [("198.18.0.0/16", True), ("0.0.0.0/0", False), ("", False)])
def test_wellheads_proxy_heeds_source_ranges_by_annotation(ranges: str, refused: bool) -> None:
    proxied = balanced(
        LOCAL,
        annotations={"service.beta.kubernetes.io/load-balancer-source-ranges": ranges},
        ingress=[{"ip": "198.18.5.5", "ipMode": "Proxy"}],
        loadBalancerClass="wellhead.dev/proxy",
    )
    found = outcomes(
        world([node("oslo", 1, version="v1.37.1+wellhead-0.1.0")], proxied, ONE), "198.18.5.5:80"
    )
    assert ("SourceRangesDrop" in codes(found)) is refused


def test_kube_vip_names_the_node_that_has_the_address() -> None:
    asked = balanced(CLUSTER, annotations={"kube-vip.io/vipHost": "cairo"})
    cluster = world(
        NODES, FLANNEL, daemon_set("kube-vip-ds", "example/kube-vip:v0.8"), kube_proxy(), asked, ONE
    )
    assert seen(outcomes(cluster, "198.18.5.5:80")) == {"node cairo 10.50.3.0": 1.0}


def test_nodes_that_are_excluded_from_load_balancers_get_nothing() -> None:
    out = node(
        "lima", 2, labels={"node.kubernetes.io/exclude-from-external-load-balancers": ""}, provider="gce"
    )
    cluster = world([node("oslo", 1, provider="gce"), out], kube_proxy(), balanced(CLUSTER), TWO)
    assert {each.enters for each in outcomes(cluster, "198.18.5.5:80")} == {"oslo"}
