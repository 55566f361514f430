"""What a pod dials that isn't a pod, and who dials it without being one: Services' outer addresses, nodes."""

from __future__ import annotations

import contextlib
import select
from collections.abc import Iterator
from typing import Any

import pytest

from tests.packets.policy.conftest import Policies
from tests.packets.policy.test_packets import APP_A, OF, denied, families, from_
from tests.packets.proxy.nftables_world import NftablesWorld
from tests.packets.proxy.test_source_ip import VIP, VIP6, web
from tests.packets.proxy.world import POD_A, POD_FAR, POD_FAR6, REFUSED, TARGET_PORT, Answer, connect, dial
from tests.unit.services.objects import endpoint, slice_object
from wellhead.policies.pods import parse_pod
from wellhead.services.endpointslice import parse_endpoint_slice

pytestmark = pytest.mark.cluster

OTHER_NODE = {4: "10.240.0.12", 6: "fd00:10:240::12"}
VIPS = {4: VIP, 6: VIP6}


def to(**labels: str) -> dict[str, Any]:
    return {"to": [{"podSelector": {"matchLabels": labels}}]}


@pytest.fixture
def far_service(world: NftablesWorld) -> Iterator[None]:
    """A load balancer's Service, whose endpoint is the other node's pod."""
    ports = ({"name": "tcp", "port": TARGET_PORT, "protocol": "TCP"},)
    slices = [
        slice_object(endpoint(address, "node-2"), name=family, family=family, ports=ports)
        for family, address in (("IPv4", POD_FAR), ("IPv6", POD_FAR6))
    ]
    world.program([web()], [found for each in slices if (found := parse_endpoint_slice(each)) is not None])
    yield
    world.program([], [])


@families
def test_behind_its_own_nodes_node_port_or_a_vip_a_pod_dials_the_endpoint(
    world: NftablesWorld, policies: Policies, far_service: None, family: int
) -> None:
    node, far = OF[family][4], OF[family][2]
    about = {"podSelector": {"matchLabels": {"app": "b"}}, "policyTypes": ["Egress"]}
    policies.policy("b", **about, egress=[to(app="far")])
    policies.apply()
    for address, port in ((node, 30080), (VIPS[family], 80)):
        assert dial(world.pod_b, address, port).server == far
    policies.policy("b", **about, egress=[to(app="a")])
    policies.apply()
    a = OF[family][0]
    for address, port in ((node, 30080), (VIPS[family], 80)):
        assert lost(world, address, port, then=a)


@families
def test_another_nodes_node_port_is_that_nodes_address(
    world: NftablesWorld, policies: Policies, family: int
) -> None:
    far, other = OF[family][2], OTHER_NODE[family]
    about = {"podSelector": {"matchLabels": {"app": "b"}}, "policyTypes": ["Egress"]}
    policies.policy("b", **about, egress=[to(app="far")])
    policies.apply()
    assert lost(world, other, TARGET_PORT, then=far)
    block = {"ipBlock": {"cidr": f"{other}/{32 if family == 4 else 128}"}}
    policies.policy("b", **about, egress=[{"to": [block]}])
    policies.apply()
    assert dial(world.pod_b, other, TARGET_PORT) == REFUSED, "it comes there; nobody listens"


@families
def test_a_pod_on_another_nodes_network_comes_as_that_node(
    world: NftablesWorld, policies: Policies, family: int
) -> None:
    a, other = OF[family][0], OTHER_NODE[family]
    policies.known.set_pod(
        ("shop", "host"),
        parse_pod(
            {
                "metadata": {"namespace": "shop", "name": "host", "labels": {"app": "b"}},
                "spec": {"nodeName": "node-2", "hostNetwork": True},
                "status": {"podIPs": [{"ip": other}], "phase": "Running"},
            }
        ),
    )
    policies.policy("a", podSelector=APP_A, ingress=[from_(app="b")])
    policies.apply()
    assert denied(world, world.other_node, a, source=other)
    block = {"ipBlock": {"cidr": f"{other}/{32 if family == 4 else 128}"}}
    policies.policy("a", podSelector=APP_A, ingress=[{"from": [block]}])
    policies.apply()
    assert dial(world.other_node, a, TARGET_PORT, source=other) == Answer(a, other)


def test_an_ended_pods_address_is_the_next_ones_alone(world: NftablesWorld, policies: Policies) -> None:
    """Whatever is heard first: of the old one's end, or of the new one."""
    policies.policy("a", podSelector=APP_A, ingress=[from_(app="job")])
    old = pod("job", "2026-11-01T00:00:00Z", "Running")
    new = pod("next", "2026-11-02T00:00:00Z", "Running")
    ended = pod("job", "2026-11-01T00:00:00Z", "Succeeded")
    policies.known.set_pod(("shop", "far"), None)
    policies.known.set_pod(("shop", "job"), parse_pod(old))
    policies.apply()
    assert dial(world.other_node, POD_A, TARGET_PORT, source=POD_FAR) == Answer(POD_A, POD_FAR)
    policies.known.set_pod(("shop", "next"), parse_pod(new))
    policies.apply()
    assert denied(world, world.other_node, POD_A, source=POD_FAR)
    policies.known.set_pod(("shop", "job"), parse_pod(ended))
    policies.apply()
    assert denied(world, world.other_node, POD_A, source=POD_FAR)
    policies.known.set_pod(("shop", "next"), None)
    policies.apply()
    assert denied(world, world.other_node, POD_A, source=POD_FAR)


def pod(name: str, created: str, phase: str) -> dict[str, Any]:
    return {
        "metadata": {
            "namespace": "shop",
            "name": name,
            "uid": name,
            "creationTimestamp": created,
            "labels": {"app": name},
        },
        "spec": {"nodeName": "node-2"},
        "status": {"podIPs": [{"ip": POD_FAR}], "phase": phase},
    }


def lost(world: NftablesWorld, address: str, port: int, *, then: str) -> bool:
    """Whether `b` gets no answer, while another pod that it may dial, and dialled later, answered."""
    with connect(world.pod_b, address, port) as client:
        sock = client._socket
        sock.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            sock.connect((address, port))
        assert dial(world.pod_b, then, TARGET_PORT).server == then
        return not any(select.select([sock], [sock], [], 0))
