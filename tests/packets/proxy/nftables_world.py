"""The world of the proxy's packet tests, its node programmed by the nftables backend.

The backend listens to the kernel, so it has an event loop of its own that runs for as long as the world does.
"""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Coroutine
from ipaddress import ip_network
from typing import Any, TypeVar

from tests.packets.proxy.test_source_ip import web
from tests.packets.proxy.world import POD_A6, POD_B6, POD_FAR6, Host, World
from tests.patience import PATIENCE
from wellhead.ip import Family
from wellhead.proxy.backends.nftables.backend import NftablesBackend
from wellhead.proxy.backends.nftables.ruleset import NftablesConfig
from wellhead.services.node import LocalNode
from wellhead.services.node_view import NodeView

T = TypeVar("T")
ALL_IPV6 = (POD_A6, POD_B6, POD_FAR6)
CONFIG = NftablesConfig(service_ranges=(ip_network("10.0.0.0/16"), ip_network("fd00:10::/112")))


class NodeLoop:
    """An event loop in a thread in a host's network namespace."""

    def __init__(self, host: Host) -> None:
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: host.inside(self._run), name="node")
        self._thread.start()
        self._ready.wait()

    def _run(self) -> None:
        self._loop.call_soon(self._ready.set)
        self._loop.run_forever()
        self._loop.run_until_complete(self._loop.shutdown_default_executor())
        self._loop.close()

    def wait_for(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(PATIENCE)

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()


class _LoopHost(Host):
    """A host whose coroutines all run on one loop."""

    loop: NodeLoop

    def await_(self, work: Coroutine[Any, Any, T]) -> T:
        return self.loop.wait_for(work)


class NftablesWorld(World):
    """See there."""

    backend: NftablesBackend  # type: ignore[assignment]

    def __init__(self) -> None:
        super().__init__("nft")
        self.node.__class__ = _LoopHost
        self._loop = NodeLoop(self.node)
        self.node.loop = self._loop  # type: ignore[attr-defined]
        self.backend = NftablesBackend(Family, CONFIG)

    def close(self) -> None:
        self.stop_proxy()
        self._loop.close()
        super().close()

    def stop_proxy(self) -> None:
        async def stop() -> None:
            self.backend.close()

        self._loop.wait_for(stop())

    def restart_proxy(self, config: NftablesConfig = CONFIG) -> None:
        """As after kill -9: everything that the process knew is gone, and the view is made anew."""
        self.stop_proxy()
        self.backend = NftablesBackend(Family, config)
        services, slices = self._now
        self.services = type(self.services)()
        self.view = NodeView(self.services, self.view.node)
        self._now = ({}, {})
        self.program(list(services.values()), list(slices.values()))

    def detect_by(self, node: LocalNode) -> None:
        self.view.set_node(node)

    def await_(self, work: Coroutine[Any, Any, T]) -> T:
        return self._loop.wait_for(work)

    def let_invalid_pass(self) -> None:
        self.nft("flush chain ip wellhead filter-forward")

    def saved(self, family: Family = Family.IPV4) -> str:
        return self.nft(f"list table {'ip' if family is Family.IPV4 else 'ip6'} wellhead")

    def nft(self, command: str) -> str:
        return self.node.run(f"nft {command}")

    def elements(self, name: str, family: str = "ip") -> list[Any]:
        """What nft says is in a map."""
        listed = json.loads(self.nft(f"-j list map {family} wellhead {name}"))
        found: list[Any] = next(each["map"] for each in listed["nftables"] if "map" in each).get("elem", [])
        return found


def sticky(seconds: int = 10800, **spec: Any) -> Any:
    config = {"clientIP": {"timeoutSeconds": seconds}}
    return web(sessionAffinity="ClientIP", sessionAffinityConfig=config, **spec)
