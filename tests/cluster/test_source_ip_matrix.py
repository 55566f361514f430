"""Which source IP does the server see? Every case is a request from a real client, answered by echoserver.

The server is on node-1. Clients are a pod on each of node-1 and node-2, those nodes, and the client outside.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.cluster.lab import ADDRESSES, CLIENT, EXTERNAL_IP, INTERNAL_IP, Lab, Obj, eventually

PATIENCE = 30.0
"""Nodes get to know each other when a first Service asks for symmetric return."""
POD_NODES = ("node-1", "node-2")
POLICIES: dict[str, Obj] = {
    "Cluster": {"externalTrafficPolicy": "Cluster"},
    "Local": {"externalTrafficPolicy": "Local"},
    "Preserving": {  # policy Cluster, but clients outside keep their address
        "externalTrafficPolicy": "Cluster",
        "annotations": {"wellhead.dev/preserve-client-ip": "true"},
    },
}
_ANY_NODE_ADDRESS = set[str]().union(*ADDRESSES.values())


@pytest.fixture(scope="module")
def lab(lab_of_each_mode: Lab) -> Lab:
    """Every case in every proxy mode."""
    return lab_of_each_mode


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
    yield lab.expose(name, "server", namespace, **spec)
    lab.kubectl("delete", "service", name, "-n", namespace)


@pytest.fixture(scope="module")
def cluster_ip(lab: Lab, namespace: str, pods: dict[str, Obj]) -> Iterator[str]:
    with service(lab, namespace, "cluster-ip") as obj:
        yield obj["spec"]["clusterIP"]


@pytest.fixture(scope="module", params=POLICIES)
def policy(request: pytest.FixtureRequest) -> str:
    """One of `POLICIES`: the external traffic policy, and what belongs to it."""
    return str(request.param)


@pytest.fixture(scope="module")
def node_port(lab: Lab, namespace: str, policy: str, pods: dict[str, Obj]) -> Iterator[int]:
    with service(lab, namespace, f"node-port-{policy.lower()}", type="NodePort", **POLICIES[policy]) as obj:
        yield obj["spec"]["ports"][0]["nodePort"]


@pytest.fixture(scope="module")
def vip(lab: Lab, namespace: str, policy: str, pods: dict[str, Obj]) -> Iterator[str]:
    name = f"vip-{policy.lower()}"
    with service(lab, namespace, name, type="LoadBalancer", **POLICIES[policy]):
        address = "jsonpath={.status.loadBalancer.ingress[0].ip}"
        lab.kubectl("wait", f"--for={address}", f"service/{name}", "-n", namespace, "--timeout=10s")
        yield lab.kubectl("get", "service", name, "-n", namespace, "-o", address)


def pod_ip(pod: Obj) -> str:
    return str(pod["status"]["podIP"])


def ask_from(lab: Lab, pod: Obj, url: str) -> str | None:
    return lab.wget(pod["metadata"]["name"], url, pod["metadata"]["namespace"])


def test_pod_to_pod_keeps_the_source(lab: Lab, pods: dict[str, Obj], client_pod: Obj) -> None:
    eventually(lambda: ask_from(lab, client_pod, f"{pod_ip(pods['server'])}:8080"), pod_ip(client_pod))


def test_pod_to_cluster_ip_keeps_the_source(lab: Lab, cluster_ip: str, client_pod: Obj) -> None:
    eventually(lambda: ask_from(lab, client_pod, cluster_ip), pod_ip(client_pod))


@pytest.mark.parametrize("node", POD_NODES)
def test_node_to_cluster_ip_shows_an_address_of_that_node(lab: Lab, cluster_ip: str, node: str) -> None:
    eventually(lambda: lab.curl(node, cluster_ip), ADDRESSES[node])


def test_pod_to_a_cluster_ip_that_leads_back_to_itself_is_masqueraded(
    lab: Lab, namespace: str, cluster_ip: str
) -> None:
    lab.run_pod(
        "hairpin",
        "node-2",
        namespace,
        containers=[
            {"name": "main", "image": "k8s.gcr.io/echoserver:1.4"},
            {"name": "client", "image": "busybox", "command": ["sleep", "3600"]},
        ],
    )
    address = lab.expose("hairpin", "hairpin", namespace)["spec"]["clusterIP"]
    eventually(lambda: lab.wget("hairpin", address, namespace, "client"), ADDRESSES["node-2"])


@pytest.mark.parametrize("node", POD_NODES)
def test_client_to_node_port(lab: Lab, node_port: int, policy: str, node: str) -> None:
    url = f"{EXTERNAL_IP[node]}:{node_port}"
    if policy == "Cluster":
        eventually(lambda: lab.curl("client", url), ADDRESSES[node])
    elif policy == "Preserving" or node == "node-1":
        eventually(lambda: lab.curl("client", url), CLIENT, PATIENCE)
    else:
        # First that the rules are there at all, then: dropped, which curl reports as 28 (a refusal is 7).
        eventually(lambda: lab.curl("client", f"{EXTERNAL_IP['node-1']}:{node_port}"), CLIENT)
        say = ("sh", "-c", f"curl -s --connect-timeout 1 {url}; echo $?")
        assert lab.on("client", *say).strip() == "28"


def test_client_to_load_balancer(lab: Lab, vip: str, policy: str) -> None:
    wanted = _ANY_NODE_ADDRESS if policy == "Cluster" else {CLIENT}
    eventually(lambda: {lab.curl("client", vip) for _ in range(10)} <= wanted, True, PATIENCE)


def test_pod_to_load_balancer(lab: Lab, vip: str, policy: str, client_pod: Obj) -> None:
    node = client_pod["spec"]["nodeName"]
    wanted = {pod_ip(client_pod)} if policy == "Local" else ADDRESSES[node]
    eventually(lambda: ask_from(lab, client_pod, vip), wanted)


@pytest.mark.parametrize("node", POD_NODES)
def test_node_to_load_balancer_is_masqueraded(lab: Lab, vip: str, node: str) -> None:
    eventually(lambda: lab.curl(node, vip), ADDRESSES[node])


def test_pod_to_node_port_of_its_own_node(lab: Lab, node_port: int, policy: str, client_pod: Obj) -> None:
    node = client_pod["spec"]["nodeName"]
    wanted = {pod_ip(client_pod)} if policy == "Local" else ADDRESSES[node]
    eventually(lambda: ask_from(lab, client_pod, f"{INTERNAL_IP[node]}:{node_port}"), wanted)


def test_pod_to_node_port_of_the_other_node(lab: Lab, node_port: int, policy: str, client_pod: Obj) -> None:
    other = "node-2" if client_pod["spec"]["nodeName"] == "node-1" else "node-1"
    url = f"{INTERNAL_IP[other]}:{node_port}"
    if policy != "Local":
        eventually(lambda: ask_from(lab, client_pod, url), ADDRESSES[other])
    elif other == "node-1":
        eventually(lambda: ask_from(lab, client_pod, url), pod_ip(client_pod))
    else:
        eventually(lambda: lab.curl("node-1", f"{INTERNAL_IP['node-1']}:{node_port}"), ADDRESSES["node-1"])
        assert ask_from(lab, client_pod, url) is None


@pytest.mark.parametrize("node", POD_NODES)
def test_node_to_its_own_node_port_is_masqueraded(lab: Lab, node_port: int, node: str) -> None:
    eventually(lambda: lab.curl(node, f"{INTERNAL_IP[node]}:{node_port}"), ADDRESSES[node])


@pytest.mark.parametrize("node", POD_NODES)
def test_node_port_on_loopback_answers_in_iptables_mode_only(lab: Lab, node_port: int, node: str) -> None:
    if lab.proxy_mode == "iptables":
        eventually(lambda: lab.curl(node, f"127.0.0.1:{node_port}"), ADDRESSES[node])
    else:
        eventually(lambda: lab.curl(node, f"{INTERNAL_IP[node]}:{node_port}"), ADDRESSES[node])
        assert lab.curl(node, f"127.0.0.1:{node_port}") is None


def test_client_to_external_ip(lab: Lab, namespace: str, policy: str, pods: dict[str, Obj]) -> None:
    # The edge turns a node's ExternalIP into its InternalIP, which the Service claims as its external IP.
    # Under Local it has to be the server's own node.
    node = "node-1" if policy == "Local" else "node-2"
    claim = {"externalIPs": [INTERNAL_IP[node]], **POLICIES[policy]}
    with service(lab, namespace, f"external-ip-{policy.lower()}", **claim):
        wanted = ADDRESSES[node] if policy == "Cluster" else {CLIENT}
        eventually(lambda: lab.curl("client", EXTERNAL_IP[node]), wanted, PATIENCE)


def test_pod_to_another_nodes_address_keeps_the_source(
    lab: Lab, namespace: str, pods: dict[str, Obj]
) -> None:
    lab.run_pod("on-node-3", "node-3", namespace, hostNetwork=True)
    client = pods["node-1"]
    eventually(lambda: ask_from(lab, client, f"{INTERNAL_IP['node-3']}:8080"), pod_ip(client))


def test_pod_to_the_outside_shows_its_nodes_external_ip(lab: Lab, client_pod: Obj) -> None:
    say_peer = ("python3", str(Path(__file__).with_name("say_peer.py")), CLIENT, "8099")
    with lab.background("client", *say_peer, ready="listening"):
        seen = ask_from(lab, client_pod, f"{CLIENT}:8099")
    assert seen == EXTERNAL_IP[client_pod["spec"]["nodeName"]]
