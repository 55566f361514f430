"""A settled cluster is left alone; whatever dies or comes in twice, it settles again."""

from __future__ import annotations

import asyncio

from tests.integration.controllers.world import World, deployment, service
from wellhead.api.resources import DEPLOYMENTS, PODS, REPLICASETS, SERVICES
from wellhead.client.connection import load
from wellhead.client.rest import Client
from wellhead.controllers import main as controllers


async def test_a_settled_cluster_is_not_written_to(world: World) -> None:
    await world.client.create(DEPLOYMENTS, deployment("web", 5))
    await world.client.create(SERVICES, service("web"))
    await world.rolled_out("web")
    await world.something_else()
    before = await world.versions()
    await world.something_else()
    assert await world.versions() == before


async def test_a_change_of_one_pod_costs_a_handful_of_writes(world: World) -> None:
    await world.client.create(DEPLOYMENTS, deployment("web", 5))
    await world.client.create(SERVICES, service("web"))
    await world.rolled_out("web")
    await world.something_else()
    before = await world.versions()
    pod = (await world.listed(PODS, "app=web"))[0]
    await world.client.patch(
        PODS, pod["metadata"]["name"], {"metadata": {"annotations": {"x": "y"}}}, "default"
    )
    await world.something_else()
    changed = dict(set((await world.versions()).items()) - set(before.items()))
    assert list(changed) == [f"Pod {pod['metadata']['name']}"]  # nobody else is interested


async def test_two_controller_managers_by_accident_do_no_lasting_harm(world: World) -> None:
    connection = load(str(world.api.kubeconfig("kube-controller-manager")))
    async with Client(connection, "second") as client:
        second = asyncio.create_task(controllers.serve(client, controllers.Config(None, "the CA")))
        try:
            await world.client.create(DEPLOYMENTS, deployment("web", 6))
            await world.client.create(SERVICES, service("web"))
            await world.rolled_out("web")
            await world.api.ok("set", "image", "deployment/web", "web=web:2")
            await world.rolled_out("web")
            await world.count(PODS, 6, "app=web")
            await world.count(REPLICASETS, 2)

            async def nothing_changes() -> bool:
                before = await world.versions()
                await world.something_else()
                return await world.versions() == before

            # One that the other was quicker than tries again later.
            await world.until(nothing_changes, bool)
        finally:
            second.cancel()
            await asyncio.gather(second, return_exceptions=True)


async def test_pausing_holds_a_rollout_and_resuming_lets_it_go_on(world: World) -> None:
    await world.client.create(DEPLOYMENTS, deployment("web", 3))
    await world.rolled_out("web")
    await world.api.ok("rollout", "pause", "deployment/web")
    await world.api.ok("set", "image", "deployment/web", "web=web:2")
    await world.api.ok("scale", "deployment/web", "--replicas=5")
    await world.count(PODS, 5, "app=web")
    assert len(await world.listed(REPLICASETS)) == 1
    await world.api.ok("rollout", "resume", "deployment/web")
    await world.rolled_out("web")
    assert len(await world.listed(REPLICASETS)) == 2


async def test_a_rollout_that_makes_no_progress_times_out_and_says_so(world: World) -> None:
    await world.client.create(DEPLOYMENTS, deployment("web", 2, progressDeadlineSeconds=2))
    await world.rolled_out("web")
    world.agents.ready = lambda pod: pod["spec"]["containers"][0]["image"] != "bad"
    await world.api.ok("set", "image", "deployment/web", "web=bad")
    code, output = await world.api.kubectl("rollout", "status", "deployment/web", "--timeout=120s")
    assert code == 1
    assert "exceeded its progress deadline" in output
    shown = await world.api.ok("get", "deployment", "web")
    assert "2/2" in shown


async def test_min_ready_seconds_delay_availability(world: World) -> None:
    await world.client.create(DEPLOYMENTS, deployment("web", 1, minReadySeconds=2))
    loop = asyncio.get_running_loop()
    [pod] = await world.until(
        lambda: world.listed(PODS, "app=web"), lambda found: found and found[0].get("status", {}).get("podIP")
    )
    started = loop.time()
    await world.rolled_out("web")
    # Times are written in whole seconds, so a pod may look ready for up to a second longer.
    assert loop.time() - started > 0.9
    assert pod["status"]["phase"] == "Running"
