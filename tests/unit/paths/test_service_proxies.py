"""What service proxies do with sources: kube-proxy in its modes and versions, and those that replace it."""

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
    config_map,
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
from wellhead.paths.explain import Question
from wellhead.paths.report import explain
from wellhead.paths.way import Disposition
from wellhead.paths.world import Decoded, World

VIP = [{"ip": "198.18.5.5", "ipMode": "VIP"}]


def balancer(**spec: Any) -> dict[str, Any]:
    return service(type="LoadBalancer", ingress=VIP, **spec)


def test_cluster_policy_shows_the_address_of_the_interface_towards_the_endpoint() -> None:
    cluster = world(NODES, FLANNEL, kube_proxy(), service(type="NodePort", **CLUSTER), TWO)
    assert seen(outcomes(cluster, "10.9.0.1:31000")) == {
        "node oslo 10.50.1.1": 0.5,
        "node oslo 10.50.1.0": 0.5,
    }
    assert seen(outcomes(cluster, "10.9.0.3:31000")) == {"node cairo 10.50.3.0": 1.0}


def test_an_unknown_network_leaves_the_address_of_the_node_open() -> None:
    cluster = world(NODES, kube_proxy(), service(type="NodePort", **CLUSTER), ONE)
    found = outcomes(cluster, "10.9.0.2:31000")
    assert seen(found) == {"node lima ?": 1.0}
    assert "UnknownNodeAddress" in codes(found)


def test_local_policy_shows_the_client_or_drops() -> None:
    cluster = world(NODES, FLANNEL, kube_proxy(), service(type="NodePort", **LOCAL), ONE)
    assert seen(outcomes(cluster, "10.9.0.1:31000")) == {f"client {CLIENT}": 1.0}
    assert seen(outcomes(cluster, "10.9.0.2:31000")) == {"dropped": 1.0}
    assert "LocalPolicyDrops" in codes(outcomes(cluster, "10.9.0.2:31000"))


def test_under_local_a_nodes_own_traffic_goes_everywhere_masqueraded_and_its_pods_keep_their_source() -> None:
    cluster = world(NODES, FLANNEL, kube_proxy(), service(type="NodePort", **LOCAL), ONE)
    assert seen(outcomes(cluster, "10.9.0.2:31000", "node/lima")) == {"node lima 10.50.2.0": 1.0}
    assert seen(outcomes(cluster, "10.9.0.2:31000", "10.50.2.77")) == {"client 10.50.2.77": 1.0}


def test_without_a_ready_endpoint_it_is_refused() -> None:
    gone = endpoints(("10.50.1.5", "oslo"), conditions={"ready": False, "serving": False})
    cluster = world(NODES, kube_proxy(), service(type="NodePort", **LOCAL), gone)
    assert seen(outcomes(cluster, "10.9.0.1:31000")) == {"refused": 1.0}


def test_a_remote_nodes_pod_loses_the_reply_in_mode_cluster_cidr() -> None:
    plain = [
        *NODES,
        service(type="NodePort", **LOCAL),
        endpoints(("10.50.3.5", "cairo")),
        pod("shell", "10.50.1.40", "oslo"),
    ]
    by_cidr, by_node = world(plain, kube_proxy()), world(plain, kube_proxy(detectLocalMode="NodeCIDR"))
    found = outcomes(by_cidr, "10.9.0.2:31000", "pod/shell")
    assert (seen(found), "ReplyBypassesIngressNode" in codes(found)) == ({"dropped": 1.0}, True)
    found = outcomes(by_node, "10.9.0.2:31000", "pod/shell")
    assert (seen(found), "LocalPolicyDrops" in codes(found)) == ({"dropped": 1.0}, True)
    for cluster in (by_cidr, by_node):
        assert seen(outcomes(cluster, "10.9.0.1:31000", "pod/shell")) == {"client 10.50.1.40": 1.0}
        assert seen(outcomes(cluster, "10.9.0.3:31000", "pod/shell")) == {"client 10.50.1.40": 1.0}


def test_a_cluster_ip_masquerades_everybody_who_is_no_pod_whatever_the_external_policy() -> None:
    announced = kind("BGPConfiguration", spec={"serviceClusterIPs": [{"cidr": "10.60.0.0/16"}]})
    cluster = world(NODES, FLANNEL, kube_proxy(), announced, service(type="NodePort", **LOCAL), ONE)
    found = outcomes(cluster, "10.60.0.1:80")
    assert seen(found) == {
        "node oslo 10.50.1.1": 0.333,
        "node lima 10.50.2.0": 0.333,
        "node cairo 10.50.3.0": 0.333,
    }
    assert "AmbiguousIngressNode" in codes(found)
    assert seen(outcomes(cluster, "10.60.0.1:80", node="lima")) == {"node lima 10.50.2.0": 1.0}
    assert seen(outcomes(cluster, "10.60.0.1:80", "10.50.2.9")) == {"client 10.50.2.9": 1.0}


