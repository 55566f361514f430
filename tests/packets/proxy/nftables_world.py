"""The world of the proxy's packet tests, its node programmed by the nftables backend."""

from __future__ import annotations

import json
from collections.abc import Coroutine
from dataclasses import replace
from ipaddress import ip_network
from typing import Any, TypeVar

from tests.packets.proxy.test_source_ip import web
from tests.packets.proxy.world import POD_A6, POD_B6, POD_FAR6, World
from wellhead.ip import Family
from wellhead.proxy.backends.nftables.backend import NftablesBackend
from wellhead.proxy.backends.nftables.ruleset import NftablesConfig
from wellhead.proxy.claims.settings import SourceClaims
from wellhead.services.node import LocalNode
from wellhead.services.node_view import NodeView

T = TypeVar("T")
ALL_IPV6 = (POD_A6, POD_B6, POD_FAR6)
CONFIG = NftablesConfig(service_ranges=(ip_network("10.0.0.0/16"), ip_network("fd00:10::/112")))


class NftablesWorld(World):
    """See there."""

    backend: NftablesBackend

    def __init__(self) -> None:
        super().__init__("nft")

    def _make_backend(self, claims: SourceClaims = "auto") -> NftablesBackend:
        return NftablesBackend(Family, replace(CONFIG, claims=claims))

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
        return self.node.await_(work)

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
