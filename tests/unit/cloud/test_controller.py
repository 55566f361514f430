"""Where the controller sends flows, and what it tells, with an API in memory."""

from __future__ import annotations

import copy
from ipaddress import IPv4Address

from tests.patience import pass_time
from tests.unit.cloud.controller_world import ALL, ONE, POOL, THREE, TWO, FakeForwarder, World
from wellhead.cloud.balancers import FINALIZER, status
from wellhead.cloud.forwarder.tables import Frontend
from wellhead.cloud.health import Check, Outcome
from wellhead.cloud.report import report


async def test_a_service_gets_a_vip_a_finalizer_a_status_and_events(world: World) -> None:
    async with world.running():
        world.put_service()
        vip = await world.vip()
        assert IPv4Address(vip) in POOL
        assert world.api.service()["status"] == status([IPv4Address(vip)], "VIP")
        assert world.api.service()["metadata"]["finalizers"] == [FINALIZER]
        await world.until(lambda: world.forwarder.nodes_of(vip) == ALL)
        await world.until(lambda: "EnsuredLoadBalancer" in world.api.reasons())
        assert world.api.reasons() == ["EnsuringLoadBalancer", "EnsuredLoadBalancer"]


async def test_nothing_happens_in_a_steady_state(world: World) -> None:
    async with world.running():
        world.put_service()
        await world.vip()
        await world.until(lambda: "EnsuredLoadBalancer" in world.api.reasons())
        await pass_time(60)
        before = world.api.version, world.forwarder.submissions
        await pass_time(60)
        assert (world.api.version, world.forwarder.submissions) == before


async def test_policy_local_uses_only_nodes_that_pass_the_services_own_check(world: World) -> None:
    world.answers |= {Check(ONE, 32122): Outcome.FAILED, Check(THREE, 32122): Outcome.FAILED}
    async with world.running():
        world.put_service()
        vip = await world.vip()
        world.api.change(spec={"externalTrafficPolicy": "Local", "healthCheckNodePort": 32122})
        await world.until(lambda: world.forwarder.nodes_of(vip) == {TWO})
        world.answers[Check(THREE, 32122)] = Outcome.PASSED
        await world.until(lambda: world.forwarder.nodes_of(vip) == {TWO, THREE})
        await world.until(lambda: "UpdatedLoadBalancer" in world.api.reasons())
        world.api.change(spec={"externalTrafficPolicy": "Cluster", "healthCheckNodePort": None})
        await world.until(lambda: world.forwarder.nodes_of(vip) == ALL)
        assert Check(ONE, 32122) not in world.controller.steering.monitor.states()


async def test_a_node_in_and_out_is_told_by_events_on_the_node(world: World) -> None:
    async with world.running():
        world.put_service()
        vip = await world.vip()
        world.answers[Check(TWO, 10256)] = Outcome.FAILED
        await world.until(lambda: world.forwarder.nodes_of(vip) == {ONE, THREE})
        await world.until(lambda: "LoadBalancerHealthCheckFailed" in world.api.reasons("node-2"))
        del world.answers[Check(TWO, 10256)]
        await world.until(lambda: world.forwarder.nodes_of(vip) == ALL)
        await world.until(lambda: "LoadBalancerHealthCheckPassed" in world.api.reasons("node-2"))
        assert world.forwarder.lost == []


async def test_a_dead_node_loses_its_flows(world: World) -> None:
    async with world.running():
        world.put_service()
        vip = await world.vip()
        world.answers[Check(TWO, 10256)] = Outcome.UNREACHABLE
        await world.until(lambda: world.forwarder.lost == [TWO])
        assert world.forwarder.nodes_of(vip) == {ONE, THREE}
        assert world.forwarder.nodes == ALL


async def test_udp_flows_leave_a_node_without_serving_endpoints_under_policy_local(world: World) -> None:
    world.put_endpoints("node-1", "node-2")
    ports = [{"port": 53, "protocol": "UDP"}, {"port": 53, "protocol": "TCP"}]
    async with world.running():
        world.put_service(ports=ports, externalTrafficPolicy="Local", healthCheckNodePort=32122)
        frontend = Frontend(IPv4Address(await world.vip()), "udp", 53)
        await world.until(lambda: world.forwarder.mute == [(frontend, THREE)])
        world.put_endpoints("node-2", terminating="node-1")
        await pass_time(60)
        assert world.forwarder.mute == [(frontend, THREE)]
        world.put_endpoints("node-2")
        await world.until(lambda: world.forwarder.mute == [(frontend, THREE), (frontend, ONE)])


