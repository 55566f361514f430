"""Disruption budgets against the real API server: evictions are allowed, refused and dry."""

from __future__ import annotations

import asyncio

import pytest

from tests.integration.controllers.world import World, deployment, pod_template
from wellhead.api.errors import ApiError, Conflict, NotFound, TooManyRequests
from wellhead.api.meta import Obj, owner_reference
from wellhead.api.resource import Resource
from wellhead.api.resources import (
    CONFIGMAPS,
    CUSTOMRESOURCEDEFINITIONS,
    DEPLOYMENTS,
    PODDISRUPTIONBUDGETS,
    PODS,
)


def budget(name: str, **spec: object) -> Obj:
    return {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {"selector": {"matchLabels": {"app": "web"}}, **spec},
    }


async def evict(world: World, name: str, **options: object) -> Obj:
    body = {
        "apiVersion": "policy/v1",
        "kind": "Eviction",
        "metadata": {"name": name, "namespace": "default"},
        **({"deleteOptions": options} if options else {}),
    }
    return await world.client.create_subresource(PODS, name, "default", "eviction", body)


async def counted(world: World, **counts: int) -> Obj:
    return await world.until(
        lambda: world.client.get(PODDISRUPTIONBUDGETS, "web", "default"),
        lambda found: counts.items() <= found["status"].items(),
    )


async def test_evictions_end_where_the_budget_does(world: World) -> None:
    await world.client.create(DEPLOYMENTS, deployment("web", 4))
    await world.rolled_out("web")
    await world.client.create(PODDISRUPTIONBUDGETS, budget("web", maxUnavailable=1))
    await counted(world, expectedPods=4, desiredHealthy=3, currentHealthy=4, disruptionsAllowed=1)
    names = [pod["metadata"]["name"] for pod in await world.listed(PODS, "app=web")]
    await evict(world, names[0], dryRun=["All"])
    await counted(world, disruptionsAllowed=1)
    with pytest.raises(Conflict):
        await evict(world, names[0], dryRun=["All"], preconditions={"uid": "another"})
    world.agents.ready = lambda _: False  # whoever replaces them
    answers = await asyncio.gather(*(evict(world, name) for name in names), return_exceptions=True)
    refused = [each for each in answers if isinstance(each, TooManyRequests)]
    assert len(refused) == 3
    assert refused[0].causes[0].reason == "DisruptionBudget"
    gone = names[next(number for number, each in enumerate(answers) if isinstance(each, dict))]
    await world.gone(PODS, gone)
    await counted(world, currentHealthy=3, disruptionsAllowed=0)
    world.agents.ready = lambda _: True
    for pod in await world.listed(PODS, "app=web"):
        await world.api.ok("annotate", "pod", pod["metadata"]["name"], "look=again")
    await counted(world, currentHealthy=4, disruptionsAllowed=1)
    await world.api.ok("scale", "deployment/web", "--replicas=2")
    await counted(world, expectedPods=2, desiredHealthy=1, currentHealthy=2)
    await world.client.create(PODDISRUPTIONBUDGETS, budget("second", minAvailable=1))
    left = await world.count(PODS, 2, "app=web")
    with pytest.raises(ApiError, match="more than one PodDisruptionBudget"):
        await evict(world, left[0]["metadata"]["name"])


async def test_a_drain_waits_for_the_budget(world: World) -> None:
    await world.client.create(DEPLOYMENTS, deployment("web", 3))
    await world.rolled_out("web")
    await world.client.create(PODDISRUPTIONBUDGETS, budget("web", minAvailable="100%"))
    await counted(world, expectedPods=3, disruptionsAllowed=0)
    # One that is given so little time may have got nowhere yet.
    code, _ = await world.until(
        lambda: world.api.kubectl("drain", "node-1", "--timeout=1s"),
        lambda said: "Cannot evict pod as it would violate the pod's disruption budget." in said[1],
    )
    assert code == 1
    await world.client.patch(
        PODDISRUPTIONBUDGETS, "web", {"spec": {"minAvailable": "50%"}}, "default", kind="merge"
    )
    await counted(world, disruptionsAllowed=1)
    await world.api.ok("drain", "node-1", "--timeout=120s")
    pods = await world.listed(PODS, "app=web")
    assert "node-1" not in {pod["spec"].get("nodeName") for pod in pods}
    await counted(world, currentHealthy=3)


async def test_what_is_expected_is_asked_of_whatever_controls_the_pods(world: World) -> None:
    await world.client.create(CUSTOMRESOURCEDEFINITIONS, farms())
    await world.until(lambda: is_served(world), bool)
    farm = {"apiVersion": "example.com/v1", "kind": "Farm", "spec": {"replicas": 5}}
    made = await world.client.create(FARMS, {**farm, "metadata": {"name": "f", "namespace": "default"}})
    owned = pod_template("web")
    owned["metadata"] |= {"name": "p", "namespace": "default", "ownerReferences": [owner_reference(made)]}
    await world.client.create(PODS, {"apiVersion": "v1", "kind": "Pod", **owned})
    await world.client.create(PODDISRUPTIONBUDGETS, budget("web", maxUnavailable="80%"))
    await counted(world, expectedPods=5, desiredHealthy=1, currentHealthy=1)
    book = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "book", "namespace": "default"}}
    written = await world.client.create(CONFIGMAPS, book)
    owned["metadata"] |= {"name": "q", "ownerReferences": [owner_reference(written)]}
    await world.client.create(PODS, {"apiVersion": "v1", "kind": "Pod", **owned})
    broken = await world.until(
        lambda: world.client.get(PODDISRUPTIONBUDGETS, "web", "default"),
        lambda found: found["status"]["conditions"][0]["reason"] == "SyncFailed",
    )
    why = "configmaps does not implement the scale subresource"
    assert broken["status"]["conditions"][0]["message"] == why
    assert broken["status"]["disruptionsAllowed"] == 0


FARMS = Resource("example.com", "v1", "Farm", "farms")


async def is_served(world: World) -> bool:
    try:
        await world.client.list(FARMS, "default")
    except NotFound:
        return False
    return True


def farms() -> Obj:
    numbers = {"type": "object", "properties": {"replicas": {"type": "integer"}}}
    schema = {"type": "object", "properties": {"spec": numbers, "status": numbers}}
    scale = {"specReplicasPath": ".spec.replicas", "statusReplicasPath": ".status.replicas"}
    version = {
        "name": "v1",
        "served": True,
        "storage": True,
        "schema": {"openAPIV3Schema": schema},
        "subresources": {"scale": scale},
    }
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "farms.example.com"},
        "spec": {
            "group": "example.com",
            "scope": "Namespaced",
            "names": {"plural": "farms", "singular": "farm", "kind": "Farm"},
            "versions": [version],
        },
    }
