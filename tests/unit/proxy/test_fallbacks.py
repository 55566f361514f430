"""Telling where client addresses are not kept."""

from __future__ import annotations

import asyncio
import dataclasses
from ipaddress import ip_network
from typing import Any

import pytest

from tests.patience import settled
from tests.unit.services.objects import endpoint, endpoint_slice, node, service
from wellhead.proxy.fallbacks import Fallbacks
from wellhead.services.names import ServiceKey
from wellhead.services.node import LocalNode
from wellhead.services.node_view import NodeView
from wellhead.services.service_map import ServiceMap

HERE = node(inside=(ip_network("10.240.0.0/24"), ip_network("10.244.0.0/24")))
PRESERVING: dict[str, Any] = {
    "type": "NodePort",
    "ports": ({"port": 80, "nodePort": 30080},),
    "annotations": {"wellhead.dev/preserve-client-ip": "true"},
}


class Proxy:
    """A view that `Fallbacks` follows, and what it has said."""

    def __init__(self, here: LocalNode = HERE) -> None:
        self.said: list[tuple[ServiceKey, str]] = []
        self.cluster = ServiceMap()
        self.view = NodeView(self.cluster, here)
        self.fallbacks = Fallbacks(lambda key, message: self.said.append((key, message)), grace=0, pace=0)
        found = service(**PRESERVING)
        self.cluster.set_service(found.key, found)

    def update(self, *nodes: str, network: str = "10.244.0") -> None:
        found = (endpoint(f"{network}.{index}", each) for index, each in enumerate(nodes, 1))
        self.cluster.set_slice("default", "web-1", endpoint_slice(*found))
        self.fallbacks.update(self.view.update())


async def test_it_is_said_once_and_again_when_the_nodes_change() -> None:
    proxy = Proxy()
    running = asyncio.create_task(proxy.fallbacks.run())
    proxy.update("node-1", "node-3")
    await settled()
    [(key, message)] = proxy.said
    assert key == ServiceKey("default", "web")
    assert "endpoints on node-3:" in message
    proxy.update("node-3", "node-1", "node-3")
    await settled()
    assert len(proxy.said) == 1
    proxy.update("node-3", "node-4")
    await settled()
    assert "node-3, node-4" in proxy.said[1][1]
    proxy.update("node-1")
    await settled()
    assert len(proxy.said) == 2
    running.cancel()


@pytest.mark.parametrize(("returning", "speaks"), [({"node-0"}, False), ({"node-2"}, True)])
async def test_the_first_node_of_those_that_see_the_same_speaks(returning: set[str], speaks: bool) -> None:
    proxy = Proxy(dataclasses.replace(HERE, returning=frozenset(returning)))
    running = asyncio.create_task(proxy.fallbacks.run())
    proxy.update("node-9")
    await settled()
    assert bool(proxy.said) == speaks
    running.cancel()


async def test_addresses_that_are_no_nodes_as_far_as_anybody_knows_are_told() -> None:
    """As in a cloud that gives pods single addresses."""
    proxy = Proxy(dataclasses.replace(HERE, returning=frozenset({"node-3"})))
    running = asyncio.create_task(proxy.fallbacks.run())
    proxy.update("node-1", "node-3", network="172.31.5")
    await settled()
    [(_, message)] = proxy.said
    assert "towards 172.31.5.1 and 1 more: neither podCIDRs nor" in message
    proxy.update("node-3", network="172.31.9")
    await settled()
    assert len(proxy.said) == 1
    proxy.view.set_node(dataclasses.replace(proxy.view.node, inside=(ip_network("172.31.0.0/16"),)))
    proxy.fallbacks.update(proxy.view.update())
    await settled()
    proxy.update("node-3", "node-4", network="172.31.9")
    await settled()
    assert "towards endpoints on node-4:" in proxy.said[1][1]
    assert "172" not in proxy.said[1][1]
    running.cancel()
