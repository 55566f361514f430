"""`wellhead cloud` as a process, with an API server of its own, kubectl, and real packets: the forwarder."""

from __future__ import annotations

from ipaddress import IPv4Address
from typing import TYPE_CHECKING

import pytest

from tests.packets.cloud.control import Obj

if TYPE_CHECKING:
    from tests.packets.cloud.conftest import Network
    from tests.packets.cloud.control import Control

pytestmark = pytest.mark.cluster

VIP = "203.0.113.140"  # which the nodes hold
ONE, TWO, THREE = (IPv4Address(f"10.240.0.{host}") for host in (11, 12, 13))


def service(**spec: object) -> Obj:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "web"},
        "spec": {"type": "LoadBalancer", "ports": [{"port": 80}], "loadBalancerIP": VIP, **spec},
    }


async def test_the_life_of_a_load_balancer(network: Network, control: Control) -> None:
    for node in network.nodes:
        await network.serve_health(node, 10256)
    control.start_cloud()
    control.create(service())
    assert await control.until(control.vip) == f"{VIP} VIP"
    assert control.service()["metadata"]["finalizers"] == ["service.kubernetes.io/load-balancer-cleanup"]
    before = [await network.connect() for _ in range(40)]
    assert {connection.node for connection in before} == {ONE, TWO, THREE}
    assert {connection.client for connection in before} == {IPv4Address("198.51.100.79")}

    # Policy Local: only the node whose own check passes gets new connections; the others keep theirs.
    control.kubectl("patch", "service", "web", "-p", '{"spec":{"externalTrafficPolicy":"Local"}}')
    await network.serve_health(TWO, control.service()["spec"]["healthCheckNodePort"])
    await control.until(
        lambda: [n["state"] for n in control.status()["loadBalancers"][0]["nodes"]] == ["out", "in", "out"]
    )
    after = [await network.connect() for _ in range(10)]
    assert {connection.node for connection in after} == {TWO}
    assert all([await connection.works() for connection in before + after])

    # Killed and started again, it neither breaks a connection nor changes the VIP.
    control.kill_cloud()
    assert all([await connection.works() for connection in [*before, *after, await network.connect()]])
    control.start_cloud()
    await control.until(lambda: [each["vips"] for each in control.status()["loadBalancers"]] == [[VIP]])
    assert all([await connection.works() for connection in [*before, *after, await network.connect()]])

    # A node that is deleted loses its own connections.
    control.kubectl("delete", "node", "node-3")
    await control.until(lambda: network.edge.run("ip rule").count("fwmark") == 3)  # and the proxy's
    assert await network.works_all_but(before, THREE)

    control.kubectl("delete", "service", "web")
    await network.connect_in_vain()
    assert "elements" not in network.edge.run("nft list map ip wellhead-forwarder frontends")
    assert control.status()["vipsInUse"] == 0
    events = control.events()
    for reason in (
        "EnsuringLoadBalancer",
        "EnsuredLoadBalancer",
        "UpdatedLoadBalancer",
        "DeletedLoadBalancer",
    ):
        assert reason in events


async def test_a_type_change_gives_the_vip_back(network: Network, control: Control) -> None:
    await network.serve_health(ONE, 10256)
    control.start_cloud()
    control.create(service())
    await control.until(control.vip)
    assert (await network.connect()).node == ONE
    control.kubectl("patch", "service", "web", "-p", '{"spec":{"type":"ClusterIP","loadBalancerIP":null}}')
    await control.until(lambda: "finalizers" not in control.service()["metadata"])
    assert control.vip() == ""
    await network.connect_in_vain()
    assert control.status()["vipsInUse"] == 0


async def test_what_became_anothers_meanwhile_loses_our_finalizer_and_nothing_else(
    network: Network, control: Control
) -> None:
    control.start_cloud()
    control.create(service())
    await control.until(control.vip)
    control.kill_cloud()
    for change in (
        '{"spec":{"type":"ClusterIP","loadBalancerIP":null}}',
        '{"spec":{"type":"LoadBalancer","loadBalancerClass":"example.com/lb"}}',
    ):
        control.kubectl("patch", "service", "web", "-p", change)
    theirs = '{"status":{"loadBalancer":{"ingress":[{"ip":"192.0.2.99"}]}}}'
    control.kubectl("patch", "service", "web", "--subresource=status", "-p", theirs)
    assert control.service()["metadata"]["finalizers"]
    control.start_cloud()
    await control.until(lambda: "finalizers" not in control.service()["metadata"])
    assert control.vip().split()[0] == "192.0.2.99"


async def test_a_node_that_dies_is_left_and_its_connections_end_quickly(
    network: Network, control: Control
) -> None:
    for node in network.nodes:
        await network.serve_health(node, 10256)
    control.start_cloud()
    control.create(service())
    await control.until(control.vip)
    connections = [await network.connect() for _ in range(20)]
    network.nodes[TWO].run("ip link set eth0 down")
    await control.until(
        lambda: "LoadBalancerHealthCheckFailed" in control.events() and " is dead" in control.log("cloud")
    )
    assert {(await network.connect()).node for _ in range(20)} == {ONE, THREE}
    assert await network.works_all_but(connections, TWO)
