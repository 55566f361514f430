"""Antrea, and its AntreaProxy where it replaces kube-proxy (proxyAll).

Sources: antrea.io docs (“Network Flow Visibility”, `docs/antrea-proxy.md`, `docs/noencap-hybrid-modes.md`:
pods' traffic to outside of the pods' networks is masqueraded unless noSNAT).
"""

from __future__ import annotations

from wellhead.ip import Family
from wellhead.paths.codes import Code
from wellhead.paths.packet import NodeAddress, Packet
from wellhead.paths.parties.base import Network, Rewrite, named
from wellhead.paths.parties.kube_proxy import KubeProxy, kube_proxy, make
from wellhead.paths.parties.kube_proxy_configuration import Configuration
from wellhead.paths.reading import Obj, is_true, parsed, text, within
from wellhead.paths.way import Decision
from wellhead.paths.world import World


class Antrea(Network):
    """Its network: Open vSwitch with a gateway interface, antrea-gw0, of the podCIDR's first address."""

    def __init__(self, world: World, seen: str, settings: Obj) -> None:
        mode = text(settings, "trafficEncapMode") or "encap"
        super().__init__(
            "Antrea", seen, {"trafficEncapMode": mode, "noSNAT": text(settings, "noSNAT") or "false"}
        )
        self.world, self.mode, self.no_snat = world, mode, is_true(text(settings, "noSNAT"))

    def towards_own_pod(self, node: str, family: Family) -> NodeAddress:
        return self.first_of_pod_cidr(node, family, 1, "antrea-gw0")

    def towards_other_node(self, node: str, family: Family, other: str) -> NodeAddress:
        if self.mode == "encap":
            return self.first_of_pod_cidr(node, family, 1, "antrea-gw0")
        if self.mode == "noEncap":
            return self.internal(node, family, "Antrea routes between nodes")
        return super().towards_other_node(node, family, other)

    def masquerades(self, packet: Packet) -> Rewrite | None:
        if self.no_snat or packet.source.kind != "pod" or within(packet.destination, self.world.pod_cidrs):
            return None
        if self.world.node_of_address(packet.destination):
            return None
        decided = Decision(object=self.recognised_by, field="noSNAT", value="false")
        return Rewrite(Code.CNI_MASQUERADE, f"{packet.destination} is not in the pods' networks", decided)


def _settings(world: World) -> Obj:
    return parsed(text(world.config_map("antrea-config"), "data", "antrea-agent.conf"))


def antrea(world: World) -> Antrea | None:
    daemon = world.workload("antrea-agent", image="antrea-agent")
    return Antrea(world, named(daemon), _settings(world)) if daemon is not None else None


def antrea_proxy(world: World) -> KubeProxy | None:
    """AntreaProxy instead of kube-proxy, which decides alike."""
    daemon = world.workload("antrea-agent", image="antrea-agent")
    if daemon is None or not is_true(text(_settings(world), "antreaProxy", "proxyAll")):
        return None
    beside = kube_proxy(world) or make(world, Configuration())
    found = KubeProxy(world, beside.configuration, "AntreaProxy")
    found.recognised_by = "ConfigMap antrea-config (antreaProxy.proxyAll)"
    return found
