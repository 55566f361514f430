"""Deployments converge, against the real API server."""

from __future__ import annotations

from tests.integration.controllers.world import World, deployment
from wellhead.api.meta import condition
from wellhead.api.resources import DEPLOYMENTS, PODS, REPLICASETS

REVISION = "deployment.kubernetes.io/revision"


async def test_a_deployment_gets_its_pods_spread_over_the_nodes(world: World) -> None:
    await world.client.create(DEPLOYMENTS, deployment("web"))
    done = await world.rolled_out("web")
    pods = await world.listed(PODS, "app=web")
    assert sorted(pod["spec"]["nodeName"] for pod in pods) == ["node-1", "node-2", "node-3"]
    [replicaset] = await world.listed(REPLICASETS)
    digest = replicaset["metadata"]["labels"]["pod-template-hash"]
    assert replicaset["metadata"]["name"] == f"web-{digest}"
    assert all(pod["metadata"]["labels"]["pod-template-hash"] == digest for pod in pods)
    assert all(pod["metadata"]["name"].startswith(f"web-{digest}-") for pod in pods)
    assert done["metadata"]["annotations"][REVISION] == "1"
    await world.until(
        lambda: world.client.get(DEPLOYMENTS, "web", "default"),
        lambda found: (condition(found, "Progressing") or {}).get("reason") == "NewReplicaSetAvailable",
    )
    name = replicaset["metadata"]["name"]
    assert await world.told("ScalingReplicaSet", 1) == [f"Scaled up replica set {name} from 0 to 3"]
    await world.told("SuccessfulCreate", 3)
    await world.told("Scheduled", 3)


async def test_a_rolling_update_keeps_within_surge_and_unavailability(world: World) -> None:
    strategy = {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 1}}
    await world.client.create(DEPLOYMENTS, deployment("web", 6, strategy=strategy))
    await world.rolled_out("web")
    world.agents.most_running = 6
    world.agents.least_ready = 6
    patch = {"spec": {"template": {"spec": {"containers": [{"name": "web", "image": "web:2"}]}}}}
    await world.client.patch(DEPLOYMENTS, "web", patch, "default", kind="strategic")
    done = await world.rolled_out("web")
    pods = await world.count(PODS, 6, "app=web")
    assert {pod["spec"]["containers"][0]["image"] for pod in pods} == {"web:2"}
    assert world.agents.most_running <= 7
    assert world.agents.least_ready >= 5
    assert done["metadata"]["annotations"][REVISION] == "2"


async def test_undo_brings_the_former_replicaset_back_as_a_new_revision(world: World) -> None:
    await world.client.create(DEPLOYMENTS, deployment("web", 2))
    await world.rolled_out("web")
    await world.api.ok("set", "image", "deployment/web", "web=web:2")
    await world.rolled_out("web")
    await world.api.ok("rollout", "undo", "deployment/web")
    done = await world.rolled_out("web")
    assert done["metadata"]["annotations"][REVISION] == "3"
    assert done["spec"]["template"]["spec"]["containers"][0]["image"] == "web:1"
    replicasets = await world.listed(REPLICASETS)
    assert len(replicasets) == 2
    assert "successfully rolled out" in await world.api.ok("rollout", "status", "deployment/web")
    assert "3" in await world.api.ok("rollout", "history", "deployment/web")


async def test_recreate_starts_nothing_new_before_the_old_has_ended(world: World) -> None:
    await world.client.create(DEPLOYMENTS, deployment("web", 3, strategy={"type": "Recreate"}))
    await world.rolled_out("web")
    world.agents.most_running = 3
    world.agents.least_ready = 3
    await world.api.ok("set", "image", "deployment/web", "web=web:2")
    await world.rolled_out("web")
    assert world.agents.most_running == 3
    assert world.agents.least_ready == 0


async def test_old_replicasets_go_beyond_the_history_limit(world: World) -> None:
    await world.client.create(DEPLOYMENTS, deployment("web", 1, revisionHistoryLimit=1))
    for number in (2, 3, 4):
        await world.rolled_out("web")
        await world.api.ok("set", "image", "deployment/web", f"web=web:{number}")
    await world.rolled_out("web")
    await world.count(REPLICASETS, 2)


async def test_scaling_up_and_down(world: World) -> None:
    await world.client.create(DEPLOYMENTS, deployment("web", 1))
    await world.rolled_out("web")
    for replicas in (20, 4, 0, 2):
        await world.api.ok("scale", "deployment/web", f"--replicas={replicas}")
        await world.rolled_out("web")
        await world.count(PODS, replicas, "app=web")
    assert len(await world.listed(REPLICASETS)) == 1


async def test_a_pod_that_is_deleted_is_replaced_exactly_once(world: World) -> None:
    await world.client.create(DEPLOYMENTS, deployment("web", 3))
    await world.rolled_out("web")
    world.agents.most_running = 3
    for pod in await world.listed(PODS, "app=web"):
        await world.client.delete(PODS, pod["metadata"]["name"], "default")
    await world.until(lambda: world.events("SuccessfulCreate"), lambda found: len(found) >= 6)
    await world.rolled_out("web")
    await world.count(PODS, 3, "app=web")
    await world.something_else()
    assert len(await world.events("SuccessfulCreate")) == 6


async def test_deleting_a_deployment_deletes_everything_it_owns(world: World) -> None:
    for propagation in ("background", "foreground"):
        await world.client.create(DEPLOYMENTS, deployment("web", 2))
        await world.rolled_out("web")
        await world.api.ok("delete", "deployment", "web", f"--cascade={propagation}")
        await world.count(PODS, 0, "app=web")
        await world.count(REPLICASETS, 0)
        await world.gone(DEPLOYMENTS, "web")


async def test_orphaned_replicasets_and_pods_are_adopted_again(world: World) -> None:
    await world.client.create(DEPLOYMENTS, deployment("web", 2))
    await world.rolled_out("web")
    pods = {pod["metadata"]["uid"] for pod in await world.listed(PODS, "app=web")}
    await world.api.ok("delete", "deployment", "web", "--cascade=orphan")
    [orphan] = await world.until(
        lambda: world.listed(REPLICASETS),
        lambda found: found and not found[0]["metadata"].get("ownerReferences"),
    )
    await world.client.create(DEPLOYMENTS, deployment("web", 2))
    await world.rolled_out("web")
    [adopted] = await world.listed(REPLICASETS)
    assert adopted["metadata"]["uid"] == orphan["metadata"]["uid"]
    assert adopted["metadata"]["ownerReferences"][0]["kind"] == "Deployment"
    assert {pod["metadata"]["uid"] for pod in await world.listed(PODS, "app=web")} == pods


async def test_a_name_that_somebody_else_has_is_not_taken(world: World) -> None:
    """The names of ReplicaSets are made of their templates: two of these may have one."""
    await world.client.create(DEPLOYMENTS, deployment("web", 1))
    await world.rolled_out("web")
    [first] = await world.listed(REPLICASETS)
    await world.api.ok("delete", "deployment", "web", "--cascade=orphan")
    await world.until(
        lambda: world.listed(REPLICASETS),
        lambda found: found and not found[0]["metadata"].get("ownerReferences"),
    )
    name, labels = first["metadata"]["name"], {"metadata": {"labels": {"app": "else"}}}
    await world.client.patch(REPLICASETS, name, labels, "default")
    await world.client.create(DEPLOYMENTS, deployment("web", 1))
    done = await world.rolled_out("web")
    assert done["status"]["collisionCount"] == 1
    names = {each["metadata"]["name"] for each in await world.listed(REPLICASETS)}
    assert len(names) == 2
    assert name in names
