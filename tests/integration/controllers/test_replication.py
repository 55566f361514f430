"""ReplicationControllers keep their number of pods, and know which pods are theirs."""

from __future__ import annotations

from tests.integration.controllers.world import World, pod_template
from wellhead.api.meta import Obj, condition
from wellhead.api.resources import PODS, REPLICATIONCONTROLLERS


def replicationcontroller(name: str, replicas: int, **template_spec: object) -> Obj:
    template = pod_template(name)
    template["spec"] |= template_spec
    return {
        "apiVersion": "v1",
        "kind": "ReplicationController",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {"replicas": replicas, "template": template},
    }


async def settled(world: World, replicas: int) -> Obj:
    return await world.until(
        lambda: world.client.get(REPLICATIONCONTROLLERS, "web", "default"),
        lambda found: (found.get("status") or {}).get("availableReplicas", 0) == replicas,
    )


async def test_it_makes_scales_adopts_and_releases(world: World) -> None:
    orphan = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "orphan", "namespace": "default", "labels": {"app": "web"}},
        "spec": {"containers": [{"name": "web", "image": "web:1"}]},
    }
    await world.client.create(PODS, orphan)
    await world.client.create(REPLICATIONCONTROLLERS, replicationcontroller("web", 3))
    done = await settled(world, 3)
    assert done["status"]["replicas"] == done["status"]["fullyLabeledReplicas"] == 3
    names = [pod["metadata"]["name"] for pod in await world.listed(PODS, "app=web")]
    assert "orphan" in names
    await world.client.patch(PODS, "orphan", {"metadata": {"labels": {"app": "else"}}}, "default")
    released = await world.until(
        lambda: world.client.get(PODS, "orphan", "default"),
        lambda pod: not pod["metadata"].get("ownerReferences"),
    )
    assert released["metadata"]["labels"] == {"app": "else"}
    await world.count(PODS, 3, "app=web")
    await world.api.ok("scale", "rc/web", "--replicas=1")
    await settled(world, 1)
    await world.count(PODS, 1, "app=web")
    assert "web" in await world.api.ok("get", "rc", "-o", "wide")
    await world.api.ok("delete", "rc", "web")
    await world.count(PODS, 0, "app=web")


async def test_it_says_why_it_can_make_no_pods(world: World) -> None:
    broken = replicationcontroller("web", 2, serviceAccountName="none")
    await world.client.create(REPLICATIONCONTROLLERS, broken)
    await world.until(
        lambda: world.client.get(REPLICATIONCONTROLLERS, "web", "default"),
        lambda found: (condition(found, "ReplicaFailure") or {}).get("reason") == "FailedCreate",
    )
    [said, *_] = await world.until(lambda: world.events("FailedCreate"), bool)
    assert said.startswith("Error creating: ")
