"""Who enforces policies hears of ClusterNetworkPolicies while their kind is served, and only then."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.integration.controllers.world import World
from tests.patience import reached
from wellhead.api.errors import ApiError
from wellhead.api.resources import CUSTOMRESOURCEDEFINITIONS
from wellhead.policies.cluster_policies import ClusterPolicies
from wellhead.policies.node_policies import NodePolicies
from wellhead.policy.cluster_watches import CLUSTERNETWORKPOLICIES
from wellhead.policy.watches import Watches

DEFINITION = yaml.safe_load(
    (Path(__file__).parents[3] / "deploy" / "network-policy" / "clusternetworkpolicies.yaml").read_text()
)


def policy(**rule: Any) -> Any:
    given = {"action": "Deny", "from": [{"namespaces": {}}], **rule}
    return {
        "apiVersion": CLUSTERNETWORKPOLICIES.api_version,
        "kind": CLUSTERNETWORKPOLICIES.kind,
        "metadata": {"name": "guard"},
        "spec": {"tier": "Admin", "priority": 1, "subject": {"namespaces": {}}, "ingress": [given]},
    }


async def test_policies_come_and_go_with_their_kind_which_refuses_bad_ones(world: World) -> None:
    known = ClusterPolicies("node-1")
    watches = Watches(world.client, NodePolicies("node-1"), known, lambda: None, lambda *_: None)
    following = asyncio.create_task(watches.run())
    try:
        await watches.synced()
        assert not watches.needed, "there is neither the kind nor a policy"
        for _ in range(2):
            await world.client.create(CUSTOMRESOURCEDEFINITIONS, DEFINITION)
            await reached(lambda: _created(world))
            await reached(lambda: list(known.policies), lambda found: found == [("", "guard")])
            await watches.synced()
            assert watches.needed
            await refuse(world)
            await world.client.delete(CUSTOMRESOURCEDEFINITIONS, DEFINITION["metadata"]["name"])
            await reached(lambda: list(known.policies), lambda found: not found)
            await reached(lambda: _is_gone(world))
    finally:
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)


async def _created(world: World) -> bool:
    """Once the kind is served."""
    try:
        await world.client.create(CLUSTERNETWORKPOLICIES, policy())
    except ApiError:
        return False
    return True


async def _is_gone(world: World) -> bool:
    return not (await world.client.list(CUSTOMRESOURCEDEFINITIONS))["items"]


async def refuse(world: World) -> None:
    """What upstream's definition refuses, too."""
    for rule, said in (
        ({"action": "Allow"}, "Unsupported value"),
        ({"from": []}, "at least 1"),
        ({"from": [{"namespaces": {}, "pods": {"podSelector": {}}}]}, "at most 1"),
        ({"protocols": [{"tcp": {"destinationPort": {"range": {"start": 9, "end": 9}}}}]}, "less than End"),
    ):
        bad = policy(**rule)
        bad["metadata"]["name"] = "bad"
        with pytest.raises(ApiError, match=said):
            await world.client.create(CLUSTERNETWORKPOLICIES, bad)
