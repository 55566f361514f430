"""Nodes that fall silent, and what becomes of their pods. The grace period is one second here."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.integration.apiserver.pki import Pki
from tests.integration.controllers.world import World, deployment, service, world
from wellhead.api.meta import condition, now
from wellhead.api.resources import DEPLOYMENTS, ENDPOINTSLICES, NODES, PODS, SERVICES

UNREACHABLE = "node.kubernetes.io/unreachable"


@pytest.fixture
async def impatient(pki: Pki, tmp_path: Path) -> AsyncIterator[tuple[World, set[str]]]:
    """A world, and the nodes whose agents work, which renew their leases and say that all is well.

    One of which nobody heard for too long, on a machine with much else to do, is so seen to be well again.
    """
    alive = {"node-1", "node-2", "node-3"}

    async def work(made: World) -> None:
        while True:
            for node in tuple(alive):
                await made.renew_lease(node)
                found = await made.client.get(NODES, node)
                if (condition(found, "Ready") or {}).get("status") == "Unknown":
                    times = {"lastHeartbeatTime": now(), "lastTransitionTime": now()}
                    status = {"conditions": [{"type": "Ready", "status": "True", **times}]}
                    await made.client.patch(NODES, node, {"status": status}, subresource="status")
            await asyncio.sleep(0.3)

    async with world(pki, tmp_path, grace_period=1.5) as made:
        renewing = asyncio.create_task(work(made))
        try:
            yield made, alive
        finally:
            renewing.cancel()
            await asyncio.gather(renewing, return_exceptions=True)


async def status_of(world: World, node: str) -> tuple[str, set[tuple[str, str]]]:
    found = await world.client.get(NODES, node)
    taints = {(taint["key"], taint["effect"]) for taint in found["spec"].get("taints") or []}
    return (condition(found, "Ready") or {})["status"], taints


async def test_a_silent_node_is_unknown_tainted_and_its_pods_leave_services(
    impatient: tuple[World, set[str]],
) -> None:
    world, alive = impatient
    web = deployment("web")
    # One on each, also if a node was not heard of for a moment when they were placed.
    apart = {"labelSelector": {"matchLabels": {"app": "web"}}, "topologyKey": "kubernetes.io/hostname"}
    affinity = {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [apart]}}
    web["spec"]["template"]["spec"]["affinity"] = affinity
    await world.client.create(DEPLOYMENTS, web)
    await world.client.create(SERVICES, service("web"))

    async def ready_nodes() -> set[str]:
        return {
            endpoint["nodeName"]
            for each in await world.listed(ENDPOINTSLICES, "kubernetes.io/service-name=web")
            for endpoint in each.get("endpoints") or []
            if endpoint["conditions"]["ready"]
        }

    await world.until(ready_nodes, lambda found: len(found) == 3)
    alive.remove("node-2")
    # The agent is dead, so nobody contradicts.
    world.agents.ready = lambda pod: pod["spec"]["nodeName"] != "node-2"
    both = {(UNREACHABLE, "NoSchedule"), (UNREACHABLE, "NoExecute")}
    await world.until(lambda: status_of(world, "node-2"), lambda found: found == ("Unknown", both))
    await world.until(ready_nodes, lambda found: found == {"node-1", "node-3"})
    await world.until(lambda: status_of(world, "node-1"), lambda found: found == ("True", set()))

    alive.add("node-2")
    await world.until(lambda: status_of(world, "node-2"), lambda found: found == ("True", set()))


async def test_pods_are_evicted_when_their_toleration_of_the_taint_ends(
    impatient: tuple[World, set[str]],
) -> None:
    world, alive = impatient
    tolerations = [
        {"key": UNREACHABLE, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 1},
    ]
    web = deployment("web", 3)
    web["spec"]["template"]["spec"]["tolerations"] = tolerations
    await world.client.create(DEPLOYMENTS, web)
    await world.rolled_out("web")
    alive.remove("node-2")

    async def nodes() -> set[str]:
        return {pod["spec"].get("nodeName", "") for pod in await world.listed(PODS, "app=web")}

    await world.until(nodes, lambda found: found == {"node-1", "node-3"})
    await world.rolled_out("web")


async def test_while_all_nodes_are_silent_nobody_is_evicted(impatient: tuple[World, set[str]]) -> None:
    world, alive = impatient
    alive.clear()
    for name in ("node-1", "node-2", "node-3"):
        await world.until(lambda name=name: status_of(world, name), lambda found: found[0] == "Unknown")  # type: ignore[misc]

    async def all_taints() -> list[set[tuple[str, str]]]:
        return [(await status_of(world, name))[1] for name in ("node-1", "node-2", "node-3")]

    await world.until(all_taints, lambda found: found == [{(UNREACHABLE, "NoSchedule")}] * 3)


async def test_cordoning_taints_the_node_and_uncordoning_untaints_it(
    impatient: tuple[World, set[str]],
) -> None:
    world, _ = impatient
    await world.api.ok("cordon", "node-1")
    taint = {("node.kubernetes.io/unschedulable", "NoSchedule")}
    await world.until(lambda: status_of(world, "node-1"), lambda found: found == ("True", taint))
    await world.api.ok("uncordon", "node-1")
    await world.until(lambda: status_of(world, "node-1"), lambda found: found == ("True", set()))
