"""A pod that begins waits for policies that are in force, and for nothing else."""

from __future__ import annotations

import asyncio
from ipaddress import ip_address

import pytest

from tests.packets.policy.conftest import NETWORKS, Policies
from tests.packets.proxy.world import POD_A, POD_A6
from wellhead.node.network import policy_guard

pytestmark = pytest.mark.cluster
ADDRESSES = (ip_address(POD_A), ip_address(POD_A6))


class Told:
    """Whether somebody has told the API of the addresses."""

    def __init__(self) -> None:
        self.it = asyncio.Event()

    async def tell(self) -> None:
        self.it.set()


async def waiting(told: Told) -> asyncio.Task[None]:
    """Somebody who waits, once it does."""
    task = asyncio.ensure_future(policy_guard.admitted(ADDRESSES, told.tell()))
    await told.it.wait()
    return task


def test_without_policies_nobody_waits_or_tells(policies: Policies) -> None:
    told = Told()
    policies.world.node.await_(policy_guard.admitted(ADDRESSES, told.tell()))
    policies.apply()
    policies.world.node.await_(policy_guard.admitted(ADDRESSES, told.tell()))
    assert not told.it.is_set()


def test_where_policies_are_in_force_it_waits_until_they_know_the_pod(policies: Policies) -> None:
    policies.known.set_pod(("shop", "a"), None)
    policies.enforcement.set_pod_networks(NETWORKS)
    policies.apply()

    async def begin() -> None:
        told = Told()
        task = await waiting(told)
        assert not task.done()
        policies.pod("a", "node-1", POD_A, POD_A6)
        await policies.enforcement.apply(policies.known.take())
        await task

    policies.world.node.await_(begin())


def test_when_the_last_policy_goes_nobody_waits_any_more(policies: Policies) -> None:
    policies.known.set_pod(("shop", "a"), None)
    policies.enforcement.set_pod_networks(NETWORKS)
    policies.apply()

    async def begin() -> None:
        task = await waiting(Told())
        policies.enforcement.set_pod_networks(())
        await policies.enforcement.apply(policies.known.take())
        await task

    policies.world.node.await_(begin())
