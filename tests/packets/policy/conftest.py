"""The world of the proxy's packet tests, and policies in force on its node."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from ipaddress import ip_network
from typing import Any

import pytest

from tests.packets.policy.crowd import Crowd
from tests.packets.proxy.nftables_world import NftablesWorld
from tests.packets.proxy.world import POD_A, POD_A6, POD_B, POD_B6, POD_FAR, POD_FAR6, TARGET_PORT
from wellhead.ip import Family
from wellhead.policies.node_policies import NodePolicies
from wellhead.policies.pods import labels_of, parse_pod
from wellhead.policies.policy import parse_policy
from wellhead.policy.enforcement import Enforcement

NETWORKS = (ip_network("10.244.1.0/24"), ip_network("fd00:10:244:1::/64"))


class Policies:
    """One node's, told of objects as by watches."""

    def __init__(self, world: NftablesWorld) -> None:
        self.world = world
        self.start()

    def start(self) -> None:
        """A process, that knows nothing yet."""

        async def made() -> Enforcement:
            return Enforcement(Family)

        self.known = NodePolicies("node-1")
        self.enforcement = self.world.node.await_(made())

    def stop(self) -> None:
        async def close() -> None:
            self.enforcement.close()

        self.world.node.await_(close())

    def apply(self) -> int:
        return self.world.node.await_(self.enforcement.apply(self.known.take()))

    def pod(self, name: str, node: str, *addresses: str, **labels: str) -> None:
        self.known.set_pod(
            ("shop", name),
            parse_pod(
                {
                    "metadata": {"namespace": "shop", "name": name, "uid": name, "labels": labels},
                    "spec": {
                        "nodeName": node,
                        "containers": [{"ports": [{"name": "web", "containerPort": TARGET_PORT}]}],
                    },
                    "status": {"podIPs": [{"ip": each} for each in addresses]},
                }
            ),
        )

    def policy(self, name: str, **spec: Any) -> None:
        metadata = {"namespace": "shop", "name": name}
        self.known.set_policy(("shop", name), parse_policy({"metadata": metadata, "spec": spec}))

    def cluster(self) -> None:
        """The world's pods: `a` and `b` here, `far` on another node."""
        self.known.set_namespace("shop", labels_of({"metadata": {"labels": {"team": "one"}}}))
        self.pod("a", "node-1", POD_A, POD_A6, app="a")
        self.pod("b", "node-1", POD_B, POD_B6, app="b")
        self.pod("far", "node-2", POD_FAR, POD_FAR6, app="far")


@pytest.fixture(scope="module")
def crowd() -> Iterator[Crowd]:
    found = Crowd()
    try:
        yield found
    finally:
        found.close()


@pytest.fixture(scope="module")
def world() -> Iterator[NftablesWorld]:
    found = NftablesWorld()
    try:
        yield found
    finally:
        found.close()


@pytest.fixture
def policies(world: NftablesWorld) -> Iterator[Policies]:
    found = Policies(world)
    found.cluster()
    try:
        yield found
    finally:
        found.stop()
        for family in ("ip", "ip6"):
            with contextlib.suppress(AssertionError):
                world.node.run(f"nft delete table {family} wellhead-policy")