def test_a_pod_outside_of_the_cluster_cidr_is_masqueraded() -> None:
    cluster = world(NODES, FLANNEL, kube_proxy(clusterCIDR="10.51.0.0/16"), service(), ONE)
    assert seen(outcomes(cluster, "10.60.0.1:80", "10.50.2.9")) == {"node lima 10.50.2.0": 1.0}


def test_masquerade_all_hides_pods() -> None:
    cluster = world(NODES, FLANNEL, kube_proxy(iptables="{masqueradeAll: true}"), service(), ONE)
    found = outcomes(cluster, "10.60.0.1:80", "10.50.2.9")
    assert (seen(found), "MasqueradeAll" in codes(found)) == ({"node lima 10.50.2.0": 1.0}, True)


def test_a_pod_that_reaches_itself_is_masqueraded() -> None:
    cluster = world(NODES, FLANNEL, kube_proxy(), service(), ONE, pod("api-1", "10.50.1.5", "oslo"))
    found = outcomes(cluster, "10.60.0.1:80", "pod/api-1")
    assert (seen(found), "Hairpin" in codes(found)) == ({"node oslo 10.50.1.1": 1.0}, True)


def test_internal_policy_local_uses_this_nodes_endpoints_only() -> None:
    cluster = world(NODES, kube_proxy(), service(internalTrafficPolicy="Local"), ONE)
    assert seen(outcomes(cluster, "10.60.0.1:80", "10.50.1.9")) == {"client 10.50.1.9": 1.0}
    assert seen(outcomes(cluster, "10.60.0.1:80", "10.50.2.9")) == {"dropped": 1.0}


@pytest.mark.parametrize(
    ("source", "expected"), [("203.0.113.9", "client 203.0.113.9"), ("203.0.113.200", "dropped")]
)
def test_source_ranges_guard_load_balancer_addresses(source: str, expected: str) -> None:
    ranges = balancer(loadBalancerSourceRanges=["203.0.113.0/25"], **LOCAL)
    cluster = world(NODES, kube_proxy(), ranges, ONE)
    assert seen(outcomes(cluster, "198.18.5.5:80", source)) == {expected: 1.0}
    assert seen(outcomes(cluster, "10.9.0.1:31000", source)) == {f"client {source}": 1.0}


def test_a_host_network_endpoint_on_the_ingress_node_keeps_the_source_under_cluster() -> None:
    """What a node delivers to itself never passes POSTROUTING."""
    cluster = world(NODES, kube_proxy(), service(type="NodePort", **CLUSTER), endpoints(("10.9.0.1", "oslo")))
    found = outcomes(cluster, "10.9.0.1:31000")
    assert (seen(found), "LocalDelivery" in codes(found)) == ({f"client {CLIENT}": 1.0}, True)
    assert seen(outcomes(cluster, "10.9.0.2:31000")) == {"node lima 10.9.0.2": 1.0}


@pytest.mark.parametrize(
    ("version", "gates", "kept"),
    [
        ("v1.17.4", "", False),
        ("v1.18.0", "", False),
        ("v1.19.0", "", True),
        ("v1.18.0", "{ExternalPolicyForExternalIP: true}", True),
    ],
)
def test_external_ips_before_1_19_ignore_local(version: str, gates: str, kept: bool) -> None:
    nodes = [node("oslo", 1, version=version), node("lima", 2, version=version)]
    settings = {"featureGates": gates} if gates else {}
    cluster = world(
        nodes,
        FLANNEL,
        kube_proxy(**settings),
        service(type="NodePort", externalIPs=["192.0.2.77"], **LOCAL),
        ONE,
    )
    expected = (
        {f"client {CLIENT}": 0.5, "dropped": 0.5}
        if kept
        else {"node oslo 10.50.1.1": 0.5, "node lima 10.50.2.0": 0.5}
    )
    assert seen(outcomes(cluster, "192.0.2.77:80")) == expected
    assert seen(outcomes(cluster, "10.9.0.1:31000")) == {f"client {CLIENT}": 1.0}
    if kept:
        assert seen(outcomes(cluster, "192.0.2.77:80", "10.50.2.9")) == {"client 10.50.2.9": 1.0}


