"""Calico: pools with natOutgoing, tunnels, its eBPF data plane, and what it announces by BGP.

Sources: docs.tigera.io (IPPool, FelixConfiguration, BGPConfiguration; “Advertise Kubernetes service IP
addresses”; “eBPF data plane”: source addresses are kept in Tunnel and DSR mode); felix' `rules/nat.go`
(cali-nat- outgoing, and the masquerade of a host's own packets into a tunnel).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from wellhead.ip import Family, IPAddress, IPNetwork, parse_address
from wellhead.paths.codes import Code
from wellhead.paths.nodes import NodeFacts
from wellhead.paths.packet import NodeAddress, Packet
from wellhead.paths.parties.base import Arrival, Network, Rewrite, Verdict, named, note
from wellhead.paths.parties.kube_proxy import KubeProxy, kube_proxy, make
from wellhead.paths.parties.kube_proxy_configuration import Configuration
from wellhead.paths.reading import Obj, environment, is_true, networks, tables, text, within
from wellhead.paths.way import Decision
from wellhead.paths.world import World
from wellhead.services.names import FrontendKind

_TUNNEL_ADDRESSES = {
    "ipip": ("projectcalico.org/IPv4IPIPTunnelAddr",),
    "vxlan": ("projectcalico.org/IPv4VXLANTunnelAddr",),
}
_TUNNEL_ADDRESSES_V6 = {"vxlan": ("projectcalico.org/IPv6VXLANTunnelAddr",)}
_NODE_ADDRESS = {Family.IPV4: "projectcalico.org/IPv4Address", Family.IPV6: "projectcalico.org/IPv6Address"}


@dataclass(frozen=True)
class Pool:
    """An IPPool."""

    title: str
    cidr: IPNetwork
    nat_outgoing: bool
    tunnel: str
    """ipip, vxlan or empty."""
    cross_subnet: bool


class Calico(Network):
    """Calico's network on a node: routed pods, tunnels by pool, masquerade by pool."""

    def __init__(self, world: World, seen: str, pools: list[Pool], exclusions: str) -> None:
        facts = {
            each.title.removeprefix("IPPool "): f"{each.cidr} natOutgoing={str(each.nat_outgoing).lower()}"
            f" tunnel={each.tunnel or 'none'}"
            for each in pools
        }
        super().__init__("Calico", seen, facts)
        self.world, self.pools, self.exclusions = world, pools, exclusions

    def towards_own_pod(self, node: str, family: Family) -> NodeAddress:
        return self.internal(
            node, family, "the pods' interfaces have no address", note(Code.ASSUMES_FIRST_ADDRESS)
        )

    def towards_other_node(self, node: str, family: Family, other: str) -> NodeAddress:
        there = self.world.nodes.get(other)
        pool = self._pool_of(there, family)
        if pool is None:
            return super().towards_other_node(node, family, other)
        tunnelled = self._tunnels(pool, node, other, family)
        if tunnelled is False:
            return self.internal(node, family, "Calico routes between these nodes")
        facts = self.world.nodes.get(node)
        names = (_TUNNEL_ADDRESSES if family is Family.IPV4 else _TUNNEL_ADDRESSES_V6).get(pool.tunnel, ())
        found = [facts.annotations.get(each, "") for each in names] if facts else []
        address = next((a for each in found if (a := parse_address(each)) is not None), None)
        device = {"ipip": "tunl0", "vxlan": "vxlan.calico"}[pool.tunnel]
        if tunnelled is None:
            sentence = "whether these nodes share a subnet (CrossSubnet) isn't in their annotations"
            return NodeAddress(
                None, f"{device} or the node's own", (note(Code.UNKNOWN_NODE_ADDRESS, sentence),)
            )
        unknown = (
            (note(Code.UNKNOWN_NODE_ADDRESS, do=f"Read Node {node}'s annotation {names[0]}."),)
            if names
            else ()
        )
        return NodeAddress(address, f"{device}, Calico's tunnel", () if address is not None else unknown)

    def _pool_of(self, node: NodeFacts | None, family: Family) -> Pool | None:
        fitting = [each for each in self.pools if each.cidr.version == family]
        cidr = node.pod_cidr_of(family) if node else None
        for each in fitting:
            if cidr is not None and cidr.subnet_of(each.cidr):  # type: ignore[arg-type]
                return each
        return fitting[0] if len({(e.tunnel, e.cross_subnet) for e in fitting}) == 1 else None

    def _tunnels(self, pool: Pool, node: str, other: str, family: Family) -> bool | None:
        if not pool.tunnel:
            return False
        if not pool.cross_subnet:
            return True
        here, there = self.world.nodes.get(node), self.world.nodes.get(other)
        subnets = [_subnet(each, family) for each in (here, there)]
        if None in subnets:
            return None
        return subnets[0] != subnets[1]

    def masquerades(self, packet: Packet) -> Rewrite | None:
        source, destination = packet.source.address, packet.destination
        if source is None or destination is None or packet.born_here:
            return None
        inside = tuple(each.cidr for each in self.pools)
        for pool in self.pools:
            if not (pool.nat_outgoing and pool.cidr.version == packet.family and source in pool.cidr):
                continue
            if within(destination, inside):
                return None
            if self.exclusions == "IPPoolsAndHostIPs" and self.world.node_of_address(destination):
                return None
            decided = Decision(object=pool.title, field="spec.natOutgoing", value="true")
            if packet.source.kind == "outside":
                because = f"{source} is in the pool {pool.cidr} and {destination} is in no pool"
                return Rewrite(Code.CNI_MASQUERADES_INBOUND, because, decided)
            return Rewrite(Code.CNI_MASQUERADE, f"{destination} is in no Calico pool", decided)
        return None

    def routes_pods_outside(self) -> bool:
        return any(True for _ in self.world.all("BGPPeer"))


