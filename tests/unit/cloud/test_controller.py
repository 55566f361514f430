"""The controller against an API in memory and a forwarder that only remembers."""

from __future__ import annotations

import asyncio
import contextlib
import copy
import random
from collections.abc import AsyncIterator, Callable, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Network, ip_address
from typing import Any, cast

import pytest

from wellhead.api.errors import Conflict, NotFound
from wellhead.api.meta import Key, Obj
from wellhead.api.resources import ENDPOINTSLICES, NODES, SERVICES, Resource
from wellhead.client.events import EventRecorder
from wellhead.client.rest import Client, Event, Listing
from wellhead.cloud import controller as controller_module
from wellhead.cloud import health
from wellhead.cloud.balancers import FINALIZER, status
from wellhead.cloud.controller import Controller
from wellhead.cloud.forwarder.hashing import Node
from wellhead.cloud.forwarder.plane import Forwarder, ForwarderError
from wellhead.cloud.forwarder.tables import Change, Frontend, Target
from wellhead.cloud.health import Check, Outcome, Settings
from wellhead.cloud.report import report
from wellhead.cloud.vips import IPNetwork, VIPPool

POOL = IPv4Network("203.0.113.0/29")  # .1 to .6
ONE, TWO, THREE = (IPv4Address(f"10.240.0.{host}") for host in (11, 12, 13))
ALL = frozenset({ONE, TWO, THREE})


def _merge(into: Obj, patch: Obj) -> None:
    for name, value in patch.items():
        if value is None:
            into.pop(name, None)
        elif isinstance(value, dict) and isinstance(into.get(name), dict):
            _merge(into[name], value)
        else:
            into[name] = copy.deepcopy(value)


class FakeAPI:
    """As much of `Client` as the controller uses."""

    def __init__(self) -> None:
        self.version = 0
        self.objects: dict[str, dict[Key, Obj]] = {
            name: {} for name in ("services", "nodes", "endpointslices", "events")
        }
        self._watches: list[tuple[str, asyncio.Queue[Event]]] = []

    def put(self, resource: Resource, obj: Obj) -> Obj:
        self.version += 1
        metadata = obj["metadata"]
        obj = {"apiVersion": "v1", "kind": resource.kind, **copy.deepcopy(obj)}
        obj["metadata"] |= {
            "resourceVersion": str(self.version),
            "uid": metadata.get("uid", str(self.version)),
        }
        name = (metadata.get("namespace", ""), metadata["name"])
        known = name in self.objects[resource.plural]
        if metadata.get("deletionTimestamp") and not metadata.get("finalizers"):
            self.objects[resource.plural].pop(name, None)
            self._tell(resource, Event("DELETED", obj))
        else:
            self.objects[resource.plural][name] = obj
            self._tell(resource, Event("MODIFIED" if known else "ADDED", obj))
        return copy.deepcopy(obj)

    def service(self, name: str = "web") -> Obj:
        return copy.deepcopy(self.objects["services"]["default", name])

    def vip(self, name: str = "web") -> str:
        ingress = self.service(name).get("status", {}).get("loadBalancer", {}).get("ingress") or [{}]
        return str(ingress[0].get("ip", ""))

    def change(self, name: str = "web", **changes: Any) -> None:
        obj = self.service(name)
        _merge(obj, changes)
        self.put(SERVICES, obj)

    def delete(self, name: str = "web") -> None:
        self.change(name, metadata={"deletionTimestamp": "2026-01-01T00:00:00Z"})

    def reasons(self, name: str = "web") -> list[str]:
        events = self.objects["events"].values()
        return [event["reason"] for event in events if event["involvedObject"]["name"] == name]

    def message(self, reason: str) -> str:
        events = self.objects["events"].values()
        return str(next(event["message"] for event in events if event["reason"] == reason))

    def _tell(self, resource: Resource, event: Event) -> None:
        for plural, queue in self._watches:
            if plural == resource.plural:
                queue.put_nowait(Event(event.type, copy.deepcopy(event.object)))

    async def listing(self, resource: Resource, *_: object, **__: object) -> Listing:
        items = [copy.deepcopy(obj) for obj in self.objects[resource.plural].values()]
        return Listing(str(self.version), iter(items))

    async def watch(
        self, resource: Resource, *_: object, on_open: Callable[[], None], **__: object
    ) -> AsyncIterator[Event]:
        queue: asyncio.Queue[Event] = asyncio.Queue()
        self._watches.append((resource.plural, queue))
        on_open()
        while True:
            yield await queue.get()

    async def create(self, resource: Resource, obj: Obj) -> Obj:
        return self.put(resource, obj)

    async def patch(
        self, resource: Resource, name: str, body: Obj, namespace: str = "", *, subresource: str = ""
    ) -> Obj:
        await asyncio.sleep(0)
        obj = self.objects[resource.plural].get((namespace, name))
        if obj is None:
            raise NotFound.of(resource, name)
        version = body.get("metadata", {}).get("resourceVersion")
        if version not in (None, obj["metadata"]["resourceVersion"]):
            raise Conflict.of(resource, name)
        obj = copy.deepcopy(obj)
        _merge(obj, {"status": body["status"]} if subresource else body)
        return self.put(resource, obj)


