"""Who gets which VIP and for how long, with an API in memory."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Network, ip_address

import pytest

from tests.patience import pass_time
from tests.unit.cloud.controller_world import ALL, POOL, World
from wellhead.api.resources import NODES
from wellhead.cloud.balancers import FINALIZER, status
from wellhead.cloud.forwarder.tables import Frontend


async def test_deletion_frees_the_vip_after_the_packets_way_is_gone(world: World) -> None:
    async with world.running():
        world.put_service()
        vip = await world.vip()
        world.forwarder.broken = True
        world.api.delete()
        await world.until(lambda: not world.controller.steering.balancers)
        await pass_time(60)
        assert world.controller.pool.held_by(("default", "web")) == {IPv4Address(vip)}
        assert world.api.service()["metadata"]["finalizers"] == [FINALIZER]
        world.forwarder.broken = False
        await world.until(lambda: not world.api.objects["services"])
        assert world.forwarder.targets == {}
        assert len(world.controller.pool) == 0
        await world.until(lambda: "DeletedLoadBalancer" in world.api.reasons())


async def test_a_type_change_frees_everything_and_the_service_lives_on(world: World) -> None:
    async with world.running():
        world.put_service()
        await world.vip()
        world.api.change(spec={"type": "ClusterIP"})
        await world.until(lambda: "finalizers" not in world.api.service()["metadata"])
        assert world.api.vip() == ""
        assert world.forwarder.targets == {}
        assert len(world.controller.pool) == 0
        world.api.change(spec={"type": "LoadBalancer"})
        await world.vip()


async def test_a_service_that_goes_over_to_another_class_at_once_is_let_go(world: World) -> None:
    async with world.running():
        world.put_service()
        await world.vip()
        # Both changes are there before the controller looks.
        world.api.change(spec={"type": "NodePort"})
        world.api.change(spec={"type": "LoadBalancer", "loadBalancerClass": "example.com/lb"})
        await world.until(lambda: "finalizers" not in world.api.service()["metadata"])
        assert world.forwarder.targets == {}
        # From now on the same finalizer is the other's own.
        world.api.change(metadata={"finalizers": [FINALIZER]})
        world.api.delete()
        await pass_time(60)
        assert world.api.service()["metadata"]["finalizers"] == [FINALIZER]


async def test_a_service_that_vanishes_without_its_finalizer_frees_its_vip_too(world: World) -> None:
    async with world.running():
        world.put_service()
        await world.vip()
        world.api.change(metadata={"finalizers": [], "deletionTimestamp": "2026-01-01T00:00:00Z"})
        await world.until(lambda: len(world.controller.pool) == 0)
        assert world.forwarder.targets == {}


async def test_another_class_is_left_alone(world: World) -> None:
    async with world.running():
        world.put_service(loadBalancerClass="example.com/lb", metadata={"finalizers": [FINALIZER]})
        world.put_service("ours", loadBalancerClass="wellhead.dev/forwarder")
        await world.vip("ours")
        assert world.api.vip() == ""
        world.api.delete()
        await pass_time(60)
        assert world.api.service()["metadata"]["finalizers"] == [FINALIZER]
        assert world.api.reasons() == []


async def test_an_exhausted_pool_leaves_a_service_pending_until_a_vip_is_free(world: World) -> None:
    async with world.running():
        for number in range(6):
            world.put_service(f"web-{number}")
            await world.vip(f"web-{number}")
        world.put_service("late")
        await world.until(lambda: "SyncLoadBalancerFailed" in world.api.reasons("late"))
        assert world.api.vip("late") == ""
        assert world.api.message("SyncLoadBalancerFailed") == (
            "Error syncing load balancer: failed to ensure load balancer: "
            "the pool of IPv4 load balancer addresses (203.0.113.0/29) is exhausted"
        )
        freed = world.api.vip("web-3")
        world.api.delete("web-3")
        assert await world.vip("late") == freed


async def test_an_annotation_without_effect_is_told_once(world: World) -> None:
    async with world.running():
        world.put_service(metadata={"annotations": {"wellhead.dev/client-ip": "proxy-v2"}})
        await world.vip()
        world.api.change(spec={"sessionAffinity": "ClientIP"})
        world.put_service("later")
        await world.vip("later")
        assert world.api.reasons().count("AnnotationWithoutEffect") == 1


async def test_a_taken_vip_is_refused_with_its_holders_name_and_disturbs_nobody(world: World) -> None:
    async with world.running():
        world.put_service("first", loadBalancerIP="203.0.113.3")
        assert await world.vip("first") == "203.0.113.3"
        world.put_service("second", loadBalancerIP="203.0.113.3")
        await world.until(lambda: "SyncLoadBalancerFailed" in world.api.reasons("second"))
        assert "203.0.113.3 is already in use by Service default/first" in world.api.message(
            "SyncLoadBalancerFailed"
        )
        assert world.forwarder.nodes_of("203.0.113.3") == ALL
        world.api.delete("first")
        assert await world.vip("second") == "203.0.113.3"


async def test_a_vip_can_be_exchanged_on_a_live_service(world: World) -> None:
    async with world.running():
        world.put_service(loadBalancerIP="203.0.113.3")
        await world.vip()
        world.put_service("waiting", loadBalancerIP="203.0.113.3")
        world.api.change(metadata={"annotations": {"wellhead.dev/load-balancer-ip": "203.0.113.4"}})
        await world.until(lambda: world.api.vip() == "203.0.113.4")
        assert await world.vip("waiting") == "203.0.113.3"
        vips = {str(frontend.vip) for frontend in world.forwarder.targets}
        assert vips == {"203.0.113.3", "203.0.113.4"}


async def test_on_a_clash_after_a_restart_the_older_service_keeps_the_vip(world: World) -> None:
    vip = IPv4Address("203.0.113.3")
    for name, year in (("younger", 2026), ("older", 2025)):
        world.put_service(name, metadata={"creationTimestamp": f"{year}-01-01T00:00:00Z"})
        world.api.change(name, status=status([vip], "VIP"))
    async with world.running():
        await world.until(lambda: world.api.vip("younger") != str(vip))
        await world.vip("younger")
        assert world.api.vip("older") == str(vip)


async def test_addresses_of_a_pool_that_is_gone_are_not_promised_any_longer(world: World) -> None:
    for name in ("moves", "stays"):
        world.put_service(name, metadata={"creationTimestamp": f"2026-01-01T00:00:0{len(name) % 5}Z"})
        world.api.change(name, status=status([IPv4Address(f"198.51.100.{len(name)}")], "VIP"))
    for number in range(1, 6):
        world.put_service(f"web-{number}")
        world.api.change(f"web-{number}", status=status([IPv4Address(f"203.0.113.{number}")], "VIP"))
    async with world.running():
        await world.until(lambda: "198.51" not in world.api.vip("moves") + world.api.vip("stays"))
        await world.until(lambda: {world.api.vip("moves"), world.api.vip("stays")} == {"", "203.0.113.6"})
        assert "LoadBalancerIPLost" in world.api.reasons("moves")
        assert "198.51.100.5 is not in the pool" in world.api.message("LoadBalancerIPLost")


async def test_a_vip_that_another_class_publishes_is_not_given_away(world: World) -> None:
    taken = IPv4Address("203.0.113.3")
    world.put_service("theirs", loadBalancerClass="example.com/lb")
    world.api.change("theirs", status=status([taken], "VIP"))
    async with world.running():
        world.put_service(loadBalancerIP=str(taken))
        await world.until(lambda: "SyncLoadBalancerFailed" in world.api.reasons())
        world.api.change("theirs", status={"loadBalancer": None})
        assert await world.vip() == str(taken)


async def test_what_happened_while_nobody_controlled_is_cleaned_up(world: World) -> None:
    world.put_service(metadata={"finalizers": [FINALIZER]})
    world.api.change(status=status([IPv4Address("203.0.113.3")], "VIP"))
    world.api.delete()
    async with world.running():
        await world.until(lambda: not world.api.objects["services"])
        assert world.forwarder.targets == {}
        assert len(world.controller.pool) == 0


async def test_a_dual_stack_service_gets_a_vip_of_each_family_in_its_order(world: World) -> None:
    world.controller = world.new_controller([POOL, IPv6Network("2001:db8:113::/64")])
    for number in (1, 2, 3):
        addresses = [f"10.240.0.{10 + number}", f"fd00:10:240::{number}"]
        listed = [{"type": "InternalIP", "address": address} for address in addresses]
        world.api.put(NODES, {"metadata": {"name": f"node-{number}"}, "status": {"addresses": listed}})
    async with world.running():
        world.put_service(ipFamilies=["IPv6", "IPv4"], ipFamilyPolicy="RequireDualStack")
        await world.vip()
        ingress = world.api.service()["status"]["loadBalancer"]["ingress"]
        first, second = (ip_address(entry["ip"]) for entry in ingress)
        assert (first.version, second.version) == (6, 4)
        assert world.forwarder.targets.keys() == {Frontend(vip, "tcp", 80) for vip in (first, second)}
        assert {node.version for node in world.forwarder.nodes} == {4, 6}
        world.api.change(spec={"ipFamilies": ["IPv6"], "ipFamilyPolicy": "SingleStack"})
        await world.until(lambda: len(world.api.service()["status"]["loadBalancer"]["ingress"]) == 1)
        assert world.api.vip() == str(first)
        assert len(world.controller.pool) == 1


@pytest.mark.parametrize(("policy", "vips"), [("PreferDualStack", 1), ("RequireDualStack", 0)])
async def test_a_family_without_a_pool_is_done_without_only_if_the_service_may(
    world: World, policy: str, vips: int
) -> None:
    async with world.running():
        world.put_service(ipFamilies=["IPv6", "IPv4"], ipFamilyPolicy=policy)
        await world.until(lambda: world.api.vip() or world.controller.refused)
        assert len(world.controller.pool) == vips
        assert ("no IPv6 network" in "".join(world.controller.refused.values())) == (not vips)


async def test_a_finalizer_goes_no_sooner_than_what_an_earlier_run_left(world: World) -> None:
    world.put_service(
        metadata={"finalizers": [FINALIZER], "deletionTimestamp": "2026-01-01T00:00:00Z"}, loadBalancerIP=""
    )
    world.forwarder.broken = True  # as for one that has not made its first change yet
    async with world.running():
        await world.until(lambda: world.forwarder.submissions >= 3)
        assert world.api.service()["metadata"]["finalizers"] == [FINALIZER]
        world.forwarder.broken = False
        await world.until(lambda: "web" not in {name for _, name in world.api.objects["services"]})
