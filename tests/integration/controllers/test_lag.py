"""Watches that lag make nobody do a thing twice."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.integration.apiserver.pki import Pki
from tests.integration.controllers.world import LaggingClient, World, deployment, world
from wellhead.api.meta import AnyObj, Obj
from wellhead.api.resource import Resource
from wellhead.api.resources import DEPLOYMENTS, PODS, REPLICASETS
from wellhead.client.rest import ConnectionLost


@pytest.fixture
async def lagging(pki: Pki, tmp_path: Path) -> AsyncIterator[World]:
    """A world whose controllers see every change 0.2 s late."""
    async with world(pki, tmp_path, kind=LaggingClient) as made:
        yield made


async def test_no_pod_is_created_or_deleted_twice(lagging: World) -> None:
    await lagging.client.create(DEPLOYMENTS, deployment("web", 4))
    await lagging.rolled_out("web")
    await lagging.told("SuccessfulCreate", 4)
    assert lagging.agents.most_running == 4
    await lagging.api.ok("scale", "deployment/web", "--replicas=2")
    await lagging.rolled_out("web")
    await lagging.told("SuccessfulDelete", 2)
    await lagging.count(PODS, 2, "app=web")
    assert len(await lagging.listed(REPLICASETS)) == 1


async def test_a_rolling_update_keeps_its_bounds(lagging: World) -> None:
    strategy = {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}}
    await lagging.client.create(DEPLOYMENTS, deployment("web", 2, strategy=strategy))
    await lagging.rolled_out("web")
    lagging.agents.most_running = lagging.agents.least_ready = 2
    await lagging.api.ok("set", "image", "deployment/web", "web=web:2")
    await lagging.rolled_out("web")
    assert lagging.agents.most_running == 3
    assert lagging.agents.least_ready == 2


class ForgetfulClient(LaggingClient):
    """Loses the answer to every third create of a pod, after the server has made it."""

    created = 0

    async def create(self, resource: Resource, obj: AnyObj) -> Obj:
        answer = await super().create(resource, obj)
        if resource == PODS:
            self.created += 1
            if self.created % 3 == 1:
                raise ConnectionLost("reset by peer")
        return answer


async def test_a_create_whose_answer_was_lost_is_not_repeated(pki: Pki, tmp_path: Path) -> None:
    async with world(pki, tmp_path, kind=ForgetfulClient) as made:
        await made.client.create(DEPLOYMENTS, deployment("web", 7))
        await made.rolled_out("web")
        await made.count(PODS, 7, "app=web")
        assert made.agents.most_running == 7
