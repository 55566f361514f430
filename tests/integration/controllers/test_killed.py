"""Controllers that die after any of their writes, again and again, do nothing twice."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from tests.integration.controllers.test_daemonset import daemonset
from tests.integration.controllers.test_replication import replicationcontroller
from tests.integration.controllers.test_statefulset import statefulset
from tests.integration.controllers.world import World, deployment
from tests.patience import reached
from wellhead.api.meta import Obj
from wellhead.api.resource import Resource
from wellhead.api.resources import (
    CONTROLLERREVISIONS,
    DAEMONSETS,
    DEPLOYMENTS,
    NODES,
    PERSISTENTVOLUMECLAIMS,
    PODS,
    REPLICASETS,
    REPLICATIONCONTROLLERS,
    STATEFULSETS,
)
from wellhead.client.connection import load
from wellhead.client.events import EventRecorder
from wellhead.client.rest import Client
from wellhead.controllers.daemonset.controller import DaemonSetController
from wellhead.controllers.deployment.controller import DeploymentController
from wellhead.controllers.indexes import INDEXES
from wellhead.controllers.isolation import Controller
from wellhead.controllers.replicaset.controller import ReplicasController
from wellhead.controllers.statefulset.controller import StatefulSetController
from wellhead.controllers.store import Stores

WATCHED = (
    REPLICASETS,
    REPLICATIONCONTROLLERS,
    DEPLOYMENTS,
    DAEMONSETS,
    STATEFULSETS,
    CONTROLLERREVISIONS,
    PODS,
    NODES,
    PERSISTENTVOLUMECLAIMS,
)


class MortalClient(Client):
    """Says when it has written; what it wrote, nobody learns of."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.exhausted = asyncio.Event()

    async def _call(self, method: str, path: str, **options: Any) -> Obj:
        answer = await super()._call(method, path, **options)
        if method != "GET" and "/events" not in path:
            self.exhausted.set()
            await asyncio.Event().wait()
        return answer


def workload_controllers(stores: Stores, recorder: EventRecorder) -> list[Controller]:
    return [
        ReplicasController(stores, recorder, REPLICASETS),
        ReplicasController(stores, recorder, REPLICATIONCONTROLLERS),
        DeploymentController(stores, recorder),
        DaemonSetController(stores, recorder),
        StatefulSetController(stores, recorder),
    ]


async def one_life(world: World, is_done: Callable[[World], Awaitable[bool]]) -> None:
    """Controllers that live for one write, or until all is done.

    What an earlier life had sent last may be done after its death: then nothing is left to be written.
    """
    connection = load(str(world.api.kubeconfig("kube-controller-manager")))
    async with MortalClient(connection, "mortal") as client:
        stores, recorder = Stores(client, WATCHED, INDEXES), EventRecorder(client, "test")
        running = [stores.run(), recorder.run()]
        running += [each.run() for each in workload_controllers(stores, recorder)]
        tasks = [asyncio.create_task(each) for each in running]
        dying = asyncio.create_task(client.exhausted.wait())
        done = asyncio.create_task(reached(lambda: is_done(world)))
        await asyncio.wait([dying, done, *tasks], return_when=asyncio.FIRST_COMPLETED)
        for task in (dying, done, *tasks):
            task.cancel()
        await asyncio.gather(dying, done, *tasks, return_exceptions=True)


def available(resource: Resource, name: str, count: int) -> Callable[[World], Awaitable[bool]]:
    field = "numberAvailable" if resource == DAEMONSETS else "availableReplicas"

    async def ask(world: World) -> bool:
        found = await world.client.get(resource, name, "default")
        metadata, status = found["metadata"], found.get("status") or {}
        seen = status.get("observedGeneration", 0) >= metadata["generation"]
        return bool(seen and status.get(field, 0) == count)

    return ask


def _taints(node: Obj) -> list[Obj]:
    return (node.get("spec") or {}).get("taints") or []


@pytest.mark.parametrize(
    ("resource", "obj", "owned"),
    [
        (REPLICATIONCONTROLLERS, replicationcontroller("web", 3), None),
        (DEPLOYMENTS, deployment("web", 3), REPLICASETS),
        (DAEMONSETS, daemonset("web"), CONTROLLERREVISIONS),
        (STATEFULSETS, statefulset("web", 3), CONTROLLERREVISIONS),
    ],
    ids=lambda each: getattr(each, "kind", ""),
)
async def test_what_dies_after_each_write_makes_nothing_twice(
    world: World, resource: Resource, obj: Obj, owned: Resource | None
) -> None:
    # No DaemonSet goes where a node is tainted as not ready yet, and soon nobody takes that away.
    await world.until(lambda: world.listed(NODES, namespace=""), lambda nodes: not any(map(_taints, nodes)))
    world.controllers.cancel()
    await asyncio.gather(world.controllers, return_exceptions=True)
    await world.client.create(resource, obj)
    is_done = available(resource, "web", 3)
    for _ in range(40):
        await one_life(world, is_done)
        if await is_done(world):
            break
    await world.until(lambda: is_done(world), bool)
    assert world.agents.most_running == 3
    assert len(await world.listed(PODS, "app=web")) == 3
    if owned is not None:
        assert len(await world.listed(owned)) == 1
