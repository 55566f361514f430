"""DaemonSets against the real API server and scheduler, with kubectl."""

from __future__ import annotations

from tests.integration.controllers.world import World, pod_template
from wellhead.api.meta import Obj
from wellhead.api.resources import CONTROLLERREVISIONS, DAEMONSETS, PODS


def daemonset(name: str, **spec: object) -> Obj:
    return {
        "apiVersion": "apps/v1",
        "kind": "DaemonSet",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {"selector": {"matchLabels": {"app": name}}, "template": pod_template(name), **spec},
    }


async def counted(world: World, **counts: int) -> Obj:
    return await world.until(
        lambda: world.client.get(DAEMONSETS, "web", "default"),
        lambda found: counts.items() <= (found.get("status") or {}).items(),
    )


async def nodes_of(world: World) -> list[str]:
    return sorted(pod["spec"].get("nodeName", "") for pod in await world.listed(PODS, "app=web"))


async def test_every_node_gets_a_pod_as_it_comes_and_fits(world: World) -> None:
    await world.client.create(DAEMONSETS, daemonset("web"))
    await counted(world, desiredNumberScheduled=3, numberAvailable=3)
    await world.add_node("node-4")
    await counted(world, desiredNumberScheduled=4, numberAvailable=4)
    assert await nodes_of(world) == ["node-1", "node-2", "node-3", "node-4"]
    patch = {"spec": {"template": {"spec": {"nodeSelector": {"disk": "fast"}}}}}
    await world.client.patch(DAEMONSETS, "web", patch, "default", kind="strategic")
    await world.count(PODS, 0, "app=web")
    await world.api.ok("label", "node", "node-2", "disk=fast")
    await counted(world, desiredNumberScheduled=1, numberAvailable=1)
    assert await nodes_of(world) == ["node-2"]
    await world.api.ok("taint", "node", "node-2", "own=yes:NoSchedule")
    await counted(world, desiredNumberScheduled=0, numberMisscheduled=1)
    await world.api.ok("taint", "node", "node-2", "own-")
    await counted(world, desiredNumberScheduled=1, numberMisscheduled=0)
    assert "disk=fast" in await world.api.ok("get", "daemonset", "web")


async def test_a_rollout_goes_forth_and_back_node_by_node(world: World) -> None:
    await world.client.create(DAEMONSETS, daemonset("web"))
    await counted(world, numberAvailable=3)
    world.agents.least_ready = world.agents.most_running = 3
    await world.api.ok("set", "image", "daemonset/web", "web=web:2")
    assert "successfully rolled out" in await world.api.ok("rollout", "status", "daemonset/web")
    assert world.agents.least_ready == 2
    assert world.agents.most_running == 3
    images = {pod["spec"]["containers"][0]["image"] for pod in await world.listed(PODS, "app=web")}
    assert images == {"web:2"}
    await world.api.ok("rollout", "undo", "daemonset/web")
    assert "successfully rolled out" in await world.api.ok("rollout", "status", "daemonset/web")
    history = await world.api.ok("rollout", "history", "daemonset/web")
    assert [line.split()[0] for line in history.splitlines()[2:] if line] == ["2", "3"]
    assert len(await world.listed(CONTROLLERREVISIONS)) == 2
    await world.api.ok("rollout", "restart", "daemonset/web")
    assert "successfully rolled out" in await world.api.ok("rollout", "status", "daemonset/web")
    await world.something_else()
    before = await world.versions()
    await world.something_else()
    assert await world.versions() == before


async def test_with_surge_no_node_is_ever_without(world: World) -> None:
    strategy = {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}}
    await world.client.create(DAEMONSETS, daemonset("web", updateStrategy=strategy))
    await counted(world, numberAvailable=3)
    world.agents.least_ready = world.agents.most_running = 3
    await world.api.ok("set", "image", "daemonset/web", "web=web:2")
    await world.api.ok("rollout", "status", "daemonset/web")
    await world.count(PODS, 3, "app=web")
    assert world.agents.least_ready == 3
    assert world.agents.most_running == 4


async def test_a_failed_pod_is_replaced_and_people_are_told(world: World) -> None:
    await world.client.create(DAEMONSETS, daemonset("web"))
    await counted(world, numberAvailable=3)
    pod = (await world.listed(PODS, "app=web"))[0]
    await world.client.update(PODS, {**pod, "status": {**pod["status"], "phase": "Failed"}}, "status")
    await world.gone(PODS, pod["metadata"]["name"])
    await counted(world, numberAvailable=3)
    [said] = await world.until(lambda: world.events("FailedDaemonPod"), bool)
    assert said.startswith(f"Found failed daemon pod default/{pod['metadata']['name']} on node ")
