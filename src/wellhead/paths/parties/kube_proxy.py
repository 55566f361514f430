"""kube-proxy: what it is configured to do, what its versions do otherwise, and its ipvs mode.

What it does with a packet is the core's (`wellhead.services`), which the tests of this project hold against
the real one. Sources: kube-proxy's configuration API (kubeproxy.config.k8s.io/v1alpha1), the CHANGELOGs of
the releases named below, `pkg/proxy/{iptables,ipvs}/proxier.go`.
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from ipaddress import ip_network
from typing import Any

import msgspec

from wellhead.ip import Family, IPAddress, IPNetwork, family_of
from wellhead.paths.codes import Code
from wellhead.paths.nodes import NodeFacts, version_of
from wellhead.paths.packet import Packet
from wellhead.paths.parties.base import Arrival, ServiceProxy, Verdict, named, note
from wellhead.paths.reading import (
    Obj,
    command_line,
    flags,
    is_true,
    networks,
    split,
    table,
    text,
    texts,
    within,
)
from wellhead.paths.services import Reading
from wellhead.paths.way import Decision, Note
from wellhead.paths.world import World, image_tag
from wellhead.services.names import FrontendKind
from wellhead.services.node import Detector, FromBridge, FromInterfacePrefix, FromNetwork, LocalNode
from wellhead.services.node_ports import NodePortAddresses, node_port_networks
from wellhead.services.traffic import usable
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
_K3S_PODS = "10.42.0.0/16"


@dataclass
class Configuration:
    """What kube-proxy was told, by whom, and what of it is assumed."""

    source: str = ""
    mode: str = ""
    detect_local_mode: str = ""
    cluster_cidrs: tuple[IPNetwork, ...] = ()
    cluster_cidr_given: bool = False
    recognises_pods: bool = False
    """Whether pods are assumed to be recognised, where nothing tells how."""
    masquerade_all: bool = False
    node_port_addresses: list[str] = field(default_factory=list)
    bridge: str = ""
    prefix: str = ""
    gates: dict[str, bool] = field(default_factory=dict)
    version: str = ""
    notes: tuple[Note, ...] = ()

    def take(self, settings: Obj, source: str) -> None:
        """Add what a configuration file says (KubeProxyConfiguration)."""
        self.source = source
        self.mode = text(settings, "mode") or self.mode
        self.detect_local_mode = text(settings, "detectLocalMode") or self.detect_local_mode
        if "clusterCIDR" in settings:
            self._cidr(text(settings, "clusterCIDR"))
        if "clusterCIDRs" in settings:
            self._cidr(",".join(texts(settings, "clusterCIDRs")))
        for part in ("iptables", "nftables", "ipvs", "linux"):
            self.masquerade_all |= is_true(text(settings, part, "masqueradeAll"))
        self.node_port_addresses = texts(settings, "nodePortAddresses") or self.node_port_addresses
        self.bridge = text(settings, "detectLocal", "bridgeInterface") or self.bridge
        self.prefix = text(settings, "detectLocal", "interfaceNamePrefix") or self.prefix
        self.gates |= {k: is_true(text(v)) for k, v in table(settings, "featureGates").items()}

    def take_flags(self, given: dict[str, str], source: str) -> None:
        """Add what a command line says; flags that a configuration file makes void are few and are taken."""
        self.source = self.source or source
        self.mode = given.get("proxy-mode", self.mode)
        self.detect_local_mode = given.get("detect-local-mode", self.detect_local_mode)
        if "cluster-cidr" in given:
            self._cidr(given["cluster-cidr"])
        self.masquerade_all |= is_true(given.get("masquerade-all", "false"))
        if "nodeport-addresses" in given:
            self.node_port_addresses = split(given["nodeport-addresses"])
        self.bridge = given.get("pod-bridge-interface", self.bridge)
        self.prefix = given.get("pod-interface-name-prefix", self.prefix)
        for each in split(given.get("feature-gates", "")):
            name, _, value = each.partition("=")
            self.gates[name] = is_true(value)

    def _cidr(self, value: str) -> None:
        self.cluster_cidrs, self.cluster_cidr_given = networks(split(value)), True


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
            yield Verdict(
                share=1 / len(chosen),
                action="forward",
                code=why[0],
                because=why[1],
                endpoint=each,
                endpoint_node=known[each].node if each in known else "",
                masquerade=masquerade,
                returns_by_itself=returns,
                decided_by=decided_by,
                notes=notes,
            )

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


class IpvsKubeProxy(KubeProxy):
    """ipvs mode: the Service's addresses are local to every node, and Local falls back to all endpoints."""

    def decide(self, arrival: Arrival) -> Iterable[Verdict]:
        facts, kind = arrival.facts, arrival.frontend.kind
        if kind is FrontendKind.CLUSTER_IP or not arrival.port.external_local:
            yield from super().decide(arrival)
            return
        reading = self.reading(arrival.node)
        if kind is FrontendKind.EXTERNAL_IP and not reading.external_ips_local:
            yield from super().decide(arrival)
            return
        found = list(super().decide(arrival))
        if found and found[0].code is Code.SOURCE_RANGES:
            yield from found
            return
        known = facts.endpoints(arrival.port, reading)
        local = usable({each: found for each, found in known.items() if found.node == arrival.node})
        chosen = tuple(local or usable(known))
        if not chosen:
            yield from found
            return
        policy = facts.decision("spec.externalTrafficPolicy", "Local")
        for each in chosen:
            masquerade = arrival.packet.source.address == each.ip
            code = Code.LOCAL_POLICY if local else Code.IPVS_LOCAL_FALLBACK
            notes: tuple[Note, ...] = ()
            if arrival.packet.born_here:
                notes = (note(Code.IPVS_SELF_SOURCE),)
            yield Verdict(
                1 / len(chosen),
                "forward",
                Code.HAIRPIN if masquerade else code,
                (Code.HAIRPIN if masquerade else code).meaning,
                each,
                known[each].node,
                masquerade,
                decided_by=policy,
                notes=notes,
            )


