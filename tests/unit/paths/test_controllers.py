"""Ingress controllers and gateways in between: two connections, each with a source of its own."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.paths.objects import (
    CLIENT,
    CLUSTER,
    FLANNEL,
    LOCAL,
    NODES,
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

FRONT = [{"ip": "198.18.7.7", "ipMode": "VIP"}]


def controller(policy: dict[str, Any], **more: Any) -> list[dict[str, Any]]:
    """ingress-nginx on cairo, behind a load balancer."""
    front = service(
        "edge",
        namespace="edge",
        ip="10.60.0.9",
        type="LoadBalancer",
        ingress=FRONT,
        node_port=32080,
        **policy,
        **more,
    )
    return [
        front,
        endpoints(("10.50.3.4", "cairo"), name="edge", port=80, namespace="edge"),
        pod(
            "edge-1",
            "10.50.3.4",
            "cairo",
            namespace="edge",
            image="example/ingress-nginx:1.12",
            labels={"app": "edge"},
        ),
        kind("IngressClass", name="web", spec={"controller": "k8s.io/ingress-nginx"}),
    ]


def ingress(**more: Any) -> dict[str, Any]:
    backend = {"service": {"name": "api", "port": {"number": 80}}}
    spec = {
        "ingressClassName": "web",
        "rules": [{"host": "api.example.org", "http": {"paths": [{"path": "/", "backend": backend}]}}],
    }
    found = kind(
        "Ingress",
        name="api",
        namespace="team",
        spec=spec | more.get("spec", {}),
        status={"loadBalancer": {"ingress": FRONT}},
    )
    found["metadata"]["annotations"] = more.get("annotations", {})
    return found


APP = [service(type="NodePort", **LOCAL), endpoints(("10.50.1.8", "oslo"))]


def test_the_servers_peer_is_the_controllers_pod_and_the_header_holds_what_the_controller_saw() -> None:
    for policy, header in ((CLUSTER, "10.50.3.1"), (LOCAL, CLIENT)):
        cluster = world(NODES, FLANNEL, kube_proxy(), controller(policy), ingress(), APP)
        found = report(cluster, "svc/api", CLIENT, node="cairo")
        first = found.ways[0]
        assert (first.frontend, first.address) == ("Ingress", "198.18.7.7")
        assert seen(first.outcomes) == {"pod edge/edge-1 10.50.3.4": 1.0}
        assert {(each.form, each.address) for each in first.outcomes[0].forwarded} == {
            ("X-Forwarded-For", header),
            ("X-Real-IP", header),
        }
        assert "AssumesControllerDialsEndpoints" in codes(first.outcomes)


def test_the_policy_on_the_applications_service_is_named_as_the_wrong_one() -> None:
    cluster = world(NODES, FLANNEL, kube_proxy(), controller(CLUSTER), ingress(), APP)
    found = report(cluster, "svc/api")
    assert "PolicyOnServiceBehindIngress" in {each.code.value for each in found.warnings}
    assert found.advice[0].code.value == "SetLocalOnController"
    assert "kubectl -n edge patch svc edge" in found.advice[0].do
    node_ports = {
        each.address: next(iter(seen(each.outcomes)))
        for each in found.ways
        if each.client == "outside" and each.frontend == "NodePort"
    }
    assert node_ports == {"10.9.0.1": "client ?", "10.9.0.2": "dropped", "10.9.0.3": "dropped"}


def test_service_upstream_goes_by_the_cluster_ip() -> None:
    direct = ingress(annotations={"nginx.ingress.kubernetes.io/service-upstream": "true"})
    found = outcomes(world(NODES, FLANNEL, kube_proxy(), controller(LOCAL), direct, APP), "svc/api")
    assert "ClusterIPFromPod" in codes(found)
    assert seen(found) == {"pod edge/edge-1 10.50.3.4": 1.0}


@pytest.mark.parametrize(("use", "warned"), [("true", False), ("false", True)])
def test_proxy_protocol_on_one_side_alone_is_a_mistake(use: str, warned: bool) -> None:
    nodes = [node("cairo", 3, provider="hcloud"), node("oslo", 1, provider="hcloud")]
    front = controller(LOCAL, annotations={"load-balancer.hetzner.cloud/uses-proxyprotocol": "true"})
    settings = config_map("ingress-nginx-controller", "edge", **{"use-proxy-protocol": use})
    found = report(world(nodes, FLANNEL, kube_proxy(), front, settings, ingress(), APP), "svc/api", CLIENT)
    assert ("ProxyProtocolMismatch" in {each.code.value for each in found.warnings}) is warned
    assert (found.ways[0].outcomes[0].forwarded[0].address == CLIENT) is not warned


def test_a_controller_that_believes_its_clients_is_warned_of() -> None:
    settings = config_map("ingress-nginx-controller", "edge", **{"use-forwarded-headers": "true"})
    found = report(
        world(NODES, FLANNEL, kube_proxy(), controller(LOCAL), settings, ingress(), APP), "svc/api"
    )
    assert "HeadersClaimedByClient" in {each.code.value for each in found.warnings}


def test_a_controller_on_the_host_network_sees_its_clients() -> None:
    daemon = pod(
        "edge-1",
        "10.9.0.3",
        "cairo",
        namespace="edge",
        image="example/ingress-nginx:1",
        host_network=True,
        ports=[{"containerPort": 80}],
    )
    route = ingress()
    route["status"] = {"loadBalancer": {"ingress": [{"ip": "10.9.0.3"}]}}
    cluster = world(
        NODES,
        FLANNEL,
        kube_proxy(),
        daemon,
        kind("IngressClass", name="web", spec={"controller": "k8s.io/ingress-nginx"}),
        route,
        APP,
    )
    found = outcomes(cluster, "svc/api")
    assert seen(found) == {"node cairo 10.50.3.0": 1.0}
    assert found[0].forwarded[0].address == CLIENT


def test_a_controller_that_can_not_be_found_is_unknown_by_name() -> None:
    strange = kind("IngressClass", name="web", spec={"controller": "example.com/wonder"})
    route = ingress()
    route["status"] = {}
    found = report(world(NODES, kube_proxy(), strange, route, APP), "svc/api", CLIENT)
    assert seen(found.ways[0].outcomes) == {"unknown": 1.0}
    assert ("example.com/wonder", False) in {(each.name, each.known) for each in found.parties}


def test_googles_front_ends_dial_pods() -> None:
    nodes = [node("oslo", 1, provider="gce"), node("lima", 2, provider="gce")]
    route = kind(
        "Ingress",
        name="api",
        namespace="team",
        spec={"defaultBackend": {"service": {"name": "api", "port": {"number": 80}}}},
        status={"loadBalancer": {"ingress": [{"ip": "198.18.7.8"}]}},
    )
    route["metadata"]["annotations"] = {"kubernetes.io/ingress.class": "gce"}
    app = service(annotations={"cloud.google.com/neg": '{"ingress":true}'})
    cluster = world(nodes, route, app, endpoints(("10.50.1.8", "oslo")))
    found = outcomes(cluster, "svc/api")
    assert seen(found) == {"balancer ?": 1.0}
    assert "35.191.0.0/16" in found[0].source_note
    assert (found[0].forwarded[0].form, found[0].forwarded[0].address) == ("X-Forwarded-For", CLIENT)
    assert seen(way(cluster, "ClusterIP", "10.50.2.9").outcomes) == {"client 10.50.2.9": 1.0}


@pytest.mark.parametrize(
    ("target", "how"), [("ip", "BalancerDialsEndpoint"), ("instance", "BalancerTerminates")]
)
def test_application_load_balancers_by_target_type(target: str, how: str) -> None:
    route = ingress(
        annotations={"alb.ingress.kubernetes.io/target-type": target}, spec={"ingressClassName": "alb"}
    )
    cluster = world(
        [node("oslo", 1, provider="aws")],
        kube_proxy(),
        kind("IngressClass", name="alb", spec={"controller": "ingress.k8s.aws/alb"}),
        route,
        APP,
    )
    found = outcomes(cluster, "svc/api")
    assert how in codes(found)
    assert set(seen(found)) == {"balancer ?"}


def gateway(controller_name: str) -> list[dict[str, Any]]:
    front = service(
        "envoy-x",
        namespace="edge",
        ip="10.60.0.9",
        type="LoadBalancer",
        ingress=FRONT,
        node_port=32080,
        labels={"gateway.envoyproxy.io/owning-gateway-name": "main"},
        **LOCAL,
    )
    return [
        front,
        endpoints(("10.50.3.4", "cairo"), name="envoy-x", port=80, namespace="edge"),
        pod("envoy-1", "10.50.3.4", "cairo", namespace="edge", image="example/envoy:v1"),
        kind("GatewayClass", name="eg", spec={"controllerName": controller_name}),
        kind(
            "Gateway",
            name="main",
            namespace="edge",
            spec={"gatewayClassName": "eg", "listeners": [{"name": "http", "port": 80}]},
            status={"addresses": [{"value": "198.18.7.7"}]},
        ),
        kind(
            "HTTPRoute",
            name="api",
            namespace="team",
            spec={
                "parentRefs": [{"name": "main", "namespace": "edge"}],
                "hostnames": ["api.example.org"],
                "rules": [{"backendRefs": [{"name": "api", "port": 80}]}],
            },
        ),
    ]


def test_gateways_are_found_by_their_routes() -> None:
    cluster = world(
        NODES, FLANNEL, kube_proxy(), gateway("gateway.envoyproxy.io/gatewayclass-controller"), APP
    )
    found = report(cluster, "svc/api", CLIENT)
    assert seen(found.ways[0].outcomes) == {"pod edge/envoy-1 10.50.3.4": 1.0}
    assert found.ways[0].outcomes[0].forwarded[0].address == CLIENT
    assert ("controller", "Envoy Gateway") in {(each.role, each.name) for each in found.parties}


@pytest.mark.parametrize(
    ("route", "api"),
    [
        (
            kind(
                "IngressRoute",
                name="api",
                namespace="team",
                spec={"routes": [{"match": "Host(`x`)", "services": [{"name": "api", "port": 80}]}]},
            ),
            "Traefik",
        ),
        (
            kind(
                "HTTPProxy",
                name="api",
                namespace="team",
                spec={
                    "virtualhost": {"fqdn": "x.example.org"},
                    "routes": [{"services": [{"name": "api", "port": 80}]}],
                },
            ),
            "Contour",
        ),
    ],
)
def test_routes_of_other_kinds_name_their_backends(route: dict[str, Any], api: str) -> None:
    image = {"Traefik": "example/traefik:v3", "Contour": "example/envoy:v1"}[api]
    front = service(
        "edge",
        namespace="edge",
        ip="10.60.0.9",
        type="LoadBalancer",
        ingress=FRONT,
        node_port=32080,
        **CLUSTER,
    )
    runs = [
        front,
        endpoints(("10.50.3.4", "cairo"), name="edge", port=80, namespace="edge"),
        pod("edge-1", "10.50.3.4", "cairo", namespace="edge", image=image, labels={"app": "edge"}),
    ]
    cluster = world(NODES, FLANNEL, kube_proxy(), runs, route, APP)
    found = report(cluster, "svc/api", CLIENT)
    assert ("controller", api) in {(each.role, each.name) for each in found.parties}
    assert seen(found.ways[0].outcomes) == {"pod edge/edge-1 10.50.3.4": 1.0}


def test_traefik_behind_k3s_is_answered_for_in_both_connections() -> None:
    nodes = [node("oslo", 1, version="v1.34.1+k3s1"), node("lima", 2, version="v1.34.1+k3s1")]
    front = service(
        "traefik",
        namespace="kube-system",
        ip="10.60.0.9",
        type="LoadBalancer",
        ingress=[{"ip": "10.9.0.1"}],
        node_port=32080,
        **CLUSTER,
    )
    runs = [
        front,
        endpoints(("10.50.1.9", "oslo"), name="traefik", port=8000, namespace="kube-system"),
        pod(
            "traefik-1",
            "10.50.1.9",
            "oslo",
            namespace="kube-system",
            image="example/mirrored-library-traefik:3",
            labels={"app": "traefik"},
        ),
    ]
    route = ingress(spec={"ingressClassName": "traefik"})
    route["status"] = {"loadBalancer": {"ingress": [{"ip": "10.9.0.1"}]}}
    cluster = world(
        nodes,
        kube_proxy(),
        runs,
        kind("IngressClass", name="traefik", spec={"controller": "traefik.io/ingress-controller"}),
        route,
        APP,
    )
    found = outcomes(cluster, "svc/api")
    assert seen(found) == {"pod kube-system/traefik-1 10.50.1.9": 1.0}
    assert found[0].forwarded[0].address == "10.50.1.1"


def test_tcp_services_of_ingress_nginx() -> None:
    tcp = config_map("tcp-services", "edge", **{"9000": "team/api:80"})
    front = controller(CLUSTER)
    front[0]["spec"]["ports"].append({"name": "x", "port": 9000, "nodePort": 32090, "protocol": "TCP"})
    front[1]["ports"].append({"name": "x", "port": 9000, "protocol": "TCP"})
    cluster = world(NODES, FLANNEL, kube_proxy(), front, tcp, APP)
    found = way(cluster, "Ingress")
    assert (found.port, next(iter(seen(found.outcomes)))) == (9000, "pod edge/edge-1 10.50.3.4")


def test_daemons_in_between_are_listed() -> None:
    cluster = world(
        NODES,
        daemon_set("speaker", "example/metallb-speaker:v0.14"),
        kube_proxy(),
        controller(CLUSTER),
        ingress(),
        APP,
    )
    roles = {each.role for each in report(cluster, "svc/api").parties}
    assert {"proxy", "network", "balancer", "controller"} <= roles