def _subnet(node: NodeFacts | None, family: Family) -> IPNetwork | None:
    found = networks([node.annotations.get(_NODE_ADDRESS[family], "")]) if node else ()
    return (
        found[0]
        if found and "/" in (node.annotations.get(_NODE_ADDRESS[family], "") if node else "")
        else None
    )


class CalicoEbpf(KubeProxy):
    """Calico's eBPF data plane, which decides as kube-proxy and keeps clients' addresses everywhere."""

    def __init__(self, world: World, configuration: Configuration, seen: str, mode: str) -> None:
        super().__init__(world, configuration, "Calico eBPF")
        self.recognised_by, self.mode = seen, mode
        self.facts = {"bpfExternalServiceMode": mode}
        self.notes = ()

    def decide(self, arrival: Arrival) -> Iterable[Verdict]:
        dsr = self.mode.lower() == "dsr"
        code = Code.DSR if dsr else Code.EBPF_TUNNEL
        for each in super().decide(arrival):
            if each.action != "forward" or each.code is Code.HAIRPIN:
                yield each
                continue
            decided = Decision(object="FelixConfiguration default", field="spec.bpfEnabled", value="true")
            own = arrival.packet.source.kind == "pod" and arrival.packet.source.node == arrival.node
            yield Verdict(
                share=each.share,
                action="forward",
                code=each.code if own and arrival.frontend.kind is FrontendKind.CLUSTER_IP else code,
                because="Calico's eBPF data plane keeps the source" if own else code.meaning,
                endpoint=each.endpoint,
                endpoint_node=each.endpoint_node,
                masquerade=False,
                keep_network=True,
                returns_by_itself=True,
                decided_by=decided,
            )


def pools(world: World) -> list[Pool]:
    """The IPPools of Calico (not MetalLB's or Cilium's)."""
    return [found for each in world.all("IPPool") if (found := _pool(each)) is not None]


def _pool(obj: Obj) -> Pool | None:
    found = networks([text(obj, "spec", "cidr")])
    if not found or is_true(text(obj, "spec", "disabled")):
        return None
    ipip, vxlan = text(obj, "spec", "ipipMode"), text(obj, "spec", "vxlanMode")
    tunnel = (
        "ipip" if ipip in ("Always", "CrossSubnet") else "vxlan" if vxlan in ("Always", "CrossSubnet") else ""
    )
    return Pool(
        named(obj),
        found[0],
        is_true(text(obj, "spec", "natOutgoing")),
        tunnel,
        "CrossSubnet" in (ipip, vxlan),
    )


def calico(world: World) -> Calico | None:
    """Calico's network, as its pools, its DaemonSet or its operator's Installation show it."""
    known = pools(world)
    daemon = world.workload("calico-node", image="calico/node")
    installation = next(world.all("Installation"), None)
    if not known and daemon is None and installation is None:
        return None
    if daemon is not None and environment(daemon).get("CALICO_NETWORKING_BACKEND") == "none" and not known:
        return None  # policy only: somebody else's network (canal, Amazon's, Azure's)
    if not known and installation is not None:
        known = [
            Pool(
                "Installation default",
                found[0],
                (text(each, "natOutgoing") or "Enabled") == "Enabled",
                {"IPIP": "ipip", "VXLAN": "vxlan"}.get(
                    text(each, "encapsulation").removesuffix("CrossSubnet"), ""
                ),
                text(each, "encapsulation").endswith("CrossSubnet"),
            )
            for each in tables(installation, "spec", "calicoNetwork", "ipPools")
            if (found := networks([text(each, "cidr")]))
        ]
    felix = world.get("FelixConfiguration", "", "default")
    seen = known[0].title if known else named(daemon or installation or {})
    return Calico(world, seen, known, text(felix, "spec", "natOutgoingExclusions") or "IPPoolsOnly")


def calico_ebpf(world: World) -> CalicoEbpf | None:
    """Its eBPF data plane, which replaces kube-proxy."""
    felix = world.get("FelixConfiguration", "", "default")
    daemon = world.workload("calico-node", image="calico/node")
    installation = next(world.all("Installation"), None)
    if is_true(text(felix, "spec", "bpfEnabled")):
        seen = "FelixConfiguration default"
    elif text(installation, "spec", "calicoNetwork", "linuxDataplane") == "BPF":
        seen = named(installation or {})
    elif daemon is not None and is_true(environment(daemon).get("FELIX_BPFENABLED", "")):
        seen = named(daemon)
    else:
        return None
    mode = text(felix, "spec", "bpfExternalServiceMode") or "Tunnel"
    beside = kube_proxy(world) or make(world, Configuration())
    return CalicoEbpf(world, beside.configuration, seen, mode)


def announced(world: World, address: IPAddress) -> str:
    """Which field of BGPConfiguration announces a Service's address; empty if none does."""
    for each in world.all("BGPConfiguration"):
        for field in ("serviceClusterIPs", "serviceExternalIPs", "serviceLoadBalancerIPs"):
            if within(address, networks([text(e, "cidr") for e in tables(each, "spec", field)])):
                return f"spec.{field}"
    return ""