def kube_proxy(world: World) -> KubeProxy | None:
    """kube-proxy as the objects show it; None if nothing of it is seen."""
    configuration = Configuration()
    seen = _from_config_map(world, configuration)
    workload = world.workload("kube-proxy", image="kube-proxy") or next(
        iter(world.pods_running("kube-proxy")), None
    )
    if workload is not None:
        configuration.take_flags(command_line(workload), named(workload))
        configuration.version = image_tag(workload, "kube-proxy")
        seen = True
    seen |= _from_k3s(world, configuration)
    if not seen:
        return None
    return make(world, configuration)


def assumed(world: World) -> KubeProxy:
    """kube-proxy with its defaults: what most clusters have when nothing else is seen."""
    configuration = Configuration(notes=(note(Code.ASSUMES_KUBE_PROXY),))
    return make(world, configuration)


def make(world: World, configuration: Configuration) -> KubeProxy:
    """kube-proxy of a configuration, with what is missing in it assumed."""
    detects_by_cidr = (configuration.detect_local_mode or "ClusterCIDR") == "ClusterCIDR"
    if detects_by_cidr and not configuration.cluster_cidr_given:
        configuration.cluster_cidrs = _guessed(world)
        configuration.recognises_pods = not configuration.cluster_cidrs
        sentence = "clusterCIDR can't be seen: it is assumed to hold the pods' networks"
        if configuration.cluster_cidrs:
            sentence += f" ({', '.join(map(str, configuration.cluster_cidrs))})"
        configuration.notes += (
            note(Code.ASSUMES_MODE_DEFAULT, f"{sentence}.", do="Read the ConfigMap kube-proxy."),
        )
    elif not configuration.source:
        configuration.notes += (note(Code.ASSUMES_MODE_DEFAULT),)
    if configuration.mode == "ipvs":
        return IpvsKubeProxy(world, configuration)
    return KubeProxy(world, configuration)


def _guessed(world: World) -> tuple[IPNetwork, ...]:
    """The least networks that hold every node's podCIDRs, or every pod, by family."""
    result: list[IPNetwork] = []
    for family in Family:
        nets = [each for each in world.pod_cidrs if each.version == family]
        if not nets:
            bits = 24 if family is Family.IPV4 else 64
            pods = (each for each in world.pods if not each.host_network)
            own = family.of(address for pod in pods for address in pod.addresses)
            nets = [ip_network(f"{each}/{bits}", strict=False) for each in own]
        if nets:
            net = nets[0]
            while not all(each[0] in net for each in nets):
                net = net.supernet()
            result.append(net)
    return tuple(result)


def _from_config_map(world: World, configuration: Configuration) -> bool:
    found = world.config_map("kube-proxy", "kube-proxy-config")
    if found is None:
        return False
    for key in ("config.conf", "config", "kube-proxy-config.yaml", "kube-proxy.conf", "config.yaml"):
        if settings := parsed(text(found, "data", key)):
            configuration.take(settings, named(found))
            return True
    configuration.source = named(found)
    return True


def _from_k3s(world: World, configuration: Configuration) -> bool:
    """k3s and RKE2 run kube-proxy inside of their own program, and write its arguments on the Node."""
    for node in world.nodes.values():
        if "+k3s" not in node.kubelet_version and "+rke2" not in node.kubelet_version:
            continue
        given = flags(_node_args(node))
        cidr = given.get("cluster-cidr", "")
        if cidr:
            configuration.take_flags({"cluster-cidr": cidr}, f"Node {node.name} (k3s.io/node-args)")
        elif not configuration.cluster_cidr_given:
            configuration.take_flags({"cluster-cidr": _K3S_PODS}, f"Node {node.name} (k3s in kubeletVersion)")
            configuration.notes += (
                note(
                    Code.ASSUMES_MODE_DEFAULT,
                    f"k3s' flags can't be seen: its default cluster CIDR {_K3S_PODS} is assumed.",
                ),
            )
        for each in (value for name, value in given.items() if name == "kube-proxy-arg"):
            configuration.take_flags(flags([f"--{each}"]), f"Node {node.name} (k3s.io/node-args)")
        return True
    return False


def _node_args(node: NodeFacts) -> list[str]:
    with contextlib.suppress(msgspec.DecodeError, TypeError):
        found = msgspec.json.decode(node.annotations.get("k3s.io/node-args", ""))
        return [each for each in found if isinstance(each, str)] if isinstance(found, list) else []
    return []


def parsed(document: str) -> Obj:
    """A YAML or JSON document in a ConfigMap; an empty mapping where it is neither."""
    if not document.strip():
        return {}
    import yaml

    try:
        found = yaml.load(document, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506
    except yaml.YAMLError:
        return {}
    return found if isinstance(found, dict) else {}
