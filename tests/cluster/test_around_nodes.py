"""Two that know the way to pods and need no node port: the API server and the terminating proxy."""

from __future__ import annotations

import subprocess

import pytest

from tests.cluster.lab import Lab, client_address, eventually

CONTROL_PLANE, BALANCER = "10.240.0.2", "10.240.0.3"


@pytest.fixture(scope="module", autouse=True)
def _server(lab: Lab, namespace: str) -> None:
    lab.run_pod("server", "node-2", namespace)


def test_the_api_server_passes_requests_on_to_pods_and_services(lab: Lab, namespace: str) -> None:
    lab.expose("web", "server", namespace)
    for path in ("pods/server:8080", "services/web"):
        address = f"/api/v1/namespaces/{namespace}/{path}/proxy/some/where"

        def seen(address: str = address) -> str | None:
            try:
                answer = lab.kubectl("get", "--raw", address)
            except subprocess.CalledProcessError:  # the endpoints may be yet to come
                return None
            return client_address(answer) if "/some/where" in answer else None

        eventually(seen, CONTROL_PLANE)


def test_without_node_ports_the_terminating_proxy_dials_endpoints(lab: Lab, namespace: str) -> None:
    lab.expose(
        "direct",
        "server",
        namespace,
        type="LoadBalancer",
        loadBalancerClass="wellhead.dev/proxy",
        allocateLoadBalancerNodePorts=False,
    )
    address = "jsonpath={.status.loadBalancer.ingress[0].ip}"
    lab.kubectl("wait", f"--for={address}", "service/direct", "-n", namespace, "--timeout=60s")
    service = lab.get("service", "direct", namespace)
    assert "nodePort" not in service["spec"]["ports"][0]
    eventually(lambda: lab.curl("client", service["status"]["loadBalancer"]["ingress"][0]["ip"]), BALANCER)
    lab.kubectl("delete", "service", "direct", "-n", namespace)
