"""Which nodes can still answer for a Service, and which endpoints take new connections."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address

import pytest

from wellhead.api.meta import Obj
from wellhead.cloud.endpoints import endpoints, service_of

READY = {"ready": True, "serving": True, "terminating": False}
DRAINING = {"ready": False, "serving": True, "terminating": True}
GONE = {"ready": False, "serving": False, "terminating": True}


def endpoint(address: str, conditions: Obj | None, node: str = "node-1") -> Obj:
    return {"addresses": [address], "nodeName": node, "conditions": conditions}


def endpoint_slice(*members: Obj, port: int = 8080, name: str = "http") -> Obj:
    return {"addressType": "IPv4", "endpoints": list(members), "ports": [{"name": name, "port": port}]}


@pytest.mark.parametrize(
    ("conditions", "serves"),
    [
        (READY, True),
        (DRAINING, True),
        ({"ready": False, "serving": False}, False),
        ({"ready": False}, False),
        ({}, True),
        (None, True),
    ],
)
def test_an_endpoint_serves_until_it_says_otherwise(conditions: Obj | None, serves: bool) -> None:
    without_node = {"addresses": ["10.244.1.9"]}
    found = endpoints([{"endpoints": [endpoint("10.244.1.8", conditions), without_node]}])
    assert found.serving_nodes == ({"node-1"} if serves else set())


def test_ready_endpoints_are_usable_and_those_that_drain_only_when_none_is_ready() -> None:
    one, two = endpoint("10.244.1.1", READY), endpoint("10.244.1.2", DRAINING)
    gone = endpoint("10.244.1.3", GONE)
    assert endpoints([endpoint_slice(one, two, gone)]).usable == {
        (4, "http"): {(IPv4Address("10.244.1.1"), 8080)},
    }
    assert endpoints([endpoint_slice(two, gone)]).usable == {(4, "http"): {(IPv4Address("10.244.1.2"), 8080)}}
    assert endpoints([endpoint_slice(gone)]).usable == {}


def test_a_named_target_port_may_differ_from_slice_to_slice() -> None:
    slices = [
        endpoint_slice(endpoint("10.244.1.1", READY)),
        endpoint_slice(endpoint("10.244.2.1", READY), port=9090),
        {"addressType": "IPv6", "endpoints": [endpoint("fd00::1", READY)], "ports": [{"port": 1}]},
    ]
    assert endpoints(slices).usable == {
        (4, "http"): {(IPv4Address("10.244.1.1"), 8080), (IPv4Address("10.244.2.1"), 9090)},
        (6, ""): {(IPv6Address("fd00::1"), 1)},
    }


def test_a_slice_belongs_to_the_service_in_its_label() -> None:
    metadata = {"namespace": "default", "name": "web-x", "labels": {"kubernetes.io/service-name": "web"}}
    assert service_of({"metadata": metadata}) == [("default", "web")]
    assert service_of({"metadata": {"namespace": "default", "name": "loose"}}) == []
