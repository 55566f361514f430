"""Pods of nodes that are gone go; so do finished ones beyond the threshold, oldest first."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from tests.integration.controllers.world import World, deployment, pod_template
from wellhead.api.meta import Obj
from wellhead.api.resources import DEPLOYMENTS, NODES, PODS
from wellhead.controllers.indexes import INDEXES
from wellhead.controllers.podgc import PodGarbageCollector
from wellhead.controllers.store import Stores


@pytest.fixture
async def collecting(world: World) -> AsyncIterator[World]:
    """With a collector that waits for 0.3 s and keeps two finished pods."""
    stores = Stores(world.client, (PODS, NODES), INDEXES)
    collector = PodGarbageCollector(stores, threshold=2, quarantine=0.3)
    running = [asyncio.create_task(stores.run()), asyncio.create_task(collector.run())]
    try:
        yield world
    finally:
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)


async def test_pods_of_a_deleted_node_are_replaced_elsewhere(collecting: World) -> None:
    await collecting.client.create(DEPLOYMENTS, deployment("web", 3))
    await collecting.rolled_out("web")
    await collecting.client.delete(NODES, "node-2")

    async def nodes() -> set[str]:
        return {pod["spec"].get("nodeName", "") for pod in await collecting.listed(PODS, "app=web")}

    await collecting.until(nodes, lambda found: found == {"node-1", "node-3"})
    await collecting.rolled_out("web")


def bare_pod(name: str) -> Obj:
    template = pod_template(name)
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": "default", **template["metadata"]},
        "spec": {**template["spec"], "nodeName": "node-1"},
    }


async def test_only_so_many_finished_pods_are_kept(collecting: World) -> None:
    for number in range(5):
        await collecting.client.create(PODS, bare_pod(f"job-{number}"))
    for number in range(5):
        name = f"job-{number}"
        await collecting.until(
            lambda name=name: collecting.client.get(PODS, name, "default"),  # type: ignore[misc]
            lambda found: found["status"].get("podIP"),
        )
        done = {"status": {"phase": "Succeeded"}}
        await collecting.client.patch(PODS, name, done, "default", subresource="status")
    await collecting.count(PODS, 2)


async def test_pods_that_should_end_on_a_node_that_is_off_are_let_go(collecting: World) -> None:
    for name in ("ending", "staying"):
        await collecting.client.create(PODS, bare_pod(name))
    await collecting.client.delete(PODS, "ending", "default", grace_period=3600)
    node = await collecting.client.get(NODES, "node-1")
    not_ready = {"type": "Ready", "status": "Unknown"}
    await collecting.client.patch(
        NODES, "node-1", {"status": {"conditions": [not_ready]}}, kind="strategic", subresource="status"
    )
    taint = {"key": "node.kubernetes.io/out-of-service", "value": "nodeshutdown", "effect": "NoExecute"}
    taints = [*(node["spec"].get("taints") or []), taint]
    await collecting.client.patch(NODES, "node-1", {"spec": {"taints": taints}})

    async def names() -> set[str]:
        return {pod["metadata"]["name"] for pod in (await collecting.client.list(PODS))["items"]}

    await collecting.until(names, lambda found: "ending" not in found)
    assert "staying" in await names()