def test_ipvs_without_a_local_endpoint_forwards_and_the_reply_is_lost() -> None:
    cluster = world(NODES, kube_proxy(mode="ipvs"), service(type="NodePort", **LOCAL), ONE)
    found = outcomes(cluster, "10.9.0.2:31000")
    assert (seen(found), "IpvsLocalFallback" in codes(found)) == ({"dropped": 1.0}, True)
    assert seen(outcomes(cluster, "10.9.0.1:31000")) == {f"client {CLIENT}": 1.0}


def test_before_1_30_ip_mode_proxy_is_not_understood() -> None:
    proxied = service(type="LoadBalancer", ingress=[{"ip": "198.18.5.5", "ipMode": "Proxy"}], **CLUSTER)
    for version, short_cut in (("v1.28.0", True), ("v1.31.0", False)):
        cluster = world([node("oslo", 1, version=version)], FLANNEL, kube_proxy(), proxied, ONE)
        found = outcomes(cluster, "198.18.5.5:80", "10.50.1.9")
        assert ("InsideToExternalMasqueraded" in codes(found)) is short_cut


def test_dual_stack_answers_by_family() -> None:
    nodes = [node("oslo", 1), node("lima", 2)]
    for each, number in zip(nodes, (1, 2), strict=True):
        each["spec"]["podCIDRs"].append(f"fd00:50:{number}::/64")
        each["status"]["addresses"].append({"type": "InternalIP", "address": f"fd00:9::{number}"})
    both = service(
        type="NodePort", clusterIPs=["10.60.0.1", "fd00:60::1"], ipFamilies=["IPv4", "IPv6"], **LOCAL
    )
    six = endpoints(("fd00:50:2::5", "lima"))
    six["metadata"]["name"] = "api-6"
    cluster = world(nodes, kube_proxy(clusterCIDR="10.50.0.0/16,fd00:50::/32"), both, ONE, six)
    assert seen(outcomes(cluster, "10.9.0.1:31000")) == {f"client {CLIENT}": 1.0}
    assert seen(outcomes(cluster, "[fd00:9::1]:31000", "2001:db8:9::9")) == {"dropped": 1.0}
    assert seen(outcomes(cluster, "[fd00:9::2]:31000", "2001:db8:9::9")) == {"client 2001:db8:9::9": 1.0}
    assert seen(outcomes(cluster, "[fd00:60::1]:80", "fd00:50:1::7")) == {"client fd00:50:1::7": 1.0}


CILIUM = {
    "kube-proxy-replacement": "true",
    "routing-mode": "native",
    "ipv4-native-routing-cidr": "10.50.0.0/16",
}


@pytest.mark.parametrize(
    ("mode", "protocol", "expected"),
    [
        ("snat", "TCP", {f"client {CLIENT}": 0.5, "node oslo 10.9.0.1": 0.5}),
        ("dsr", "TCP", {f"client {CLIENT}": 1.0}),
        ("hybrid", "TCP", {f"client {CLIENT}": 1.0}),
        ("hybrid", "UDP", {f"client {CLIENT}": 0.5, "node oslo 10.9.0.1": 0.5}),
    ],
)
def test_cilium_keeps_the_source_towards_its_own_endpoints_and_by_dsr(
    mode: str, protocol: str, expected: dict[str, float]
) -> None:
    both = endpoints(("10.50.1.5", "oslo"), ("10.50.2.5", "lima"), protocol=protocol)
    config = config_map("cilium-config", **CILIUM, **{"bpf-lb-mode": mode})
    cluster = world(NODES, config, service(type="NodePort", protocol=protocol, **CLUSTER), both)
    assert seen(outcomes(cluster, "10.9.0.1:31000")) == expected


def test_cilium_decides_at_connect_for_pods_wherever_the_node_port_is() -> None:
    config = config_map("cilium-config", **CILIUM)
    cluster = world(NODES, config, service(type="NodePort", **LOCAL), ONE)
    found = outcomes(cluster, "10.9.0.2:31000", "10.50.3.9")
    assert (seen(found), "SocketLoadBalanced" in codes(found)) == ({"client 10.50.3.9": 1.0}, True)
    assert seen(outcomes(cluster, "10.9.0.2:31000")) == {"dropped": 1.0}


def test_cilium_in_a_tunnel_shows_cilium_hosts_address() -> None:
    config = config_map("cilium-config", **(CILIUM | {"routing-mode": "tunnel"}))
    host = kind(
        "CiliumNode", name="lima", spec={"addresses": [{"type": "CiliumInternalIP", "ip": "10.50.2.200"}]}
    )
    cluster = world(NODES, config, host, service(type="NodePort", **CLUSTER), ONE)
    assert seen(outcomes(cluster, "10.9.0.2:31000")) == {"node lima 10.50.2.200": 1.0}
    assert seen(outcomes(cluster, "10.9.0.3:31000")) == {"node cairo ?": 1.0}


