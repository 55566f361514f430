"""What a Service of the proxy's class asks for, and what each of its ports tells the server of the client."""

from __future__ import annotations

from ipaddress import IPv4Network, IPv6Network

import pytest

from wellhead.api.meta import Obj
from wellhead.api.names import SOURCE_RANGES_ANNOTATION
from wellhead.cloud.classes import Unsupported
from wellhead.cloud.haproxy.client_ip import ClientIP
from wellhead.cloud.haproxy.termination import Port, Termination, termination
from wellhead.ip import IPNetwork


def service(*ports: Obj, client_ip: str | None = None, **spec: object) -> Obj:
    annotations = {} if client_ip is None else {"wellhead.dev/client-ip": client_ip}
    return {
        "metadata": {"namespace": "default", "name": "web", "annotations": annotations},
        "spec": {"type": "LoadBalancer", "ports": list(ports or [{"port": 80, "nodePort": 30080}]), **spec},
    }


def way(client_ip: str | None = None, **port: str) -> ClientIP:
    return (
        termination(service({"port": 80, "nodePort": 30080, **port}, client_ip=client_ip)).ports[0].client_ip
    )


def test_a_plain_service_asks_for_little() -> None:
    assert termination(service()) == Termination((Port("", 80, 30080, ClientIP.NONE),))


def test_a_port_that_says_http_gets_both_headers_and_others_get_nothing() -> None:
    assert way(appProtocol="http") is ClientIP.BOTH
    assert way(appProtocol="HTTP") is ClientIP.BOTH
    assert way(name="http") is ClientIP.BOTH
    assert way(name="http-alt") is ClientIP.BOTH
    assert way() is ClientIP.NONE
    assert way(name="https") is ClientIP.NONE
    assert way(name="http", appProtocol="kubernetes.io/h2c") is ClientIP.NONE


def test_a_header_that_is_asked_for_goes_wherever_http_is_possible() -> None:
    assert way("forwarded") is ClientIP.FORWARDED
    assert way("x-forwarded-for", name="web") is ClientIP.X_FORWARDED_FOR
    assert way("forwarded", name="http") is ClientIP.FORWARDED
    assert way("forwarded", name="https") is ClientIP.NONE
    assert way("forwarded", appProtocol="tls") is ClientIP.NONE


def test_proxy_protocol_and_nothing_are_for_every_port() -> None:
    assert way("proxy-v1", name="http") is ClientIP.PROXY_V1
    assert way("proxy-v2", name="https") is ClientIP.PROXY_V2
    assert way("none", appProtocol="http") is ClientIP.NONE


def test_the_annotation_limits_sources_where_the_field_does_not() -> None:
    asking = service()
    asking["metadata"]["annotations"][SOURCE_RANGES_ANNOTATION] = "198.51.100.0/24, 2001:db8::/32"
    both = (IPv4Network("198.51.100.0/24"), IPv6Network("2001:db8::/32"))
    assert termination(asking).source_ranges == both
    asking["spec"]["loadBalancerSourceRanges"] = ["10.0.0.0/8"]
    assert termination(asking).source_ranges == (IPv4Network("10.0.0.0/8"),)


def test_source_ranges_count_per_family_and_slash_zero_is_no_limit() -> None:
    def ranges(*texts: str) -> tuple[IPNetwork, ...]:
        return termination(service(loadBalancerSourceRanges=list(texts))).source_ranges

    assert ranges("198.51.100.0/24", " 10.0.0.0/8 ", "2001:db8::/32") == (
        IPv4Network("10.0.0.0/8"),
        IPv4Network("198.51.100.0/24"),
        IPv6Network("2001:db8::/32"),
    )
    assert ranges("10.0.0.0/8", "0.0.0.0/0", "2001:db8::/32") == (IPv6Network("2001:db8::/32"),)
    assert ranges("2001:db8::/32", "::/0") == ()


def test_affinity_lasts_as_long_as_the_service_says() -> None:
    config = {"clientIP": {"timeoutSeconds": 60}}
    assert termination(service()).affinity_seconds == 0
    assert termination(service(sessionAffinity="ClientIP")).affinity_seconds == 10800
    asked = termination(service(sessionAffinity="ClientIP", sessionAffinityConfig=config))
    assert asked.affinity_seconds == 60


def test_a_port_without_a_node_port_leads_to_endpoints() -> None:
    mixed = termination(service({"port": 80, "nodePort": 30080}, {"port": 81, "name": "b"}))
    assert (mixed.dials_nodes, mixed.dials_endpoints) == (True, True)
    assert not termination(service()).dials_endpoints


@pytest.mark.parametrize(
    ("asked", "reason"),
    [
        (service({"port": 53, "protocol": "UDP"}), "port 53: protocol UDP is beyond a terminating proxy"),
        (service({"port": 53, "protocol": "SCTP"}), "protocol SCTP is beyond"),
        (
            service(client_ip="via-pigeon"),
            "'via-pigeon' is none of none, x-forwarded-for, forwarded, proxy-v1",
        ),
        (service(client_ip=""), "'' is none of"),
        (service(loadBalancerSourceRanges=["somewhere"]), "'somewhere' in loadBalancerSourceRanges"),
    ],
)
def test_what_a_proxy_cannot_do_is_said(asked: Obj, reason: str) -> None:
    with pytest.raises(Unsupported, match=reason):
        termination(asked)
