"""What a client gets where nobody can answer: a refusal at once, or silence."""

from __future__ import annotations

import pytest

from tests.cluster.lab import EXTERNAL_IP, Lab, eventually

_REFUSED, _SILENCE = "7", "28"  # curl's exit codes


def outcome(lab: Lab, host: str, url: str, seconds: float = 3) -> str:
    script = f"curl -s -o /dev/null --connect-timeout {seconds} {url}; echo $?"
    return lab.on(host, "sh", "-c", script).strip()


@pytest.mark.parametrize("policy", ["Cluster", "Local"])
def test_the_nat_on_the_way_carries_a_refusal_back_to_the_client(
    lab: Lab, namespace: str, policy: str
) -> None:
    name = f"nobody-{policy.lower()}"
    lab.expose(name, "nobody", namespace, type="LoadBalancer", externalTrafficPolicy=policy)
    address = "jsonpath={.status.loadBalancer.ingress[0].ip}"
    lab.kubectl("wait", f"--for={address}", f"service/{name}", "-n", namespace, "--timeout=60s")
    service = lab.get("service", name, namespace)
    node_port = f"{EXTERNAL_IP['node-2']}:{service['spec']['ports'][0]['nodePort']}"
    eventually(lambda: outcome(lab, "client", node_port), _REFUSED)
    if policy == "Cluster":  # under Local, no node passes its check, so the load balancer has none to ask
        vip = service["status"]["loadBalancer"]["ingress"][0]["ip"]
        eventually(lambda: outcome(lab, "client", vip), _REFUSED)


@pytest.mark.parametrize("host", ["node-1", "client"])
def test_an_address_that_no_service_has_is_silent(lab: Lab, host: str) -> None:
    """In iptables mode a node sends such packets on, as kube-proxy does, and the edge discards them."""
    assert outcome(lab, host, "10.0.77.77", seconds=0.5) == _SILENCE
