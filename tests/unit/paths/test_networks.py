"""What pods' networks and agents do with sources, and which address of a node they show."""

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
    world,
)

HOST_NETWORK = endpoints(("10.9.0.1", "oslo"), port=9200)


def agents(*objects: dict[str, Any]) -> list[dict[str, Any]]:
    """A Service whose endpoint is on a node's own network, and pods beside it and elsewhere."""
    return [
        service(),
        HOST_NETWORK,
        pod("near", "10.50.1.8", "oslo"),
        pod("far", "10.50.2.6", "lima"),
        *objects,
    ]


@pytest.mark.parametrize(
    ("backend", "address"),
    [("vxlan", "10.50.2.0"), ("host-gw", "10.9.0.2"), ("wireguard", "10.50.2.0"), ("ipip", "10.50.2.0")],
)
def test_flannels_backend_says_which_address_goes_to_other_nodes(backend: str, address: str) -> None:
    conf = f'{{"Network": "10.50.0.0/16", "Backend": {{"Type": "{backend}"}}}}'
    cluster = world(
        NODES,
        FLANNEL[:1],
        config_map("kube-flannel-cfg", **{"net-conf.json": conf}),
        kube_proxy(),
        service(type="NodePort", **CLUSTER),
        ONE,
    )
    assert seen(outcomes(cluster, "10.9.0.2:31000")) == {f"node lima {address}": 1.0}
    assert seen(outcomes(cluster, "10.9.0.1:31000")) == {"node oslo 10.50.1.1": 1.0}


@pytest.mark.parametrize(
    "network",
    [
        [daemon_set("kindnet", "example/kindnetd:v1", env={"POD_SUBNET": "10.50.0.0/16"})],
        FLANNEL,
        [
            kind(
                "IPPool", name="pods", spec={"cidr": "10.50.0.0/16", "natOutgoing": True, "ipipMode": "Never"}
            )
        ],
    ],
    ids=["kindnet", "flannel", "calico"],
)
def test_networks_masquerade_pods_that_leave_for_a_nodes_own_address(network: list[dict[str, Any]]) -> None:
    cluster = world(NODES, network, kube_proxy(), agents())
    assert seen(outcomes(cluster, "10.60.0.1:80", "pod/near")) == {"client 10.50.1.8": 1.0}
    found = outcomes(cluster, "10.60.0.1:80", "pod/far")
    assert (seen(found), "NetworkMasquerades" in codes(found)) == ({"node lima 10.9.0.2": 1.0}, True)
    assert seen(outcomes(cluster, "10.9.0.1:9200", "pod/far")) == {"node lima 10.9.0.2": 1.0}
    assert seen(outcomes(cluster, "10.60.0.1:80", "node/lima")) == {"node lima 10.9.0.2": 1.0}


def test_calico_spares_nodes_when_told_to_and_pods_without_nat_outgoing() -> None:
    pool = kind("IPPool", name="pods", spec={"cidr": "10.50.0.0/16", "natOutgoing": True})
    spared = kind("FelixConfiguration", spec={"natOutgoingExclusions": "IPPoolsAndHostIPs"})
    assert seen(outcomes(world(NODES, pool, spared, kube_proxy(), agents()), "10.60.0.1:80", "pod/far")) == {
        "client 10.50.2.6": 1.0
    }
    plain = kind("IPPool", name="pods", spec={"cidr": "10.50.0.0/16", "natOutgoing": False})
    assert seen(outcomes(world(NODES, plain, kube_proxy(), agents()), "10.60.0.1:80", "pod/far")) == {
        "client 10.50.2.6": 1.0
    }


def test_a_client_inside_of_a_nat_outgoing_pool_loses_its_address_under_local() -> None:
    pods = kind("IPPool", name="pods", spec={"cidr": "203.0.113.0/24", "natOutgoing": True})
    cluster = world(NODES, pods, kube_proxy(), service(type="NodePort", **LOCAL), ONE)
    found = report(cluster, "10.9.0.1:31000", CLIENT)
    assert seen(found.ways[0].outcomes) == {"node oslo 10.9.0.1": 1.0}
    assert {"PoolHoldsClients", "MasqueradesInbound"} <= {each.code.value for each in found.warnings}