def test_cilium_serves_cluster_ips_to_nobody_outside_unless_told_to() -> None:
    announced = kind("BGPConfiguration", spec={"serviceClusterIPs": [{"cidr": "10.60.0.0/16"}]})
    cluster = world(NODES, config_map("cilium-config", **CILIUM), announced, service(), ONE)
    assert seen(outcomes(cluster, "10.60.0.1:80")) == {"dropped": 1.0}


def test_without_replacement_ciliums_clusters_have_kube_proxy() -> None:
    config = config_map("cilium-config", **(CILIUM | {"kube-proxy-replacement": "false"}))
    cluster = world(NODES, config, kube_proxy(), service(type="NodePort", **CLUSTER), ONE)
    assert "ClusterPolicyMasquerades" in codes(outcomes(cluster, "10.9.0.2:31000"))


def test_calicos_ebpf_data_plane_keeps_every_source() -> None:
    pool = kind("IPPool", name="pods", spec={"cidr": "10.50.0.0/16", "natOutgoing": True})
    felix = kind("FelixConfiguration", spec={"bpfEnabled": True})
    cluster = world(NODES, pool, felix, kube_proxy(), service(type="NodePort", **CLUSTER), ONE)
    assert seen(outcomes(cluster, "10.9.0.3:31000")) == {f"client {CLIENT}": 1.0}
    assert seen(outcomes(cluster, "10.60.0.1:80", node="lima")) == {f"client {CLIENT}": 1.0}


def test_kube_router_masquerades_only_towards_other_nodes() -> None:
    daemon = daemon_set(
        "kube-router", "example/kube-router:v2", "--run-service-proxy=true", "--run-router=true"
    )
    cluster = world(NODES, daemon, service(type="NodePort", **CLUSTER), TWO)
    assert seen(outcomes(cluster, "10.9.0.1:31000")) == {f"client {CLIENT}": 0.5, "node oslo 10.9.0.1": 0.5}
    direct = service(
        type="LoadBalancer", ingress=VIP, annotations={"kube-router.io/service.dsr": "tunnel"}, **CLUSTER
    )
    cluster = world(NODES, daemon, direct, TWO)
    assert seen(outcomes(cluster, "198.18.5.5:80")) == {f"client {CLIENT}": 1.0}


def test_a_proxy_that_nobody_knows_is_unknown_by_name() -> None:
    cluster = world(
        NODES, daemon_set("ovnkube-node", "example/ovn:1"), service(type="NodePort", **LOCAL), ONE
    )
    found = outcomes(cluster, "10.9.0.1:31000")
    assert (seen(found), "UnknownProxy" in codes(found)) == ({"unknown": 1.0}, True)


@pytest.mark.parametrize(("config", "mode"), [("", "iptables (assumed)"), ("mode: nftables", "nftables")])
def test_a_mode_that_nothing_tells_is_told_as_assumed(config: str, mode: str) -> None:
    told = [config_map("wellhead-proxy", **{"config.conf": config})] if config else []
    cluster = world([node("oslo", 1, version="v1.37.1+wellhead-0.1.0")], told, service(**CLUSTER), ONE)
    found = report(cluster)
    assert [each.facts["mode"] for each in found.parties if each.name == "wellhead proxy"] == [mode]


def test_wellheads_proxy_keeps_the_client_under_cluster_when_asked() -> None:
    daemon = daemon_set("wellhead-proxy", "wellhead-proxy:0.1.0", "proxy")
    asked = service(type="NodePort", annotations={"wellhead.dev/preserve-client-ip": "true"}, **CLUSTER)
    cluster = world(NODES, daemon, asked, TWO)
    found = outcomes(cluster, "10.9.0.3:31000")
    assert (seen(found), "SymmetricReturn" in codes(found)) == ({f"client {CLIENT}": 1.0}, True)
    plain = world(NODES, daemon, service(type="NodePort", **CLUSTER), TWO)
    assert seen(outcomes(plain, "10.9.0.3:31000")) == {"node cairo ?": 1.0}
    inside = outcomes(cluster, "10.9.0.3:31000", "node/lima")
    assert seen(inside) == {"node cairo ?": 1.0}


