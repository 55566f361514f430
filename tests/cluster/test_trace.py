"""`wellhead trace` says what the server says, who rewrote the source, and what ended a lost request."""

from __future__ import annotations

import json
import signal
import subprocess
from functools import partial

import pytest

from tests import forks
from tests.cluster.lab import BIN, CLIENT, Lab, Obj, client_address, eventually
from tests.patience import PATIENCE

SERVICES: dict[str, Obj] = {
    "cluster": {"type": "LoadBalancer"},
    "local": {"type": "LoadBalancer", "externalTrafficPolicy": "Local"},
    "keeping": {"type": "LoadBalancer", "annotations": {"wellhead.dev/preserve-client-ip": "true"}},
    "terminating": {
        "type": "LoadBalancer",
        "loadBalancerClass": "wellhead.dev/proxy",
        "ports": [{"name": "http", "port": 80, "targetPort": 8080}],
    },
    "nobody": {"type": "NodePort", "selector": {"app": "nobody"}},
    "datagrams": {"type": "NodePort", "ports": [{"port": 53, "protocol": "UDP", "targetPort": 5353}]},
}
WITH_VIPS = ("cluster", "local", "keeping", "terminating")


@pytest.fixture(scope="module")
def lab(lab_of_each_mode: Lab) -> Lab:
    """Every case in every proxy mode."""
    return lab_of_each_mode


@pytest.fixture(scope="module")
def shop(lab: Lab, namespace: str) -> str:
    """A server on node-1, a client pod on node-2, and the Services. Both nodes' proxies know them all."""
    lab.run_pod("server", "node-1", namespace)
    lab.run_pod("asker", "node-2", namespace, image="busybox")
    for name, spec in SERVICES.items():
        lab.expose(name, "server", namespace, ipFamilyPolicy="PreferDualStack", **spec)
    for name in WITH_VIPS:
        for vip in lab.vips(name, namespace, 2):
            eventually(partial(_is_answered, lab, vip), True)
    kept = lab.vips("keeping", namespace, 2)[0]
    eventually(lambda: lab.curl("client", f"http://{kept}/"), CLIENT)
    return namespace


def _is_answered(lab: Lab, vip: str) -> bool:
    host = f"[{vip}]" if ":" in vip else vip
    return lab.curl("client", f"http://{host}/") is not None


def traced(lab: Lab, namespace: str, *arguments: str) -> Obj:
    """What `wellhead trace -o json` prints."""
    command = ("trace", "--name", lab.name, "-n", namespace, "-o", "json", *arguments)
    answer: Obj = json.loads(forks.run(*command, seconds=3 * PATIENCE).stdout)
    return answer


def outcome(trace: Obj) -> Obj:
    found: Obj = trace["way"]["outcomes"][0]
    return found


ASKED: dict[str, tuple[str, ...]] = {
    "load balancer, Cluster": ("--to", "svc/cluster"),
    "load balancer, Local": ("--to", "svc/local"),
    "load balancer, kept": ("--to", "svc/keeping"),
    "load balancer that terminates": ("--to", "svc/terminating"),
    "node port of another node": ("--to", "svc/cluster", "--via", "node-2"),
    "node port of the server's node, Local": ("--to", "svc/local", "--via", "node-1"),
    "ClusterIP from a pod": ("--from", "pod/asker", "--to", "svc/cluster"),
    "ClusterIP from itself": ("--from", "pod/server", "--to", "svc/cluster"),
    "ClusterIP from a node": ("--from", "node/node-2", "--to", "svc/cluster"),
    "pod from a pod": ("--from", "pod/asker", "--to", "pod/server:8080"),
    "IPv6": ("-6", "--to", "svc/cluster"),
    "IPv6, Local": ("-6", "--to", "svc/local"),
}


@pytest.mark.parametrize("asked", ASKED)
def test_the_source_that_was_seen_is_what_the_server_saw(lab: Lab, shop: str, asked: str) -> None:
    trace = traced(lab, shop, *ASKED[asked])
    found = outcome(trace)
    assert found["disposition"] == "delivered", trace
    assert found["source"] == client_address(trace["answer"]["body"])
    assert found["endpointPod"] == f"{shop}/server"
    kept = found["source"] == trace["way"]["clientAddress"]
    assert (found["seenAs"] == "client") == kept
    rewriting = [step for step in found["steps"] if step["what"] in ("snat", "terminate")]
    assert rewriting or kept, "whoever took the address away is named"
    assert all("not seen" not in step["because"] for step in rewriting)


def test_a_packet_that_is_dropped_ends_at_a_rule_that_names_its_service(lab: Lab, shop: str) -> None:
    found = outcome(traced(lab, shop, "--to", "svc/local", "--via", "node-2"))
    last = found["steps"][-1]
    assert (found["disposition"], last["what"], last.get("node")) == ("dropped", "drop", "node-2")
    assert last["who"].startswith("service proxy")


def test_a_packet_that_is_refused_is_told_from_one_that_is_dropped(lab: Lab, shop: str) -> None:
    found = outcome(traced(lab, shop, "--to", "svc/nobody", "--via", "node-3"))
    assert found["disposition"] == "refused"
    assert [step["what"] for step in found["steps"] if step.get("node") == "node-3"] == ["refuse"]


def test_a_datagram_is_followed_to_the_pod_that_has_no_socket_for_it(lab: Lab, shop: str) -> None:
    trace = traced(lab, shop, "--to", "svc/datagrams", "--via", "node-2")
    assert outcome(trace)["disposition"] == "refused"
    places = [hop["place"] for hop in trace["hops"] if hop["direction"] == "request"]
    assert places[0] == "client"
    assert places[-1] == f"pod {shop}/server"
    answers = [hop["place"] for hop in trace["hops"] if hop["direction"] == "reply"]
    assert (answers[0], answers[-1]) == (f"pod {shop}/server", "client")


def test_a_connection_is_followed_through_a_terminating_balancer(lab: Lab, shop: str) -> None:
    trace = traced(lab, shop, "--to", "svc/terminating")
    assert [(hop["leg"], hop["place"]) for hop in trace["hops"] if hop["direction"] == "request"][-1] == (
        2,
        f"pod {shop}/server",
    )
    assert any(rule["text"] for hop in trace["hops"] if hop["leg"] == 2 for rule in hop["rules"])


def test_a_prediction_is_put_beside_it(lab: Lab, shop: str) -> None:
    compared = traced(lab, shop, "--to", "svc/cluster", "--compare")
    assert compared["differences"] == []
    assert len(compared["predicted"]["outcomes"]) == 3, "one endpoint, three nodes to come in by"


def tables(lab: Lab, host: str) -> set[str]:
    return set(lab.on(host, "nft", "list", "tables").splitlines())


def test_nothing_is_left_even_by_a_kill(lab: Lab, shop: str) -> None:
    before = {host: tables(lab, host) for host in ("client", "edge", "node-1", "node-2")}
    traced(lab, shop, "--to", "svc/cluster")
    assert {host: tables(lab, host) for host in before} == before
    # An address where nobody answers and no rule drops: the trace waits, and is killed meanwhile.
    command = [
        str(BIN / "wellhead"),
        "trace",
        "--name",
        lab.name,
        "--to",
        "198.51.100.200:9",
        "--timeout",
        "600",
    ]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            eventually(lambda: "table inet wellhead-trace" in tables(lab, "client"), True)
        finally:
            process.send_signal(signal.SIGKILL)
    eventually(lambda: {host: tables(lab, host) for host in before} == before, True)
