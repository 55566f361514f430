"""Which nodes can still answer for a Service, and which endpoints take new connections."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address

import pytest

from wellhead.api.meta import Obj
from wellhead.cloud.endpoints import endpoints, service_of
from wellhead.ip import Family
from wellhead.services.endpointslice import EndpointAddress, EndpointSlice, parse_endpoint_slice

READY = {"ready": True, "serving": True, "terminating": False}
DRAINING = {"ready": False, "serving": True, "terminating": True}
GONE = {"ready": False, "serving": False, "terminating": True}


def endpoint(address: str, conditions: Obj | None, node: str = "node-1") -> Obj:
    return {"addresses": [address], "nodeName": node, "conditions": conditions}


def endpoint_slice(
    *members: Obj, port: int = 8080, name: str = "http", family: str = "IPv4", protocol: str = "TCP"
) -> EndpointSlice | None:
    labels = {"kubernetes.io/service-name": "web"}
    return parse_endpoint_slice(
        {
            "metadata": {"namespace": "default", "name": f"web-{port}", "labels": labels},
            "addressType": family,
            "endpoints": list(members),
            "ports": [{"name": name, "port": port, "protocol": protocol}],
        }
    )


@pytest.mark.parametrize(
    ("conditions", "serves"),
    [
        (READY, True),
        (DRAINING, True),
        ({"ready": False, "serving": False}, False),
        ({"ready": False}, True),  # what is unset counts as true
        ({"ready": True, "serving": False}, True),  # publishNotReadyAddresses
        ({}, True),
        (None, True),
    ],
)
def test_flows_go_on_until_no_endpoint_of_a_node_serves(conditions: Obj | None, serves: bool) -> None:
    without_node = {"addresses": ["10.244.1.9"]}
    found = endpoints([endpoint_slice(endpoint("10.244.1.8", conditions), without_node)])
    assert found.serving_nodes == ({"node-1"} if serves else set())


def test_ready_endpoints_are_usable_and_those_that_drain_only_when_none_is_ready() -> None:
    one, two = endpoint("10.244.1.1", READY), endpoint("10.244.1.2", DRAINING)
    gone = endpoint("10.244.1.3", GONE)
    unready = endpoint("10.244.1.4", {"ready": False, "serving": True})  # serves, but does not terminate
    assert usable(endpoint_slice(one, two, gone, unready)) == {"http": ["10.244.1.1:8080"]}
    assert usable(endpoint_slice(two, gone, unready)) == {"http": ["10.244.1.2:8080"]}
    assert usable(endpoint_slice(gone, unready)) == {"http": []}


def usable(*slices: EndpointSlice | None) -> dict[str, list[str]]:
    return {name: [str(each) for each in found] for (_, name), found in endpoints(slices).usable.items()}


def test_a_named_target_port_may_differ_from_slice_to_slice() -> None:
    slices = [
        endpoint_slice(endpoint("10.244.1.1", READY)),
        endpoint_slice(endpoint("10.244.2.1", READY), port=9090),
        endpoint_slice(endpoint("fd00::1", READY), port=1, name="", family="IPv6"),
        endpoint_slice(endpoint("10.244.3.1", READY), protocol="UDP", name="dns"),
    ]
    assert endpoints(slices).usable == {
        (Family.IPV4, "http"): (
            EndpointAddress(IPv4Address("10.244.1.1").packed, 8080),
            EndpointAddress(IPv4Address("10.244.2.1").packed, 9090),
        ),
        (Family.IPV6, ""): (EndpointAddress(IPv6Address("fd00::1").packed, 1),),
    }


def test_a_slice_belongs_to_the_service_in_its_label() -> None:
    assert service_of(endpoint_slice()) == [("default", "web")]
    assert service_of(None) == []