@pytest.mark.parametrize(
    ("mode", "address"), [("Never", "10.9.0.2"), ("Always", "10.50.2.64"), ("CrossSubnet", "10.9.0.2")]
)
def test_calicos_tunnels_show_their_address(mode: str, address: str) -> None:
    nodes = [
        node(
            "oslo",
            1,
            annotations={
                "projectcalico.org/IPv4Address": "10.9.0.1/24",
                "projectcalico.org/IPv4IPIPTunnelAddr": "10.50.1.64",
            },
        ),
        node(
            "lima",
            2,
            annotations={
                "projectcalico.org/IPv4Address": "10.9.0.2/24",
                "projectcalico.org/IPv4IPIPTunnelAddr": "10.50.2.64",
            },
        ),
    ]
    pool = kind("IPPool", name="pods", spec={"cidr": "10.50.0.0/16", "natOutgoing": True, "ipipMode": mode})
    cluster = world(nodes, pool, kube_proxy(), service(type="NodePort", **CLUSTER), ONE)
    assert seen(outcomes(cluster, "10.9.0.2:31000")) == {f"node lima {address}": 1.0}


def test_calico_across_subnets_without_annotations_is_open() -> None:
    pool = kind("IPPool", name="pods", spec={"cidr": "10.50.0.0/16", "vxlanMode": "CrossSubnet"})
    cluster = world(NODES, pool, kube_proxy(), service(type="NodePort", **CLUSTER), ONE)
    found = outcomes(cluster, "10.9.0.2:31000")
    assert (seen(found), "UnknownNodeAddress" in codes(found)) == ({"node lima ?": 1.0}, True)


AGENT = daemon_set("ip-masq-agent", "example/ip-masq-agent:v2")


@pytest.mark.parametrize(
    ("config", "kept"),
    [
        ("nonMasqueradeCIDRs: [172.16.0.0/12]", False),
        ("nonMasqueradeCIDRs: [172.16.0.0/12, 10.50.0.0/16]", True),
        ("", True),  # its defaults: RFC 1918
        ("{broken", True),
    ],
)
def test_ip_masq_agent_masquerades_what_comes_in(config: str, kept: bool) -> None:
    data = [config_map("ip-masq-agent", config=config)] if config else []
    cluster = world(NODES, AGENT, data, kube_proxy(), service(type="NodePort", **LOCAL), ONE)
    found = report(cluster, "10.9.0.1:31000", CLIENT)
    assert (next(iter(seen(found.ways[0].outcomes))).startswith("client")) is kept
    assert ("NonMasqueradeCIDRsMissPods" in {each.code.value for each in found.warnings}) is not kept
    if not kept:
        assert found.advice[0].code.value == "FixNonMasqueradeCIDRs"


def test_azures_agent_merges_its_config_maps() -> None:
    one = config_map("azure-ip-masq-agent-config", one="nonMasqueradeCIDRs: [172.16.0.0/12]")
    two = config_map("azure-ip-masq-agent-config-reconciled", two="nonMasqueradeCIDRs: [10.50.0.0/16]")
    cluster = world(NODES, AGENT, one, two, kube_proxy(), service(type="NodePort", **LOCAL), ONE)
    assert seen(outcomes(cluster, "10.9.0.1:31000")) == {f"client {CLIENT}": 1.0}


def test_an_agent_that_misses_the_pods_masquerades_pods_to_pods() -> None:
    data = config_map("ip-masq-agent", config="nonMasqueradeCIDRs: [172.16.0.0/12]")
    cluster = world(
        NODES, AGENT, data, FLANNEL, kube_proxy(), service(), ONE, pod("far", "10.50.2.6", "lima")
    )
    found = outcomes(cluster, "10.50.1.5:8080", "pod/far")
    assert (seen(found), "AmbiguousSecondMasquerade" in codes(found)) == ({"node lima 10.50.2.0": 1.0}, True)


@pytest.mark.parametrize(("spares", "kept"), [("1", True), ("0", False)])
def test_weave_masquerades_what_comes_in_unless_told_not_to(spares: str, kept: bool) -> None:
    daemon = daemon_set(
        "weave-net", "example/weave-kube:2", env={"IPALLOC_RANGE": "10.50.0.0/16", "NO_MASQ_LOCAL": spares}
    )
    cluster = world(
        NODES, daemon, kube_proxy(), service(type="NodePort", **LOCAL), ONE, pod("api-1", "10.50.1.5", "oslo")
    )
    assert seen(outcomes(cluster, "10.9.0.1:31000")) == {f"client {CLIENT}" if kept else "node oslo ?": 1.0}


