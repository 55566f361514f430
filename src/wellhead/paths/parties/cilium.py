"""Cilium: its network, its replacement of kube-proxy (snat, dsr, hybrid), and clouds' data planes built on
it.

Sources: docs.cilium.io (“Kubernetes Without kube-proxy”: Client Source IP Preservation, DSR, Hybrid, Socket
LoadBalancer Bypass, external access to ClusterIP; “Masquerading”; “LoadBalancer IPAM”, “L2 Announcements”),
`bpf/lib/nodeport.h` (an endpoint of the node itself is reached without SNAT; towards others the source is the
device's address, or with a tunnel the node's cilium_host address).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from wellhead.ip import Family, IPAddress, IPNetwork, Protocol, parse_address
from wellhead.paths.codes import Code
from wellhead.paths.packet import NodeAddress, Packet
from wellhead.paths.parties.base import (
    Arrival,
    Balancer,
    Delivery,
    Network,
    Rewrite,
    ServiceProxy,
    Verdict,
    forward,
    named,
    note,
)
from wellhead.paths.parties.kube_proxy import KubeProxy, kube_proxy, make
from wellhead.paths.parties.kube_proxy_configuration import Configuration
from wellhead.paths.reading import Obj, is_true, networks, split, table, tables, text, within
from wellhead.paths.services import ServiceFacts
from wellhead.paths.way import Decision
from wellhead.paths.world import World
from wellhead.services.endpointslice import EndpointAddress
from wellhead.services.names import FrontendKind
from wellhead.services.view import Action

FORWARDING_MODE = "service.cilium.io/forwarding-mode"


def settings(world: World) -> dict[str, str] | None:
    """cilium-config's data; None where there is no Cilium."""
    found = world.config_map("cilium-config")
    if found is not None:
        return {key: str(value) for key, value in table(found, "data").items()}
    if world.workload("cilium", "anetd", image="cilium") is not None:
        return {}
    return None


def _host_address(world: World, node: str, family: Family) -> NodeAddress:
    """cilium_host's address, which CiliumNode tells."""
    found = world.get("CiliumNode", "", node)
    for each in tables(found, "spec", "addresses"):
        address = parse_address(text(each, "ip"))
        if text(each, "type") == "CiliumInternalIP" and address is not None and address.version == family:
            return NodeAddress(address, "cilium_host")
    return NodeAddress(None, "cilium_host", (note(Code.UNKNOWN_NODE_ADDRESS, do=f"Read CiliumNode {node}."),))


class Cilium(Network):
    """Cilium's network on a node."""

    def __init__(self, world: World, data: dict[str, str], seen: str) -> None:
        tunnel = data.get("tunnel", "")
        mode = data.get("routing-mode") or ("native" if tunnel == "disabled" else "tunnel")
        self.native = mode == "native"
        facts = {"routing-mode": mode}
        for each in ("enable-ipv4-masquerade", "ipv4-native-routing-cidr", "enable-bpf-masquerade"):
            if each in data:
                facts[each] = data[each]
        super().__init__("Cilium", seen, facts)
        self.world, self.data = world, data

    def towards_own_pod(self, node: str, family: Family) -> NodeAddress:
        return _host_address(self.world, node, family)

    def towards_other_node(self, node: str, family: Family, other: str) -> NodeAddress:
        if self.native:
            return self.internal(node, family, "Cilium routes between nodes")
        return _host_address(self.world, node, family)

    def masquerades(self, packet: Packet) -> Rewrite | None:
        number = packet.family.value
        if not is_true(self.data.get(f"enable-ipv{number}-masquerade", self.data.get("masquerade", "true"))):
            return None
        if packet.source.kind != "pod" or packet.destination is None:
            return None
        native = networks(split(self.data.get(f"ipv{number}-native-routing-cidr", "")))
        inside = (*native, *self.world.pod_cidrs, *self._pool_cidrs())
        if within(packet.destination, inside) or self.world.pod_of_address(packet.destination):
            return None
        # Nodes are taken to be inside with eBPF masquerading (enable-remote-node-masquerade is off unless
        # asked for), and from a tunnel.
        inside_nodes = is_true(self.data.get("enable-bpf-masquerade", "false")) or not self.native
        if inside_nodes and self.world.node_of_address(packet.destination):
            return None
        decided = Decision(
            object="ConfigMap kube-system/cilium-config", field=f"ipv{number}-native-routing-cidr"
        )
        return Rewrite(
            Code.CNI_MASQUERADE, f"{packet.destination} is not in Cilium's native routing network", decided
        )

    def _pool_cidrs(self) -> tuple[IPNetwork, ...]:
        pools = (self.data.get(f"cluster-pool-ipv{number}-cidr", "") for number in (4, 6))
        return networks([each for pool in pools for each in pool.replace(",", " ").split()])


