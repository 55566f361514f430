"""What others write to what a controller looks after is noticed when it is written."""

from __future__ import annotations

from tests.integration.controllers.test_daemonset import daemonset
from tests.integration.controllers.test_disruption import budget
from tests.integration.controllers.test_replication import replicationcontroller
from tests.integration.controllers.test_statefulset import statefulset
from tests.integration.controllers.world import World
from wellhead.api.meta import Obj, labels
from wellhead.api.resource import Resource
from wellhead.api.resources import (
    CONTROLLERREVISIONS,
    DAEMONSETS,
    PODDISRUPTIONBUDGETS,
    PODS,
    REPLICATIONCONTROLLERS,
    STATEFULSETS,
)

HASH = "controller-revision-hash"


async def settled(world: World, resource: Resource, name: str, wanted: Obj) -> Obj:
    """Wait until its status says all of this; then the status, without its conditions."""
    found = await world.until(
        lambda: world.client.get(resource, name, "default"),
        lambda found: wanted.items() <= (found.get("status") or {}).items(),
    )
    return {field: value for field, value in found["status"].items() if field != "conditions"}


async def test_a_status_that_somebody_else_writes_is_put_right(world: World) -> None:
    await world.client.create(REPLICATIONCONTROLLERS, replicationcontroller("rc", 2))
    await world.client.create(DAEMONSETS, daemonset("ds"))
    await world.client.create(STATEFULSETS, statefulset("sts", 2))
    await world.client.create(PODDISRUPTIONBUDGETS, budget("web", minAvailable=0))
    watched = (
        (REPLICATIONCONTROLLERS, "rc", "availableReplicas", 2),
        (DAEMONSETS, "ds", "numberAvailable", 3),
        (STATEFULSETS, "sts", "availableReplicas", 2),
        (PODDISRUPTIONBUDGETS, "web", "observedGeneration", 1),
    )
    for resource, name, field, count in watched:
        right = await settled(world, resource, name, {field: count})
        wrong = dict.fromkeys(right.keys() & {field, "numberReady"}, 0)
        patch = {"status": wrong | {"observedGeneration": 0}}
        await world.client.patch(resource, name, patch, "default", subresource="status")
        await settled(world, resource, name, right)


async def test_a_pod_that_changes_hands_is_replaced_and_a_revision_that_goes_comes_back(world: World) -> None:
    await world.client.create(DAEMONSETS, daemonset("web"))
    pods = await world.count(PODS, 3, "app=web")
    name, [revision] = pods[0]["metadata"]["name"], await world.listed(CONTROLLERREVISIONS)
    await world.client.patch(PODS, name, {"metadata": {"labels": {"app": "mine"}}}, "default")
    await world.count(PODS, 3, "app=web")
    released = await world.client.get(PODS, name, "default")
    assert not released["metadata"].get("ownerReferences")
    await world.client.delete(CONTROLLERREVISIONS, revision["metadata"]["name"], "default")
    again = await world.until(
        lambda: world.listed(CONTROLLERREVISIONS),
        lambda found: found and found[0]["metadata"]["uid"] != revision["metadata"]["uid"],
    )
    assert labels(again[0])[HASH] == labels(revision)[HASH]