@pytest.mark.parametrize("size", [1, 2])
def test_antreas_gateway_is_the_first_address(size: int) -> None:
    config = config_map("antrea-config", **{"antrea-agent.conf": "trafficEncapMode: encap"})
    cluster = world(
        NODES[: size + 1],
        daemon_set("antrea-agent", "example/antrea-agent:2"),
        config,
        kube_proxy(),
        service(type="NodePort", **CLUSTER),
        ONE,
    )
    assert seen(outcomes(cluster, "10.9.0.2:31000")) == {"node lima 10.50.2.1": 1.0}


def test_amazons_pods_keep_their_address_within_the_vpc_and_lose_it_beyond() -> None:
    nodes = [node("oslo", 1, pods="", provider="aws"), node("lima", 2, pods="", provider="aws")]
    daemon = daemon_set(
        "aws-node", "example/amazon-k8s-cni:v1", env={"AWS_VPC_K8S_CNI_EXTERNALSNAT": "false"}
    )
    cluster = world(
        nodes, daemon, kube_proxy(clusterCIDR='""'), service(), HOST_NETWORK, pod("far", "10.9.0.77", "lima")
    )
    assert seen(outcomes(cluster, "10.60.0.1:80", "pod/far")) == {"client 10.9.0.77": 1.0}
    found = outcomes(cluster, "93.184.216.34:443", "pod/far")
    assert "NetworkMasquerades" in codes(found)


def test_a_network_that_nobody_knows_is_named() -> None:
    cluster = world(
        NODES,
        daemon_set("kube-ovn-cni", "example/kube-ovn:1"),
        kube_proxy(),
        service(type="NodePort", **CLUSTER),
        ONE,
    )
    found = report(cluster, "10.9.0.1:31000", CLIENT)
    assert [(each.name, each.known) for each in found.parties if each.role == "network"] == [
        ("kube-ovn-cni", False)
    ]


def test_k3s_has_flannel_and_kube_proxy_inside() -> None:
    nodes = [
        node("oslo", 1, version="v1.34.1+k3s1"),
        node(
            "lima",
            2,
            version="v1.34.1+k3s1",
            annotations={"flannel.alpha.coreos.com/backend-type": "host-gw"},
        ),
    ]
    nodes[0]["metadata"]["annotations"]["k3s.io/node-args"] = '["server","--cluster-cidr","10.50.0.0/16"]'
    cluster = world(nodes, service(type="NodePort", **CLUSTER), TWO)
    found = report(cluster, "10.9.0.2:31000", CLIENT)
    assert seen(found.ways[0].outcomes) == {"node lima 10.9.0.2": 0.5, "node lima 10.50.2.1": 0.5}
    assert {each.name: each.facts.get("clusterCIDR") for each in found.parties}[
        "kube-proxy"
    ] == "10.50.0.0/16"


def test_host_ports_keep_the_source_unless_the_network_takes_it() -> None:
    web = pod("web", "10.50.1.30", "oslo", ports=[{"containerPort": 8443, "hostPort": 443}])
    cluster = world(NODES, FLANNEL, kube_proxy(), web)
    found = outcomes(cluster, "10.9.0.1:443")
    assert (seen(found), found[0].endpoint) == ({f"client {CLIENT}": 1.0}, "10.50.1.30:8443")
    assert seen(outcomes(cluster, "10.9.0.2:443")) == {"unknown": 1.0}
    assert [each.frontend for each in report(cluster, "pod/web", CLIENT).ways] == ["HostPort"]


def test_a_host_network_pod_is_reached_at_its_nodes_address() -> None:
    web = pod("web", "10.9.0.1", "oslo", host_network=True, ports=[{"containerPort": 8443}])
    cluster = world(NODES, FLANNEL, kube_proxy(), web)
    assert seen(outcomes(cluster, "10.9.0.1:8443")) == {f"client {CLIENT}": 1.0}
    assert seen(outcomes(cluster, "pod/web")) == {f"client {CLIENT}": 1.0}


def test_a_pod_that_leaves_the_cluster_shows_its_node() -> None:
    nodes = [
        node("oslo", 1, version="v1.37.1+wellhead-0.1.0", external="192.0.2.11"),
        node("lima", 2, version="v1.37.1+wellhead-0.1.0"),
    ]
    cluster = world(nodes, pod("shell", "10.50.1.9", "oslo"))
    assert seen(outcomes(cluster, "203.0.113.9:8099", "pod/shell")) == {"node oslo 192.0.2.11": 1.0}
