"""Which source IP does the server see? Every case is a request from a real client, answered by echoserver.

The server is on node-1. Clients are a pod on each of node-1 and node-2, those nodes, and the client outside.
Every Service is dual-stack, and every case goes for both families.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.cluster.asker import Askers
from tests.cluster.family import IPV4, IPV6, Family, url
from tests.cluster.lab import ECHOSERVER, Lab, Obj, eventually

POD_NODES = ("node-1", "node-2")
POLICIES: dict[str, Obj] = {
    "Cluster": {"externalTrafficPolicy": "Cluster"},
    "Local": {"externalTrafficPolicy": "Local"},
    "Preserving": {  # policy Cluster, but clients outside keep their address
        "externalTrafficPolicy": "Cluster",
        "annotations": {"wellhead.dev/preserve-client-ip": "true"},
    },
}


@pytest.fixture(scope="module")
def lab(lab_of_each_mode: Lab) -> Lab:
    """Every case in every proxy mode."""
    return lab_of_each_mode


@pytest.fixture(params=[IPV4, IPV6], ids=str)
def ip(request: pytest.FixtureRequest) -> Family:
    """Every case in every IP family."""
    family: Family = request.param
    return family


@pytest.fixture(scope="module")
def ask(lab: Lab) -> Iterator[Askers]:
    with Askers(lab) as askers:
        yield askers


@pytest.fixture(scope="module")
def pods(lab: Lab, namespace: str) -> dict[str, Obj]:
    """The server, and a client pod on each of two nodes (their names are the nodes')."""
    return {
        "server": lab.run_pod("server", "node-1", namespace),
        **{node: lab.run_pod(node, node, namespace, image="busybox") for node in POD_NODES},
    }


@pytest.fixture(params=POD_NODES)
def client_pod(request: pytest.FixtureRequest, pods: dict[str, Obj]) -> Obj:
    """A client pod: once beside the server, once on another node."""
    return pods[request.param]


@contextmanager
def service(lab: Lab, namespace: str, name: str, **spec: Any) -> Iterator[Obj]:
    yield lab.expose(name, "server", namespace, ipFamilyPolicy="RequireDualStack", **spec)
    lab.kubectl("delete", "service", name, "-n", namespace)


@pytest.fixture(scope="module")
def cluster_ips(lab: Lab, namespace: str, pods: dict[str, Obj]) -> Iterator[list[str]]:
    with service(lab, namespace, "cluster-ip") as obj:
        yield obj["spec"]["clusterIPs"]


@pytest.fixture(scope="module", params=POLICIES)
def policy(request: pytest.FixtureRequest) -> str:
    """One of `POLICIES`: the external traffic policy, and what belongs to it."""
    return str(request.param)


@pytest.fixture(scope="module")
def node_port(lab: Lab, namespace: str, policy: str, pods: dict[str, Obj]) -> Iterator[int]:
    with service(lab, namespace, f"node-port-{policy.lower()}", type="NodePort", **POLICIES[policy]) as obj:
        yield obj["spec"]["ports"][0]["nodePort"]


@pytest.fixture(scope="module")
def vips(lab: Lab, namespace: str, policy: str, pods: dict[str, Obj]) -> Iterator[list[str]]:
    name = f"vip-{policy.lower()}"
    with service(lab, namespace, name, type="LoadBalancer", **POLICIES[policy]):
        yield lab.vips(name, namespace, 2)


@pytest.fixture(scope="module")
def claimed_node(lab: Lab, namespace: str, policy: str, pods: dict[str, Obj]) -> Iterator[str]:
    """The edge turns a node's ExternalIP into its InternalIP, which a Service claims as its external IP.

    Under Local that has to be the server's own node.
    """
    node = "node-1" if policy == "Local" else "node-2"
    claim = [family.internal_ip[node] for family in (IPV4, IPV6)]
    with service(lab, namespace, f"external-ip-{policy.lower()}", externalIPs=claim, **POLICIES[policy]):
        yield node


@pytest.fixture(scope="module")
def hairpin(lab: Lab, namespace: str) -> tuple[Obj, list[str]]:
    """A pod on node-2 that is server and client, and the ClusterIPs that lead back to it."""
    client = {"name": "client", "image": "busybox", "command": ["sleep", "3600"]}
    containers = [{"name": "main", "image": ECHOSERVER}, client]
    pod = lab.run_pod("hairpin", "node-2", namespace, containers=containers)
    exposed = lab.expose("hairpin", "hairpin", namespace, ipFamilyPolicy="RequireDualStack")
    return pod, exposed["spec"]["clusterIPs"]


@pytest.fixture(scope="module")
def host_network_pod(lab: Lab, namespace: str) -> Obj:
    """A server in node-3's own network."""
    return lab.run_pod("on-node-3", "node-3", namespace, hostNetwork=True)


def test_pod_to_pod_keeps_the_source(ask: Askers, pods: dict[str, Obj], client_pod: Obj, ip: Family) -> None:
    server = url(ip.pod_ip(pods["server"]), 8080)
    eventually(lambda: ask.within(client_pod, server).client, ip.pod_ip(client_pod))


def test_pod_to_cluster_ip_keeps_the_source(
    ask: Askers, cluster_ips: list[str], client_pod: Obj, ip: Family
) -> None:
    server = url(ip.of(cluster_ips))
    eventually(lambda: ask.within(client_pod, server).client, ip.pod_ip(client_pod))


@pytest.mark.parametrize("node", POD_NODES)
def test_node_to_cluster_ip_shows_an_address_of_that_node(
    ask: Askers, cluster_ips: list[str], node: str, ip: Family
) -> None:
    eventually(lambda: ask.on(node, url(ip.of(cluster_ips))).client, ip.addresses[node])


def test_pod_to_a_cluster_ip_that_leads_back_to_itself_is_masqueraded(
    ask: Askers, hairpin: tuple[Obj, list[str]], ip: Family
) -> None:
    pod, cluster_ips = hairpin
    eventually(lambda: ask.within(pod, url(ip.of(cluster_ips)), "client").client, ip.addresses["node-2"])


@pytest.mark.parametrize("node", POD_NODES)
def test_client_to_node_port(ask: Askers, node_port: int, policy: str, node: str, ip: Family) -> None:
    server = url(ip.external_ip[node], node_port)
    if policy == "Cluster":
        eventually(lambda: ask.on("client", server).client, ip.addresses[node])
    elif policy == "Preserving" or node == "node-1":
        eventually(lambda: ask.on("client", server).client, ip.client)
    else:
        # First that the rules are there at all, then: dropped, which curl reports as 28. A refusal is 7, and
        # right only as long as this node hasn't heard of the endpoint.
        with_endpoint = url(ip.external_ip["node-1"], node_port)
        eventually(lambda: ask.on("client", with_endpoint).client, ip.client)
        eventually(lambda: ask.on("client", server, seconds=1).status, 28)


def test_client_to_load_balancer(ask: Askers, vips: list[str], policy: str, ip: Family) -> None:
    wanted = ip.any_node() if policy == "Cluster" else {ip.client}
    server = url(ip.of(vips))
    eventually(lambda: {ask.on("client", server).client for _ in range(10)} <= wanted, True)


def test_pod_to_load_balancer(ask: Askers, vips: list[str], policy: str, client_pod: Obj, ip: Family) -> None:
    node = client_pod["spec"]["nodeName"]
    wanted = {ip.pod_ip(client_pod)} if policy == "Local" else ip.addresses[node]
    eventually(lambda: ask.within(client_pod, url(ip.of(vips))).client, wanted)


@pytest.mark.parametrize("node", POD_NODES)
def test_node_to_load_balancer_is_masqueraded(ask: Askers, vips: list[str], node: str, ip: Family) -> None:
    eventually(lambda: ask.on(node, url(ip.of(vips))).client, ip.addresses[node])


def test_pod_to_node_port_of_its_own_node(
    ask: Askers, node_port: int, policy: str, client_pod: Obj, ip: Family
) -> None:
    node = client_pod["spec"]["nodeName"]
    wanted = {ip.pod_ip(client_pod)} if policy == "Local" else ip.addresses[node]
    eventually(lambda: ask.within(client_pod, url(ip.internal_ip[node], node_port)).client, wanted)


def test_pod_to_node_port_of_the_other_node(
    ask: Askers, node_port: int, policy: str, client_pod: Obj, ip: Family
) -> None:
    other = "node-2" if client_pod["spec"]["nodeName"] == "node-1" else "node-1"
    server = url(ip.internal_ip[other], node_port)
    if policy != "Local":
        eventually(lambda: ask.within(client_pod, server).client, ip.addresses[other])
    elif other == "node-1":
        eventually(lambda: ask.within(client_pod, server).client, ip.pod_ip(client_pod))
    else:
        with_endpoint = url(ip.internal_ip["node-1"], node_port)
        eventually(lambda: ask.on("node-1", with_endpoint).client, ip.addresses["node-1"])
        assert ask.within(client_pod, server, seconds=1).client is None


@pytest.mark.parametrize("node", POD_NODES)
def test_node_to_its_own_node_port_is_masqueraded(ask: Askers, node_port: int, node: str, ip: Family) -> None:
    eventually(lambda: ask.on(node, url(ip.internal_ip[node], node_port)).client, ip.addresses[node])


@pytest.mark.parametrize("node", POD_NODES)
def test_node_port_on_loopback_answers_in_iptables_mode_and_ipv4_only(
    ask: Askers, lab: Lab, node_port: int, node: str, ip: Family
) -> None:
    on_loopback = url(ip.loopback, node_port)
    if lab.proxy_mode == "iptables" and ip is IPV4:
        eventually(lambda: ask.on(node, on_loopback).client, ip.addresses[node])
    else:
        eventually(lambda: ask.on(node, url(ip.internal_ip[node], node_port)).client, ip.addresses[node])
        assert ask.on(node, on_loopback, seconds=1).client is None


def test_client_to_external_ip(ask: Askers, claimed_node: str, policy: str, ip: Family) -> None:
    wanted = ip.addresses[claimed_node] if policy == "Cluster" else {ip.client}
    eventually(lambda: ask.on("client", url(ip.external_ip[claimed_node])).client, wanted)


def test_pod_to_another_nodes_address_keeps_the_source(
    ask: Askers, host_network_pod: Obj, pods: dict[str, Obj], ip: Family
) -> None:
    server = url(ip.pod_ip(host_network_pod), 8080)
    client = pods["node-1"]
    eventually(lambda: ask.within(client, server).client, ip.pod_ip(client))


def test_pod_to_the_outside_shows_its_nodes_external_ip(
    lab: Lab, ask: Askers, client_pod: Obj, ip: Family
) -> None:
    say_peer = ("python3", str(Path(__file__).with_name("say_peer.py")), ip.client, "8099")
    with lab.background("client", *say_peer, ready="listening"):
        wanted = ip.external_ip[client_pod["spec"]["nodeName"]]
        eventually(lambda: ask.within(client_pod, url(ip.client, 8099)).client, wanted)