class CiliumProxy(ServiceProxy):
    """Its kube-proxy replacement. Which endpoints are used is the core's business, as for everybody."""

    def __init__(self, world: World, data: dict[str, str], seen: str, name: str) -> None:
        mode = data.get("bpf-lb-mode") or data.get("node-port-mode") or "snat"
        facts = {"bpf-lb-mode": mode}
        super().__init__(name, seen, facts)
        self.world, self.data, self.mode = world, data, mode
        beside = kube_proxy(world) or make(world, Configuration())
        self._core = KubeProxy(world, beside.configuration, name)
        if "bpf-lb-mode" not in data and "node-port-mode" not in data:
            self.notes = (note(Code.ASSUMES_MODE_DEFAULT, "bpf-lb-mode can't be seen: snat is assumed."),)

    def _mode_of(self, arrival: Arrival) -> str:
        mode = self.mode
        if is_true(self.data.get("bpf-lb-mode-annotation", "false")):
            mode = arrival.facts.annotations.get(FORWARDING_MODE, mode)
        if mode == "hybrid":
            return "dsr" if arrival.packet.protocol is Protocol.TCP else "snat"
        return mode

    def decide(self, arrival: Arrival) -> Iterable[Verdict]:
        packet, kind = arrival.packet, arrival.frontend.kind
        inside = packet.source.kind in ("pod", "node") and packet.source.node == arrival.node
        decided = Decision(object="ConfigMap kube-system/cilium-config", field="bpf-lb-mode", value=self.mode)
        if (
            kind is FrontendKind.CLUSTER_IP
            and not inside
            and not is_true(self.data.get("bpf-lb-external-clusterip", "false"))
        ):
            because = (
                "Cilium serves ClusterIPs to the cluster's own alone (bpf-lb-external-clusterip is false)"
            )
            yield Verdict(
                1.0,
                "drop",
                Code.NO_ROUTE,
                because,
                decided_by=Decision(object=decided.object, field="bpf-lb-external-clusterip", value="false"),
            )
            return
        view = self._core.view(arrival, self._core.reading(arrival.node))
        if kind is FrontendKind.CLUSTER_IP:
            handling = view.internal.pods
        else:
            handling = view.external.pods if inside else view.external.others
        if handling.action is not Action.FORWARD:
            yield from self._core.nobody(arrival, self._core.reading(arrival.node), view, handling)
            return
        ranges = view.allowed_sources if view.guards(kind) and not inside else ()
        if ranges and packet.source.address is not None and not within(packet.source.address, ranges):
            yield Verdict(
                1.0,
                "drop",
                Code.SOURCE_RANGES,
                f"{packet.source} is in none of the ranges",
                decided_by=arrival.facts.decision("spec.loadBalancerSourceRanges", "-"),
            )
            return
        chosen = view.endpoints(handling.scope)
        known = arrival.facts.endpoints(arrival.port)
        for each in chosen:
            where = known[each].node if each in known else ""
            yield self._verdict(arrival, inside, decided, 1 / len(chosen), each, where)

    def _verdict(
        self,
        arrival: Arrival,
        inside: bool,
        decided: Decision,
        share: float,
        endpoint: EndpointAddress,
        where: str,
    ) -> Verdict:
        facts, local = arrival.facts, where == arrival.node
        to = (share, endpoint, where)
        if inside:
            return forward(*to, Code.SOCKET_LB, decided_by=decided, returns_by_itself=True)
        if facts.local and arrival.frontend.kind is not FrontendKind.CLUSTER_IP:
            policy = facts.decision("spec.externalTrafficPolicy", "Local")
            return forward(*to, Code.LOCAL_POLICY, decided_by=policy, keep_network=True)
        if local:
            return forward(*to, Code.EBPF_LOCAL_BACKEND, decided_by=decided, keep_network=True)
        mode = self._mode_of(arrival)
        more: dict[str, Any] = {"decided_by": decided, "keep_network": True}
        if mode == "dsr":
            because = f"Cilium's {self.mode} mode: the endpoint's node answers the client itself"
            return forward(*to, Code.DSR, because, returns_by_itself=True, **more)
        because = f"Cilium in {mode} mode replaces the source towards another node's endpoint"
        return forward(*to, Code.EBPF_REMOTE_BACKEND, because, masquerade=True, **more)

    def before_packets(self, packet: Packet) -> bool:
        return not is_true(self.data.get("bpf-lb-sock-hostns-only", "false")) or packet.source.kind == "node"