class FakeForwarder(Forwarder):
    """Remembers what it was told."""

    def __init__(self) -> None:
        super().__init__([POOL])
        self.targets: dict[Frontend, Target] = {}
        self.groups: dict[str, frozenset[Node]] = {}
        self.nodes: frozenset[Node] = frozenset()
        self.lost: list[Node] = []
        self.mute: list[tuple[Frontend, Node]] = []
        self.submissions = 0
        self.broken = False

    def submit(
        self,
        change: Change | None = None,
        *,
        nodes: frozenset[Node] | None = None,
        lost: Any = (),
        mute: Any = (),
    ) -> asyncio.Future[list[None]]:
        self.submissions += 1
        change = change or Change()
        for frontend, target in change.frontends.items():
            self.targets.pop(frontend, None)
            if target is not None:
                self.targets[frontend] = target
        self.groups |= change.groups
        self.nodes = self.nodes if nodes is None else nodes
        self.lost += lost
        self.mute += mute
        future: asyncio.Future[list[None]] = asyncio.get_running_loop().create_future()
        if self.broken:
            future.set_exception(ForwarderError("nft: no"))
        else:
            future.set_result([])
        return future

    async def run(self) -> None:
        await asyncio.Event().wait()

    def nodes_of(self, vip: str, port: int = 80, protocol: str = "tcp") -> frozenset[Node]:
        return self.groups[self.targets[Frontend(IPv4Address(vip), protocol, port)].group]


