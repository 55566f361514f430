"""Load balancers that terminate connections: the source is theirs, the client is told otherwise."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.cluster.family import IPV6, url
from tests.cluster.lab import ADDRESSES, CLIENT, Lab, eventually
from tests.patience import until

BALANCER = "10.240.0.3"
_PLAIN, _PROXY_PROTOCOL = 8080, 8081  # the echoserver's ports


@pytest.fixture(scope="module", autouse=True)
def _server(lab: Lab, namespace: str) -> None:
    lab.run_pod("server", "node-1", namespace)


@contextmanager
def proxied(lab: Lab, namespace: str, mode: str, port: int, policy: str = "Cluster") -> Iterator[str]:
    """The VIP of a Service of that class, once it has one."""
    name = f"{mode}-{policy.lower()}"
    metadata = {"name": name, "namespace": namespace, "annotations": {"wellhead.dev/client-ip": mode}}
    spec = {
        "type": "LoadBalancer",
        "loadBalancerClass": "wellhead.dev/proxy",
        "externalTrafficPolicy": policy,
        "selector": {"app": "server"},
        "ports": [{"port": 80, "targetPort": port}],
    }
    lab.apply({"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": spec})
    address = "jsonpath={.status.loadBalancer.ingress[0].ip}"
    lab.kubectl("wait", f"--for={address}", f"service/{name}", "-n", namespace, "--timeout=60s")
    service = lab.get("service", name, namespace)
    assert service["status"]["loadBalancer"]["ingress"][0]["ipMode"] == "Proxy"
    yield service["status"]["loadBalancer"]["ingress"][0]["ip"]
    lab.kubectl("delete", "service", name, "-n", namespace)


def headers(lab: Lab, vip: str) -> list[str]:
    """The headers that arrive when the client lies about who it is."""
    lies = ("-H", "X-Forwarded-For: 192.0.2.66", "-H", "Forwarded: for=192.0.2.66")
    return lab.on("client", "curl", "-s", "--max-time", "2", *lies, vip, check=False).splitlines()


@pytest.mark.parametrize("policy", ["Cluster", "Local"])
def test_the_source_is_the_balancers_or_a_nodes(lab: Lab, namespace: str, policy: str) -> None:
    wanted = {BALANCER} if policy == "Local" else set[str]().union(*ADDRESSES.values())
    with proxied(lab, namespace, "none", _PLAIN, policy) as vip:
        eventually(lambda: lab.curl("client", vip), wanted)


@pytest.mark.parametrize(
    ("mode", "told"),
    [("x-forwarded-for", f"x-forwarded-for={CLIENT}"), ("forwarded", f"forwarded=for={CLIENT}")],
)
def test_a_header_tells_the_client_and_lies_are_replaced(
    lab: Lab, namespace: str, mode: str, told: str
) -> None:
    with proxied(lab, namespace, mode, _PLAIN) as vip:
        answer = until(
            lambda: headers(lab, vip), lambda lines: any("client_address=" in each for each in lines)
        )
    assert any(line.lower().startswith(told) for line in answer), answer
    assert not any("192.0.2.66" in line for line in answer), answer


def test_from_inside_the_balancer_is_dialled_like_anything_outside(lab: Lab, namespace: str) -> None:
    lab.run_pod("inside", "node-2", namespace, image="busybox")
    with proxied(lab, namespace, "proxy-v2", _PROXY_PROTOCOL) as vip:
        eventually(lambda: lab.wget("inside", vip, namespace), ADDRESSES["node-2"])
        eventually(lambda: lab.curl("node-2", vip), ADDRESSES["node-2"])


@pytest.mark.parametrize("mode", ["proxy-v1", "proxy-v2"])
def test_the_proxy_protocol_tells_the_client(lab: Lab, namespace: str, mode: str) -> None:
    with proxied(lab, namespace, mode, _PROXY_PROTOCOL) as vip:
        eventually(lambda: lab.curl("client", vip), CLIENT)


@pytest.mark.parametrize(
    ("mode", "port", "told"),
    [
        ("proxy-v1", _PROXY_PROTOCOL, f"client_address={IPV6.client}"),
        ("proxy-v2", _PROXY_PROTOCOL, f"client_address={IPV6.client}"),
        ("x-forwarded-for", _PLAIN, f"x-forwarded-for={IPV6.client}"),
        ("forwarded", _PLAIN, f'forwarded=for="[{IPV6.client}]"'),
    ],
)
def test_an_ipv6_client_of_a_dual_stack_service_is_told_of(
    lab: Lab, namespace: str, mode: str, port: int, told: str
) -> None:
    metadata = {"namespace": namespace, "annotations": {"wellhead.dev/client-ip": mode}}
    spec = {
        "type": "LoadBalancer",
        "loadBalancerClass": "wellhead.dev/proxy",
        "ipFamilyPolicy": "RequireDualStack",
        "ipFamilies": ["IPv6", "IPv4"],
        "selector": {"app": "server"},
        "ports": [{"port": 80, "targetPort": port}],
    }
    name = f"{mode}-ipv6"
    lab.apply({"apiVersion": "v1", "kind": "Service", "metadata": {"name": name, **metadata}, "spec": spec})
    vip = lab.vips(name, namespace, 2)[0]
    assert ":" in vip

    def answer() -> bool:
        lines = lab.on("client", "curl", "-gs", "--max-time", "2", url(vip), check=False).splitlines()
        return any(line.lower().startswith(told) for line in lines)

    eventually(answer, True)
    lab.kubectl("delete", "service", name, "-n", namespace)