class CiliumAnnouncements(Balancer):
    """Cilium's L2 announcements and BGP control plane."""

    def __init__(self, world: World, seen: str, one: bool) -> None:
        super().__init__("Cilium L2 announcements" if one else "Cilium BGP control plane", seen)
        self.world, self.one = world, one

    def delivers(self, facts: ServiceFacts, address: IPAddress | None, protocol: Protocol) -> Delivery:
        if not self.one:
            return Delivery("forward", code=Code.ANNOUNCED_BY_ALL, because=Code.ANNOUNCED_BY_ALL.meaning)
        lease = self.world.get("Lease", "", f"cilium-l2announce-{facts.namespace}-{facts.name}")
        holder = text(lease, "spec", "holderIdentity")
        return Delivery(
            "forward",
            nodes=(holder,) if holder else None,
            one_of=True,
            code=Code.ANNOUNCED_BY_ONE,
            because=Code.ANNOUNCED_BY_ONE.meaning,
            # Cilium's leader may be a node without endpoints.
            checks_health=False,
        )


def cilium_network(world: World) -> Network | None:
    """Its network, unless it is chained to somebody else's."""
    data = settings(world)
    if data is None or data.get("cni-chaining-mode", "none") not in ("none", ""):
        return None
    return Cilium(world, data, _seen(world))


def cilium_proxy(world: World) -> CiliumProxy | None:
    """Its replacement of kube-proxy, where it is switched on."""
    data = settings(world)
    if data is None:
        return None
    anetd = world.workload("anetd")
    wanted = data.get("kube-proxy-replacement", "")
    if anetd is not None:
        return CiliumProxy(world, data, named(anetd), "GKE Dataplane V2 (Cilium)")
    if wanted in ("true", "strict"):
        return CiliumProxy(world, data, _seen(world), "Cilium")
    if wanted in ("partial", "probe") and is_true(data.get("enable-node-port", "false")):
        return CiliumProxy(world, data, _seen(world), "Cilium")
    if not data and kube_proxy(world) is None:
        found = CiliumProxy(world, data, _seen(world), "Cilium")
        sentence = (
            "Cilium is seen, its configuration and kube-proxy are not: "
            "its replacement is assumed, in snat mode."
        )
        found.notes = (
            note(Code.ASSUMES_MODE_DEFAULT, sentence, do="Read the ConfigMap kube-system/cilium-config."),
        )
        return found
    return None


def cilium_announcements(world: World, facts: ServiceFacts) -> Balancer | None:
    pools: list[Obj] = list(world.all("CiliumLoadBalancerIPPool"))
    l2 = next(world.all("CiliumL2AnnouncementPolicy"), None)
    bgp = next(
        (each for kind in ("CiliumBGPPeeringPolicy", "CiliumBGPClusterConfig") for each in world.all(kind)),
        None,
    )
    wanted = text(facts.spec, "loadBalancerClass")
    if wanted and not wanted.startswith("io.cilium/"):
        return None
    if l2 is not None and (pools or wanted):
        return CiliumAnnouncements(world, named(l2), True)
    if bgp is not None and (pools or wanted):
        return CiliumAnnouncements(world, named(bgp), False)
    return None


def _seen(world: World) -> str:
    found = world.config_map("cilium-config") or world.workload("cilium", "anetd", image="cilium")
    return named(found) if found is not None else ""