class World:
    """An API, a forwarder, health checks that come to what `answers` says, and a controller."""

    def __init__(self) -> None:
        self.api = FakeAPI()
        self.forwarder = FakeForwarder()
        self.answers: dict[Check, Outcome] = {}
        self.controller = self.new_controller()
        for number in (1, 2, 3):
            self.put_node(number)

    def new_controller(self, pools: Sequence[IPNetwork] = (POOL,)) -> Controller:
        client = cast(Client, self.api)
        return Controller(
            client,
            EventRecorder(client, "service-controller"),
            VIPPool(pools, random.Random(1)),
            self.forwarder,
            Settings(interval=0.02, timeout=0.1),
        )

    def put_node(self, number: int, **metadata: object) -> None:
        addresses = [{"type": "InternalIP", "address": f"10.240.0.{10 + number}"}]
        self.api.put(
            NODES, {"metadata": {"name": f"node-{number}", **metadata}, "status": {"addresses": addresses}}
        )

    def put_service(self, name: str = "web", *, metadata: Obj | None = None, **spec: object) -> None:
        self.api.put(
            SERVICES,
            {
                "metadata": {
                    "namespace": "default",
                    "name": name,
                    "creationTimestamp": "2026-01-01T00:00:00Z",
                    **(metadata or {}),
                },
                "spec": {"type": "LoadBalancer", "ports": [{"port": 80, "protocol": "TCP"}], **spec},
            },
        )

    def put_endpoints(self, *serving: str, terminating: str = "") -> None:
        def endpoint(node: str, ready: bool) -> Obj:
            conditions = {"ready": ready, "serving": True, "terminating": not ready}
            return {"nodeName": node, "addresses": ["10.244.1.2"], "conditions": conditions}

        endpoints = [endpoint(node, True) for node in serving]
        endpoints += [endpoint(terminating, False)] if terminating else []
        metadata = {"namespace": "default", "name": "web-1", "labels": {"kubernetes.io/service-name": "web"}}
        self.api.put(ENDPOINTSLICES, {"metadata": metadata, "endpoints": endpoints})

    async def ask(self, _: object, check: Check) -> tuple[Outcome, str]:
        await asyncio.sleep(0)
        return self.answers.get(check, Outcome.PASSED), "so"

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        task = asyncio.ensure_future(self.controller.run())
        try:
            yield
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    async def until(self, condition: Callable[[], object]) -> None:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + 5
        while loop.time() < deadline:
            if condition():
                return
            await asyncio.sleep(0.002)
        pytest.fail(f"never came true; events: {list(self.api.objects['events'].values())}")

    async def vip(self, name: str = "web") -> str:
        await self.until(lambda: self.api.vip(name))
        return self.api.vip(name)


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    world = World()
    monkeypatch.setattr(health, "ask", world.ask)
    return world


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
        await asyncio.sleep(0.05)
        before = world.api.version, world.forwarder.submissions
        await asyncio.sleep(0.2)
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
        await asyncio.sleep(0.05)
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


async def test_without_nodes_a_warning_comes_after_a_while(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(controller_module, "_WITHOUT_NODES_SECONDS", 0.1)
    world.answers = {Check(node, 10256): Outcome.FAILED for node in ALL}
    async with world.running():
        world.put_service()
        await world.vip()
        await world.until(lambda: "UnAvailableLoadBalancer" in world.api.reasons())
        await asyncio.sleep(0.2)
        assert world.api.reasons().count("UnAvailableLoadBalancer") == 1


async def test_deletion_frees_the_vip_after_the_packets_way_is_gone(world: World) -> None:
    async with world.running():
        world.put_service()
        vip = await world.vip()
        world.forwarder.broken = True
        world.api.delete()
        await world.until(lambda: not world.controller.steering.balancers)
        await asyncio.sleep(0.05)
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
        await asyncio.sleep(0.05)
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
        await asyncio.sleep(0.05)
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
            "the pool of load balancer addresses (203.0.113.0/29) is exhausted"
        )
        freed = world.api.vip("web-3")
        world.api.delete("web-3")
        assert await world.vip("late") == freed


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
        await asyncio.sleep(0.1)
        assert world.api.objects["services"] == services
        world.put_service("late")
        await world.until(lambda: "SyncLoadBalancerFailed" in world.api.reasons("late"))


async def test_on_a_clash_after_a_restart_the_older_service_keeps_the_vip(world: World) -> None:
    vip = IPv4Address("203.0.113.3")
    for name, year in (("younger", 2026), ("older", 2025)):
        world.put_service(name, metadata={"creationTimestamp": f"{year}-01-01T00:00:00Z"})
        world.api.change(name, status=status([vip], "VIP"))
    async with world.running():
        await world.until(lambda: world.api.vip("younger") != str(vip))
        await world.vip("younger")
        assert world.api.vip("older") == str(vip)


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


async def test_a_forwarder_that_fails_delays_the_status(world: World) -> None:
    world.forwarder.broken = True
    async with world.running():
        world.put_service()
        await world.until(lambda: world.forwarder.targets)
        await asyncio.sleep(0.05)
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
