"""Clients outside keep their address under policy Cluster: what the source-IP matrix doesn't ask."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster.lab import (
    ADDRESSES,
    CLIENT,
    EXTERNAL_IP,
    INTERNAL_IP,
    NODES,
    Lab,
    eventually,
    kill,
    pid_of,
)
from tests.cluster.load import DOWNLOADS, ENDLESS, SHORT, Crowd, crowd, server

ANNOTATION = "wellhead.dev/preserve-client-ip"
UDP_PORT = 8098
_ASK = "import socket; s = socket.socket(type=socket.SOCK_DGRAM); s.connect(({!r}, {})); "
_ASK += "s.settimeout(5); "  # nobody repeats a datagram that came too early
_ASK += "s.send(b'?'); print(s.recv(100).decode())"


@pytest.fixture(scope="module")
def port(lab: Lab, namespace: str) -> Iterator[int]:
    """The node port of a Service whose only endpoint is on node-1."""
    lab.apply({**DOWNLOADS, "metadata": {"name": "downloads", "namespace": namespace}})
    lab.run_pod("server", "node-1", namespace, **server())
    made = lab.expose("web", "server", namespace, type="NodePort", annotations={ANNOTATION: "true"})
    yield made["spec"]["ports"][0]["nodePort"]
    lab.kubectl("delete", "service", "web", "-n", namespace)


@pytest.fixture
def clients(lab: Lab) -> Iterator[Crowd]:
    with crowd(lab) as found:
        yield found


def seen(clients: Crowd, port: int, node: str) -> str:
    """Whom the server sees when a client outside dials the node."""
    [begun] = clients.download(f"http://{EXTERNAL_IP[node]}:{port}{SHORT}", 1)
    return begun.seen


def all_keep(clients: Crowd, port: int) -> bool:
    """Whether a client outside keeps its address by every node."""
    return all(seen(clients, port, node) == CLIENT for node in NODES)


def none_keep(clients: Crowd, port: int) -> bool:
    """Whether it is masqueraded by every node."""
    return all(seen(clients, port, node) in ADDRESSES[node] for node in NODES)


def test_switched_off_or_the_proxies_killed_connections_go_on_as_they_began(
    lab: Lab, namespace: str, port: int, clients: Crowd
) -> None:
    eventually(lambda: all_keep(clients, port), True)
    for node in NODES:
        begun = clients.download(f"http://{EXTERNAL_IP[node]}:{port}{ENDLESS}", 5)
        assert {(each.state, each.seen) for each in begun} == {("running", CLIENT)}

    def received() -> list[int]:
        return [each.received for each in clients.report() if each.url.endswith(ENDLESS)]

    def all_go_on() -> None:
        before = received()
        eventually(lambda: all(now > then for now, then in zip(received(), before, strict=True)), True)

    lab.kubectl("annotate", "service", "web", "-n", namespace, f"{ANNOTATION}-")
    eventually(lambda: none_keep(clients, port), True)
    all_go_on()

    lab.kubectl("annotate", "service", "web", "-n", namespace, f"{ANNOTATION}=true")
    eventually(lambda: all_keep(clients, port), True)
    killed = {node: kill(lab, node, "proxy") for node in NODES}
    all_go_on()
    eventually(lambda: all(pid_of(lab, node, "proxy") not in (0, killed[node]) for node in NODES), True)
    eventually(lambda: all_keep(clients, port), True)
    all_go_on()


def test_udp_and_a_pod_in_its_nodes_network(lab: Lab, namespace: str) -> None:
    lab.apply(
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": "udp", "namespace": namespace, "annotations": {ANNOTATION: "true"}},
            "spec": {"type": "NodePort", "ports": [{"port": 53, "protocol": "UDP"}]},
        },
        {
            "apiVersion": "discovery.k8s.io/v1",
            "kind": "EndpointSlice",
            "metadata": {
                "name": "udp-1",
                "namespace": namespace,
                "labels": {"kubernetes.io/service-name": "udp"},
            },
            "addressType": "IPv4",
            "ports": [{"port": UDP_PORT, "protocol": "UDP"}],
            "endpoints": [{"addresses": [INTERNAL_IP["node-1"]], "nodeName": "node-1"}],
        },
    )
    port = lab.get("service", "udp", namespace)["spec"]["ports"][0]["nodePort"]
    script = str(Path(__file__).with_name("say_udp_peer.py"))
    with lab.background("node-1", "python3", script, INTERNAL_IP["node-1"], str(UDP_PORT), ready="listening"):
        asks = [("python3", "-c", _ASK.format(EXTERNAL_IP[node], port)) for node in NODES]

        def answers() -> list[str]:
            return [lab.on("client", *ask, check=False).strip() for ask in asks]

        eventually(answers, [CLIENT] * len(NODES))
    lab.kubectl("delete", "service", "udp", "-n", namespace)
