"""Warnings of real mistakes, and advice with its price."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.paths.objects import (
    CLUSTER,
    FLANNEL,
    LOCAL,
    NODES,
    ONE,
    TWO,
    Obj,
    daemon_set,
    endpoints,
    kind,
    kube_proxy,
    node,
    pod,
    report,
    service,
    world,
)
from tests.unit.paths.test_balancers import L2, SVCLB

VIP = [{"ip": "198.18.5.5", "ipMode": "VIP"}]
CLOUD = [node("oslo", 1, provider="hcloud"), node("lima", 2, provider="hcloud")]
AFFINE = {"sessionAffinity": "ClientIP"}
PRESERVING = {"wellhead.dev/preserve-client-ip": "true"}


def warned(*objects: Any, target: str = "svc/api", from_: tuple[str, ...] = ()) -> set[str]:
    return {each.code.value for each in report(world(*objects), target, *from_).warnings}


def balanced(**spec: Any) -> Obj:
    return service(type="LoadBalancer", ingress=VIP, **spec)


@pytest.mark.parametrize(
    ("code", "objects"),
    [
        ("LocalWithoutHealthCheck", [*NODES, kube_proxy(), service(type="NodePort", **LOCAL), ONE]),
        ("LocalWithoutHealthCheck", [*NODES, kube_proxy(), balanced(**LOCAL), ONE]),
        (
            "SourceRangesSeeBalancer",
            [*CLOUD, kube_proxy(), balanced(loadBalancerSourceRanges=["203.0.113.0/24"], **CLUSTER), ONE],
        ),
        (
            "SourceRangesSeeBalancer",
            [
                *NODES,
                kube_proxy(),
                service(type="NodePort", loadBalancerSourceRanges=["203.0.113.0/24"]),
                ONE,
            ],
        ),
        ("AffinityBehindMasquerade", [*CLOUD, kube_proxy(), balanced(**AFFINE, **CLUSTER), ONE]),
        ("IPModeMissing", [*CLOUD, kube_proxy(), balanced(**CLUSTER), ONE]),
        (
            "ExternalIPsAndLocal",
            [*NODES, kube_proxy(), service(type="NodePort", externalIPs=["192.0.2.77"], **LOCAL), ONE],
        ),
        (
            "ClusterCIDRMissesPods",
            [*NODES, kube_proxy(clusterCIDR="10.51.0.0/16"), service(), ONE, pod("x", "10.50.2.2", "lima")],
        ),
        (
            "OldUDPFlows",
            [
                *NODES,
                kube_proxy(),
                service(type="NodePort", protocol="UDP", **LOCAL),
                endpoints(("10.50.1.5", "oslo"), protocol="UDP"),
            ],
        ),
        (
            "LocalUneven",
            [
                *NODES,
                kube_proxy(),
                balanced(healthCheckNodePort=32000, **LOCAL),
                endpoints(("10.50.1.5", "oslo"), ("10.50.1.6", "oslo"), ("10.50.2.5", "lima")),
            ],
        ),
        ("LocalUneven", [*NODES, *L2, kube_proxy(), balanced(**LOCAL), TWO]),
        ("NoClusterCIDR", [*NODES, kube_proxy(clusterCIDR='""'), service(type="NodePort", **LOCAL), ONE]),
        (
            "NetworkDefeatsPreserveClientIP",
            [
                *NODES,
                *FLANNEL,
                daemon_set("wellhead-proxy", "wellhead-proxy:1", "proxy", "--source-claims=none"),
                service(type="NodePort", annotations=PRESERVING, **CLUSTER),
                ONE,
            ],
        ),
        (
            "ClusterUndoesPreservation",
            [
                node("oslo", 1, provider="alicloud"),
                node("lima", 2, provider="alicloud"),
                kube_proxy(),
                balanced(**CLUSTER),
                ONE,
            ],
        ),
        (
            "ContestedFrontend",
            [
                *NODES,
                kube_proxy(),
                service(type="NodePort", **CLUSTER),
                service("old", ip="10.60.0.2", type="NodePort", **CLUSTER)
                | {
                    "metadata": {
                        "name": "old",
                        "namespace": "team",
                        "creationTimestamp": "2020-01-01T00:00:00Z",
                    }
                },
                ONE,
            ],
        ),
    ],
)
def test_mistakes_are_warned_of(code: str, objects: list[Obj]) -> None:
    assert code in warned(objects)


def test_a_healthy_service_is_warned_of_nothing() -> None:
    assert warned(NODES, FLANNEL, kube_proxy(), service(type="NodePort", **CLUSTER), TWO) == set()
    everywhere = endpoints(("10.50.1.5", "oslo"), ("10.50.2.5", "lima"), ("10.50.3.5", "cairo"))
    checked = balanced(healthCheckNodePort=32000, **LOCAL)
    assert warned(NODES, FLANNEL, kube_proxy(), checked, everywhere) == set()


@pytest.mark.parametrize(
    "ready", [[], [endpoints(("10.50.1.5", "oslo"), ("10.50.2.5", "lima"), ("10.50.3.5", "cairo"))]]
)
def test_nobody_drops_where_all_or_none_have_endpoints(ready: list[Obj]) -> None:
    external = service(type="NodePort", externalIPs=["192.0.2.77"], **LOCAL)
    found = warned(*NODES, kube_proxy(), external, *ready)
    assert not {"ExternalIPsAndLocal", "LocalWithoutHealthCheck"} & found


def test_networks_that_hold_the_client_are_warned_of() -> None:
    wide = [*NODES, kube_proxy(clusterCIDR="10.0.0.0/8"), service(type="NodePort", **LOCAL), ONE]
    assert "ClusterCIDRHoldsClients" in warned(wide, from_=("10.99.1.1",))
    assert "ClusterCIDRHoldsClients" not in warned(wide, from_=("203.0.113.9",))


def test_affinity_behind_service_lb_sees_one_address() -> None:
    nodes = [node("oslo", 1, version="v1.34.1+k3s1", external="198.18.9.1")]
    affine = service(type="LoadBalancer", ingress=[{"ip": "198.18.9.1"}], **AFFINE, **CLUSTER)
    assert "AffinityBehindMasquerade" in warned(nodes, SVCLB[:1], kube_proxy(), affine, ONE)


def told(*objects: Any, target: str = "svc/api", from_: tuple[str, ...] = ()) -> list[tuple[str, str]]:
    return [(each.code.value, each.sentence) for each in report(world(*objects), target, *from_).advice]


def test_local_is_advised_with_its_price_here() -> None:
    uneven = endpoints(("10.50.1.5", "oslo"), ("10.50.1.6", "oslo"), ("10.50.2.5", "lima"))
    (code, sentence), *_ = told(NODES, FLANNEL, kube_proxy(), balanced(**CLUSTER), uneven)
    assert code == "UseLocal"
    assert "1 of 3 nodes would answer nobody" in sentence
    assert "lima's endpoint would get 50% of the traffic" in sentence


def test_the_price_in_layer_2_is_that_one_nodes_endpoints_get_everything() -> None:
    (_, sentence), *_ = told(NODES, FLANNEL, L2, kube_proxy(), balanced(**CLUSTER), TWO)
    assert "all traffic would go to lima's endpoint, 1 of 2 get none" in sentence


@pytest.mark.parametrize(
    ("code", "objects"),
    [
        (
            "UsePreserveClientIP",
            [
                *NODES,
                daemon_set("wellhead-proxy", "wellhead-proxy:1"),
                service(type="NodePort", **CLUSTER),
                ONE,
            ],
        ),
        ("UseProxyProtocol", [*CLOUD, kube_proxy(), balanced(**LOCAL), ONE]),
        ("CheckHealthPort", [*NODES, kube_proxy(), service(type="NodePort", **LOCAL), ONE]),
        ("NothingToDo", [NODES[0], kube_proxy(), service(type="NodePort", **LOCAL), ONE]),
        ("CheckHealthPort", [*NODES, kube_proxy(), service(type="NodePort", **CLUSTER), endpoints()]),
        (
            "UseDSR",
            [
                *NODES,
                kind(
                    "ConfigMap",
                    name="cilium-config",
                    namespace="kube-system",
                    data={"kube-proxy-replacement": "true", "bpf-lb-mode": "snat"},
                ),
                service(type="NodePort", **CLUSTER),
                ONE,
            ],
        ),
    ],
)
def test_advice_is_for_what_decided(code: str, objects: list[Obj]) -> None:
    assert code in {each for each, _ in told(objects)}