def test_nodes_that_do_not_announce_symmetric_return_are_masqueraded_to() -> None:
    announcing = node("lima", 2, annotations={"wellhead.dev/symmetric-return": '{"version":1}'})
    daemon = daemon_set("wellhead-proxy", "wellhead-proxy:0.1.0", "proxy")
    asked = service(type="NodePort", annotations={"wellhead.dev/preserve-client-ip": "true"}, **CLUSTER)
    cluster = world([NODES[0], announcing, NODES[2]], daemon, asked, TWO)
    assert seen(outcomes(cluster, "10.9.0.3:31000")) == {f"client {CLIENT}": 0.5, "node cairo ?": 0.5}


def test_a_network_that_masquerades_defeats_preserve_client_ip_unless_sources_are_claimed() -> None:
    daemon = daemon_set("wellhead-proxy", "wellhead-proxy:0.1.0", "proxy", "--source-claims=none")
    asked = service(type="NodePort", annotations={"wellhead.dev/preserve-client-ip": "true"}, **CLUSTER)
    cluster = world(NODES, FLANNEL, daemon, asked, TWO)
    found = outcomes(cluster, "10.9.0.3:31000")
    assert (seen(found), "NetworkMasqueradesInbound" in codes(found)) == ({"node cairo 10.50.3.0": 1.0}, True)
    claiming = daemon_set("wellhead-proxy", "wellhead-proxy:0.1.0", "proxy")
    kept = outcomes(world(NODES, FLANNEL, claiming, asked, TWO), "10.9.0.3:31000")
    assert (seen(kept), "SourceClaimed" in codes(kept)) == ({f"client {CLIENT}": 1.0}, True)


def test_an_agent_that_masquerades_pods_wins_over_kube_proxy_and_not_over_claims() -> None:
    agent = daemon_set("ip-masq-agent", "example/ip-masq-agent:v2")
    config = config_map("ip-masq-agent", config="nonMasqueradeCIDRs: [10.9.0.0/16]")
    objects = (
        NODES,
        agent,
        config,
        service(type="NodePort", **CLUSTER),
        ONE,
        pod("asks", "10.50.3.9", "cairo"),
    )
    by_others = outcomes(world(*objects, kube_proxy()), "10.60.0.1:80", "pod/asks")
    assert "AgentMasquerades" in codes(by_others)
    claimed = outcomes(
        world(*objects, daemon_set("wellhead-proxy", "wellhead-proxy:1", "proxy")), "10.60.0.1:80", "pod/asks"
    )
    assert (seen(claimed), "SourceClaimed" in codes(claimed)) == ({"client 10.50.3.9": 1.0}, True)


def test_node_ports_answer_where_they_are_told_to() -> None:
    cluster = world(
        NODES, kube_proxy(nodePortAddresses="[10.8.0.0/16]"), service(type="NodePort", **CLUSTER), ONE
    )
    found = outcomes(cluster, "10.9.0.1:31000")
    assert (seen(found), "NotANodePortAddress" in codes(found)) == ({"refused": 1.0}, True)


def test_another_proxys_service_is_nobodys() -> None:
    other = service(type="NodePort", labels={"service.kubernetes.io/service-proxy-name": "other"}, **CLUSTER)
    cluster = world(NODES, kube_proxy(), other, ONE)
    assert seen(outcomes(cluster, "10.9.0.1:31000")) == {"unknown": 1.0}


def test_the_older_of_two_services_holds_an_external_ip() -> None:
    old = service("old", externalIPs=["192.0.2.77"], ip="10.60.0.2", **LOCAL)
    new = service("api", externalIPs=["192.0.2.77"], **LOCAL)
    old["metadata"]["creationTimestamp"] = "2020-01-01T00:00:00Z"
    new["metadata"]["creationTimestamp"] = "2026-01-01T00:00:00Z"
    cluster = world(NODES, kube_proxy(), old, new, ONE, endpoints(("10.50.3.9", "cairo"), name="old"))
    found = way(cluster, "ExternalIP", target="svc/api", node="cairo").outcomes
    assert seen(found) == {f"client {CLIENT}": 1.0}
    assert found[0].endpoint == "10.50.3.9:8080"


def test_in_a_cluster_a_service_without_slices_has_no_endpoints_and_in_files_nobody_knows() -> None:
    objects = [Decoded(each) for each in (*NODES, kube_proxy(), service(type="NodePort", selector={}))]
    for is_cluster, disposition in ((True, Disposition.REFUSED), (False, Disposition.UNKNOWN)):
        report = explain(World(objects, is_cluster=is_cluster), Question("svc/api", "team", ("outside",)))
        assert {each.disposition for way in report.ways for each in way.outcomes} == {disposition}
