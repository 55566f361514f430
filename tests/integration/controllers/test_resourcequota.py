"""Quotas against the real API server: counted when they come, and when something goes."""

from __future__ import annotations

from tests.integration.controllers.world import World
from wellhead.api.meta import Obj
from wellhead.api.resources import CONFIGMAPS, RESOURCEQUOTAS


async def used(world: World, count: str) -> Obj:
    return await world.until(
        lambda: world.client.get(RESOURCEQUOTAS, "q", "default"),
        lambda found: ((found.get("status") or {}).get("used") or {}).get("count/configmaps") == count,
    )


async def test_a_quota_follows_what_comes_and_goes(world: World) -> None:
    # Nothing else comes once the namespace has what each has.
    before = len(await world.until(lambda: world.listed(CONFIGMAPS), bool))
    quota: Obj = {
        "apiVersion": "v1",
        "kind": "ResourceQuota",
        "metadata": {"name": "q", "namespace": "default"},
        "spec": {"hard": {"count/configmaps": "100"}},
    }
    await world.client.create(RESOURCEQUOTAS, quota)
    await used(world, str(before))
    config: Obj = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c", "namespace": "default"}}
    await world.client.create(CONFIGMAPS, config)
    await used(world, str(before + 1))
    await world.client.delete(CONFIGMAPS, "c", "default")
    await used(world, str(before))
