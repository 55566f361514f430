"""Aggregated ClusterRoles have the rules of those that they select."""

from __future__ import annotations

from tests.integration.controllers.world import World
from wellhead.api.meta import Obj
from wellhead.api.resources import CLUSTERROLES

LABEL = "rbac.authorization.k8s.io/aggregate-to-view"


async def test_view_has_what_is_labelled_for_it(world: World) -> None:
    async def rules_of(name: str) -> list[Obj]:
        found: list[Obj] = (await world.client.get(CLUSTERROLES, name))["rules"]
        return found

    async def everywhere() -> list[bool]:  # each selects the one before
        return [rule in await rules_of(name) for name in ("view", "edit", "admin")]

    await world.until(lambda: rules_of("view"), bool)
    rule = {"verbs": ["get"], "apiGroups": ["example.com"], "resources": ["widgets"]}
    role: Obj = {
        "apiVersion": CLUSTERROLES.api_version,
        "kind": "ClusterRole",
        "metadata": {"name": "widgets", "labels": {LABEL: "true"}},
        "rules": [rule],
    }
    role = await world.client.create(CLUSTERROLES, role)
    await world.until(everywhere, all)
    await world.client.update(CLUSTERROLES, role | {"metadata": role["metadata"] | {"labels": {}}})
    await world.until(everywhere, lambda found: not any(found))
