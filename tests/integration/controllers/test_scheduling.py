"""Pods get nodes, against the real API server."""

from __future__ import annotations

from tests.integration.controllers.world import World, deployment, pod_template
from wellhead.api.meta import Obj, condition
from wellhead.api.resources import DEPLOYMENTS, NODES, PODS, PRIORITYCLASSES


def pod(name: str, **spec: object) -> Obj:
    template = pod_template(name)
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": "default", **template["metadata"]},
        "spec": {**template["spec"], **spec},
    }


async def node_of(world: World, name: str) -> str:
    found = await world.until(
        lambda: world.client.get(PODS, name, "default"), lambda found: found["spec"].get("nodeName")
    )
    return str(found["spec"]["nodeName"])


async def test_a_pod_that_fits_nowhere_says_why_and_is_scheduled_when_a_node_comes(world: World) -> None:
    await world.client.create(PODS, pod("picky", nodeSelector={"disk": "ssd"}))
    why = (
        "0/3 nodes are available: 3 node(s) didn't match Pod's node affinity/selector. "
        "preemption: 0/3 nodes are available: 3 Preemption is not helpful for scheduling."
    )
    waiting = await world.until(
        lambda: world.client.get(PODS, "picky", "default"),
        lambda found: (condition(found, "PodScheduled") or {}).get("message") == why,
    )
    assert (condition(waiting, "PodScheduled") or {})["reason"] == "Unschedulable"
    assert "Pending" in await world.api.ok("get", "pods", "picky")
    await world.until(lambda: world.events("FailedScheduling"), lambda found: why in found)
    await world.add_node("node-4", disk="ssd")
    assert await node_of(world, "picky") == "node-4"
    await world.until(
        lambda: world.events("Scheduled"),
        lambda found: found == ["Successfully assigned default/picky to node-4"],
    )


async def test_a_gated_pod_isnt_scheduled(world: World) -> None:
    await world.client.create(PODS, pod("gated", schedulingGates=[{"name": "example.org/wait"}]))
    await world.client.create(PODS, pod("free"))
    await node_of(world, "free")
    gated = await world.client.get(PODS, "gated", "default")
    assert not gated["spec"].get("nodeName")


async def test_another_schedulers_pods_are_left_alone(world: World) -> None:
    await world.client.create(PODS, pod("other", schedulerName="other"))
    await world.client.create(PODS, pod("ours"))
    await node_of(world, "ours")
    assert not (await world.client.get(PODS, "other", "default"))["spec"].get("nodeName")


async def test_a_pod_waits_for_room_and_gets_it(world: World) -> None:
    for name in ("node-2", "node-3"):
        await world.api.ok("cordon", name)
    big = {"containers": [{"name": "c", "image": "x", "resources": {"requests": {"cpu": "3"}}}]}
    await world.until(lambda: world.client.get(NODES, "node-3"), lambda found: found["spec"].get("taints"))
    await world.client.create(PODS, pod("first", **big))
    await node_of(world, "first")
    await world.client.create(PODS, pod("second", **big))
    await world.until(lambda: world.events("FailedScheduling"), bool)
    await world.client.delete(PODS, "first", "default")
    assert await node_of(world, "second") == "node-1"


async def test_what_a_resized_pod_gives_back_is_there_for_others(world: World) -> None:
    for name in ("node-2", "node-3"):
        await world.api.ok("cordon", name)

    def asking(cpu: str) -> dict[str, list[Obj]]:
        return {"containers": [{"name": "c", "image": "x", "resources": {"requests": {"cpu": cpu}}}]}

    await world.until(lambda: world.client.get(NODES, "node-3"), lambda found: found["spec"].get("taints"))
    await world.client.create(PODS, pod("first", **asking("3")))
    await node_of(world, "first")
    await world.client.create(PODS, pod("second", **asking("3")))
    await world.until(lambda: world.events("FailedScheduling"), bool)
    smaller = {"spec": asking("1")}
    await world.client.patch(PODS, "first", smaller, "default", kind="strategic", subresource="resize")
    assert await node_of(world, "second") == "node-1"


async def test_a_large_deployment_spreads_evenly(world: World) -> None:
    await world.client.create(DEPLOYMENTS, deployment("web", 30))
    await world.rolled_out("web")
    nodes = [each["spec"]["nodeName"] for each in await world.listed(PODS, "app=web")]
    assert [nodes.count(name) for name in ("node-1", "node-2", "node-3")] == [10, 10, 10]


def large(name: str, **spec: object) -> Obj:
    """A pod that fills a node."""
    made = pod(name, **spec)
    made["spec"]["containers"][0]["resources"] = {"requests": {"cpu": "4"}}
    return made


async def test_a_pod_of_high_priority_pushes_a_lesser_one_away(world: World) -> None:
    for name, value in (("low", 1), ("high", 100)):
        metadata = {"name": name}
        kind = {"apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass", "metadata": metadata}
        await world.client.create(PRIORITYCLASSES, {**kind, "value": value})
    for number in range(3):
        await world.client.create(PODS, large(f"lesser-{number}", priorityClassName="low"))
        await node_of(world, f"lesser-{number}")
    going: list[Obj] = []
    world.agents.pods.on_change(
        lambda old, new: (
            going.append(new) if new is not None and new["metadata"].get("deletionTimestamp") else None
        )
    )
    await world.client.create(PODS, large("greater", priorityClassName="high"))
    node = await node_of(world, "greater")
    [victim] = {each["metadata"]["name"] for each in going}
    assert victim.startswith("lesser-")
    disrupted = condition(going[0], "DisruptionTarget") or {}
    assert disrupted["reason"] == "PreemptionByScheduler"
    found = await world.client.get(PODS, "greater", "default")
    assert "nominatedNodeName" not in found["status"]
    [text] = await world.until(lambda: world.events("Preempted"), bool)
    assert text == f"Preempted by pod {found['metadata']['uid']} on node {node}"
