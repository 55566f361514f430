"""kube-proxy: what it is configured to do, what its versions do otherwise, and its ipvs mode.

What it does with a packet is the core's (`wellhead.services`), which the tests of this project hold against
the real one. Sources: kube-proxy's configuration API (kubeproxy.config.k8s.io/v1alpha1), the CHANGELOGs of
the releases named below, `pkg/proxy/{iptables,ipvs}/proxier.go`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator
from typing import Any

import msgspec

from wellhead.ip import Family, IPAddress, family_of
from wellhead.paths.codes import Code
from wellhead.paths.nodes import NodeFacts, version_of
from wellhead.paths.packet import Packet
from wellhead.paths.parties.base import Arrival, ServiceProxy, Verdict, note
from wellhead.paths.parties.kube_proxy_configuration import Configuration, complete, configuration_of
from wellhead.paths.reading import (
    networks,
    within,
)
from wellhead.paths.services import Reading
from wellhead.paths.way import Decision, Note
from wellhead.paths.world import World
from wellhead.services.names import FrontendKind
from wellhead.services.node import Detector, FromBridge, FromInterfacePrefix, FromNetwork, LocalNode
from wellhead.services.node_ports import NodePortAddresses, node_port_networks
from wellhead.services.view import Action, Handling, PortView, Scope, view_port

_EXTERNAL_IPS_LOCAL_SINCE = (1, 19)  # gate ExternalPolicyForExternalIP, on by default
_INTERNAL_POLICY_SINCE = (1, 22)  # gate ServiceInternalTrafficPolicy, beta
_TERMINATING_SINCE = (1, 26)  # gate ProxyTerminatingEndpoints, on by default
_IP_MODE_SINCE = (1, 30)  # gate LoadBalancerIPMode, beta
_GATES = {
    "external_ips_local": ("ExternalPolicyForExternalIP", _EXTERNAL_IPS_LOCAL_SINCE),
    "internal_policy": ("ServiceInternalTrafficPolicy", _INTERNAL_POLICY_SINCE),
    "terminating": ("ProxyTerminatingEndpoints", _TERMINATING_SINCE),
    "ip_mode": ("LoadBalancerIPMode", _IP_MODE_SINCE),
}


class KubeProxy(ServiceProxy):
    """kube-proxy, and whatever decides as it does."""

    return_note: tuple[Note, ...] = ()
    """What is assumed where a client's address is kept under Cluster."""

    def __init__(self, world: World, configuration: Configuration, name: str = "kube-proxy") -> None:
        self.world = world
        self.configuration = configuration
        self.mode = configuration.mode or "iptables"
        facts = {
            "mode": self.mode,
            "detectLocalMode": configuration.detect_local_mode or "ClusterCIDR",
            "clusterCIDR": ",".join(map(str, configuration.cluster_cidrs)),
        }
        if configuration.masquerade_all:
            facts["masqueradeAll"] = "true"
        if configuration.version:
            facts["version"] = configuration.version
        super().__init__(name, configuration.source, facts, notes=configuration.notes)
        self._nodes: dict[str, LocalNode] = {}
        self._views: dict[tuple[Any, ...], PortView] = {}

    def decision(self, field: str, value: str = "") -> Decision:
        return Decision(object=self.configuration.source or self.name, field=field, value=value)

    def version(self, node: str) -> tuple[int, int] | None:
        """Its version on a node: the configuration's image, or what the Node says."""
        facts = self.world.nodes.get(node)
        said = (facts.proxy_version or facts.kubelet_version) if facts else ""
        return version_of(said) or version_of(self.configuration.version)

    def reading(self, node: str) -> Reading:
        """What of a Service this version understands."""
        version = self.version(node)

        def has(gate: str, since: tuple[int, int]) -> bool:
            return self.configuration.gates.get(gate, version is None or version >= since)

        return Reading(**{name: has(gate, since) for name, (gate, since) in _GATES.items()})  # type: ignore[arg-type]

    def local_node(self, name: str) -> LocalNode:
        """The node as the core takes it."""
        if name not in self._nodes:
            node = self.world.nodes.get(name)
            detectors = ((family, self._detector(family, node)) for family in Family)
            self._nodes[name] = LocalNode(
                name=name,
                zone=node.zone if node else "",
                addresses=node.internal if node else (),
                pod_networks=node.pod_cidrs if node else (),
                detectors=tuple((family, each) for family, each in detectors if each is not None),
                masquerade_all=self.configuration.masquerade_all,
                **self.preserving(name),
            )
        return self._nodes[name]

    def preserving(self, name: str) -> dict[str, Any]:
        """More of the node, for a proxy that keeps clients' addresses under Cluster."""
        return {}

    def _detector(self, family: Family, node: NodeFacts | None) -> Detector | None:
        match self.configuration.detect_local_mode or "ClusterCIDR":
            case "BridgeInterface":
                return FromBridge(self.configuration.bridge)
            case "InterfaceNamePrefix":
                return FromInterfacePrefix(self.configuration.prefix)
            case "NodeCIDR":
                found = node.pod_cidrs if node else ()
            case _ if self.configuration.recognises_pods:
                return FromInterfacePrefix("")
            case _:
                found = self.configuration.cluster_cidrs
        return next((FromNetwork(each) for each in found if each.version == family), None)

    def takes_for_pod(self, packet: Packet, node: str) -> bool:
        """Whether a node's rules take a packet for one of a pod of its own."""
        detector = self.local_node(node).detector(packet.family)
        if isinstance(detector, FromNetwork):
            if packet.source.address is None:  # some pod, of a node without podCIDRs
                mine = self.configuration.detect_local_mode != "NodeCIDR" or packet.source.node == node
                return packet.source.kind == "pod" and mine
            return packet.source.address in detector.network
        is_pod = packet.source.kind == "pod"
        return detector is not None and is_pod and packet.source.node == node

    @property
    def guards_what_has_no_endpoints(self) -> bool:
        """Whether source ranges count before it is looked whether there are endpoints: in nftables mode the
        ranges are checked at a hook of their own."""
        return self.mode == "nftables"

    def decide(self, arrival: Arrival) -> Iterable[Verdict]:
        reading = self.reading(arrival.node)
        packet, kind = arrival.packet, arrival.frontend.kind
        view = self.view(arrival, reading)
        first = kind is FrontendKind.LOAD_BALANCER_IP and self.guards_what_has_no_endpoints
        if view.guards(kind) or (first and view.allowed_sources):
            source = packet.source.address
            if source is not None and not within(source, view.allowed_sources):
                ranges = arrival.facts.decision(
                    "spec.loadBalancerSourceRanges", ", ".join(arrival.facts.source_ranges)
                )
                yield Verdict(
                    1.0, "drop", Code.SOURCE_RANGES, f"{source} is in none of the ranges", decided_by=ranges
                )
                return
            if source is None:
                sentence = f"Clients outside of {', '.join(arrival.facts.source_ranges)} are dropped."
                packet = packet.noting(note(Code.AMBIGUOUS_CLIENT, sentence, do="Give --from ADDRESS."))
        notes = self._assumed(arrival, reading)
        routing = view.routing(kind)
        if self.takes_for_pod(packet, arrival.node):
            handling, who = routing.pods, "pods"
        elif packet.born_here:
            handling, who = routing.node, "node"
        else:
            handling, who = routing.others, "others"
        for each in self._verdicts(arrival, reading, view, handling, who):
            yield dataclasses.replace(
                each, notes=(*packet.notes[len(arrival.packet.notes) :], *notes, *each.notes)
            )

    def _assumed(self, arrival: Arrival, reading: Reading) -> tuple[Note, ...]:
        """What of this node isn't in the objects."""
        found = []
        facts, kind = arrival.facts, arrival.frontend.kind
        if kind is FrontendKind.EXTERNAL_IP and facts.local and self.version(arrival.node) is None:
            found.append(note(Code.ASSUMES_VERSION))
        by_interface = (self.configuration.detect_local_mode or "ClusterCIDR") in (
            "BridgeInterface",
            "InterfaceNamePrefix",
        )
        if by_interface and arrival.packet.source.kind == "pod":
            found.append(note(Code.ASSUMES_POD))
        if arrival.port.affinity_seconds is not None:
            found.append(note(Code.AFFINITY, decided_by=facts.decision("spec.sessionAffinity")))
        return tuple(found)

    def view(self, arrival: Arrival, reading: Reading) -> PortView:
        """How the core handles the port on this node."""
        port = arrival.port
        if arrival.frontend.kind is FrontendKind.EXTERNAL_IP and not reading.external_ips_local:
            port = msgspec.structs.replace(port, external_local=False)
        key = (arrival.node, port.key, port.external_local, id(arrival.facts))
        if key not in self._views:
            held = arrival.facts.held(arrival.port, reading)
            endpoints = arrival.facts.endpoints(arrival.port, reading)
            self._views[key] = view_port(port, held, endpoints, self.local_node(arrival.node))
        return self._views[key]

    def _verdicts(
        self, arrival: Arrival, reading: Reading, view: PortView, handling: Handling, who: str
    ) -> Iterator[Verdict]:
        if handling.action is not Action.FORWARD:
            yield from self.nobody(arrival, reading, view, handling)
            return
        chosen = view.endpoints(handling.scope)
        known = arrival.facts.endpoints(arrival.port, reading)
        code, because, decided_by = self.reason(arrival, reading, handling, who)
        for each in chosen:
            masquerade, returns, why = handling.masquerade, False, (code, because)
            notes: tuple[Note, ...] = ()
            if handling.preserve and view.preserved is not None and each.ip in view.preserved.returning:
                if self.is_inside(arrival.packet):
                    why = (code, because)
                else:
                    masquerade, returns, notes = False, True, self.return_note
                    why = (Code.SYMMETRIC_RETURN, Code.SYMMETRIC_RETURN.meaning)
            if arrival.packet.source.address == each.ip and arrival.packet.source.kind == "pod":
                masquerade, why = True, (Code.HAIRPIN, Code.HAIRPIN.meaning)
            where = known[each].node if each in known else ""
            claims, claim_notes = self.claims(arrival, each.ip, where, preserved=returns)
            yield Verdict(
                share=1 / len(chosen),
                action="forward",
                code=why[0],
                because=why[1],
                endpoint=each,
                endpoint_node=where,
                masquerade=masquerade,
                claims=claims,
                claim_notes=claim_notes,
                returns_by_itself=returns,
                decided_by=decided_by,
                notes=notes,
            )

    def claims(
        self, arrival: Arrival, endpoint: IPAddress, where: str, *, preserved: bool
    ) -> tuple[bool, tuple[Note, ...]]:
        """Whether it keeps the source from whoever masquerades after it, and what is assumed for that.

        kube-proxy leaves it to them.
        """
        return False, ()

    def is_inside(self, packet: Packet) -> bool:
        return packet.source.kind != "outside"

    def nobody(
        self, arrival: Arrival, reading: Reading, view: PortView, handling: Handling
    ) -> Iterator[Verdict]:
        """There is no endpoint to forward to."""
        facts = arrival.facts
        if handling.action is Action.REJECT:
            because = f"{facts.title} has no usable endpoint in the cluster"
            yield Verdict(
                1.0, "refuse", Code.NO_ENDPOINTS, because, decided_by=facts.decision("spec.selector", "-")
            )
            return
        internal = arrival.frontend.kind is FrontendKind.CLUSTER_IP
        policy = "spec.internalTrafficPolicy" if internal else "spec.externalTrafficPolicy"
        because = f"{policy.removeprefix('spec.')} is Local, and {arrival.node} has no endpoint"
        yield Verdict(
            1.0, "drop", Code.LOCAL_NO_ENDPOINT, because, decided_by=facts.decision(policy, "Local")
        )

    def reason(
        self, arrival: Arrival, reading: Reading, handling: Handling, who: str
    ) -> tuple[Code, str, Decision]:
        """Why the source is replaced or kept."""
        facts, kind = arrival.facts, arrival.frontend.kind
        if kind is FrontendKind.CLUSTER_IP:
            return self._reason_inside(arrival, handling, who)
        policy = facts.decision("spec.externalTrafficPolicy", "Local" if facts.local else "Cluster")
        if kind is FrontendKind.EXTERNAL_IP and facts.local and not reading.external_ips_local:
            return (
                Code.EXTERNAL_IPS_BEFORE_1_19,
                Code.EXTERNAL_IPS_BEFORE_1_19.meaning,
                Decision(
                    object=f"Node {arrival.node}",
                    field="status.nodeInfo.kubeProxyVersion",
                    value=".".join(map(str, self.version(arrival.node) or ())),
                ),
            )
        if not facts.local:
            if who == "others":
                return (
                    Code.CLUSTER_POLICY,
                    f"externalTrafficPolicy is Cluster: {arrival.node} masquerades",
                    policy,
                )
            return (
                Code.FROM_INSIDE_MASQUERADED,
                "from inside, an external address under Cluster is masqueraded",
                policy,
            )
        if who == "pods":
            return Code.LOCAL_POLICY_FROM_INSIDE, Code.LOCAL_POLICY_FROM_INSIDE.meaning, policy
        if who == "node":
            return Code.LOCAL_POLICY_FROM_NODE, Code.LOCAL_POLICY_FROM_NODE.meaning, policy
        return (
            Code.LOCAL_POLICY,
            f"externalTrafficPolicy is Local: {arrival.node} uses its own endpoints",
            policy,
        )

    def _reason_inside(self, arrival: Arrival, handling: Handling, who: str) -> tuple[Code, str, Decision]:
        cidr = ",".join(map(str, self.configuration.cluster_cidrs)) or '""'
        how = self.decision(
            "clusterCIDR"
            if (self.configuration.detect_local_mode or "ClusterCIDR") == "ClusterCIDR"
            else "detectLocalMode",
            cidr
            if (self.configuration.detect_local_mode or "ClusterCIDR") == "ClusterCIDR"
            else self.configuration.detect_local_mode,
        )
        if self.configuration.masquerade_all:
            return Code.MASQUERADE_ALL, Code.MASQUERADE_ALL.meaning, self.decision("masqueradeAll", "true")
        if handling.scope is Scope.LOCAL and not handling.masquerade:
            return (
                Code.INTERNAL_LOCAL,
                Code.INTERNAL_LOCAL.meaning,
                arrival.facts.decision("spec.internalTrafficPolicy"),
            )
        if who == "pods":
            return Code.CLUSTER_IP_FROM_POD, "a pod's connection to a ClusterIP keeps its source", how
        if not handling.masquerade:
            return Code.CLUSTER_IP_NOBODY_DETECTED, Code.CLUSTER_IP_NOBODY_DETECTED.meaning, how
        return (
            Code.CLUSTER_IP_FROM_ELSEWHERE,
            "to a ClusterIP, everybody who isn't recognised as a pod is masqueraded",
            how,
        )

    def answers_node_ports_at(self, node: str, address: IPAddress) -> Note | None:
        given = self.configuration.node_port_addresses
        by_primary = given == ["primary"] or (self.mode == "nftables" and not given)
        chosen: NodePortAddresses = "primary" if by_primary else networks(given)
        family = family_of(address)
        if within(address, node_port_networks(chosen, family, self.local_node(node))):
            return None
        facts = self.world.nodes.get(node)
        if by_primary and (facts is None or address not in facts.internal):
            return (
                None  # an address that the Node doesn't list: a primary one's translation, for all one knows
            )
        where = f"the primary address of {node}" if by_primary else "an address in nodePortAddresses"
        decided = self.decision("nodePortAddresses", ",".join(given) or "[]")
        return note(Code.NOT_A_NODE_PORT_ADDRESS, f"{address} is not {where}", decided)


def kube_proxy(world: World) -> KubeProxy | None:
    """kube-proxy as the objects show it; None if nothing of it is seen."""
    found = configuration_of(world)
    return make(world, found) if found is not None else None


def assumed(world: World) -> KubeProxy:
    """kube-proxy with its defaults: what most clusters have when nothing else is seen."""
    return make(world, Configuration(notes=(note(Code.ASSUMES_KUBE_PROXY),)))


def make(world: World, configuration: Configuration) -> KubeProxy:
    """kube-proxy of a configuration, with what is missing in it assumed."""
    complete(world, configuration)
    if configuration.mode == "ipvs":
        from wellhead.paths.parties.kube_proxy_ipvs import IpvsKubeProxy  # it is made of this one

        return IpvsKubeProxy(world, configuration)
    return KubeProxy(world, configuration)