async def test_excluded_and_deleted_nodes(world: World) -> None:
    async with world.running():
        world.put_service()
        vip = await world.vip()
        world.put_node(2, labels={"node.kubernetes.io/exclude-from-external-load-balancers": "true"})
        await world.until(lambda: world.forwarder.nodes_of(vip) == {ONE, THREE})
        assert world.forwarder.nodes == ALL
        world.put_node(3, deletionTimestamp="2026-01-01T00:00:00Z")
        await world.until(lambda: world.forwarder.nodes == {ONE, TWO})
        assert world.forwarder.nodes_of(vip) == {ONE}
        world.put_node(2)
        await world.until(lambda: world.forwarder.nodes_of(vip) == {ONE, TWO})


async def test_without_nodes_a_warning_comes_after_a_while(world: World) -> None:
    world.answers = {Check(node, 10256): Outcome.FAILED for node in ALL}
    async with world.running():
        world.put_service()
        await world.vip()
        await world.until(lambda: "UnAvailableLoadBalancer" in world.api.reasons())
        await pass_time(60)
        assert world.api.reasons().count("UnAvailableLoadBalancer") == 1


async def test_ports_change_on_a_live_service(world: World) -> None:
    async with world.running():
        world.put_service()
        vip = IPv4Address(await world.vip())
        ports = [{"port": 443, "protocol": "TCP"}, {"port": 443, "protocol": "UDP"}]
        world.api.change(spec={"ports": ports, "sessionAffinity": "ClientIP"})
        expected = {Frontend(vip, "tcp", 443), Frontend(vip, "udp", 443)}
        await world.until(lambda: world.forwarder.targets.keys() == expected)
        assert all(target.client_affinity for target in world.forwarder.targets.values())
        assert world.api.vip() == str(vip)


async def test_a_restart_reads_the_truth_and_changes_nothing(world: World) -> None:
    names = [f"web-{number}" for number in range(6)]
    async with world.running():
        for name in names:
            world.put_service(name)
        vips = {name: await world.vip(name) for name in names}
        await world.until(lambda: world.api.reasons(names[-1])[-1:] == ["EnsuredLoadBalancer"])
    services = copy.deepcopy(world.api.objects["services"])
    world.forwarder = FakeForwarder()
    world.controller = world.new_controller()
    async with world.running():
        await world.until(lambda: world.forwarder.nodes == ALL)
        assert {str(frontend.vip) for frontend in world.forwarder.targets} == set(vips.values())
        assert all(world.forwarder.nodes_of(vip) == ALL for vip in vips.values())
        await pass_time(60)
        assert world.api.objects["services"] == services
        world.put_service("late")
        await world.until(lambda: "SyncLoadBalancerFailed" in world.api.reasons("late"))


async def test_a_forwarder_that_fails_delays_the_status(world: World) -> None:
    world.forwarder.broken = True
    async with world.running():
        world.put_service()
        await world.until(lambda: world.forwarder.targets)
        await pass_time(60)
        assert world.api.vip() == ""
        world.forwarder.broken = False
        await world.vip()


async def test_the_report_names_nodes_with_their_health(world: World) -> None:
    world.answers[Check(TWO, 10256)] = Outcome.FAILED
    world.put_node(3, labels={"node.kubernetes.io/exclude-from-external-load-balancers": "true"})
    async with world.running():
        world.put_service()
        world.put_service("bad", loadBalancerIP="192.0.2.1")
        vip = await world.vip()
        await world.until(lambda: world.controller.refused)
        found = report(world.controller)
    assert (found.vips, found.vips_in_use) == (6, 1)
    (balancer,) = found.load_balancers
    assert (balancer.vips, balancer.ports, balancer.health_check_port) == ([vip], ["80/TCP"], 10256)
    assert [(node.name, node.state) for node in balancer.nodes] == [
        ("node-1", "in"),
        ("node-2", "out"),
        ("node-3", "excluded"),
    ]
    (refused,) = found.refused
    assert refused.name == "bad"
    assert "192.0.2.1 is not in the pool" in refused.reason
