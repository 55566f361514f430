"""wellhead's own: its proxy with symmetric return, its nodes' network, its forwarder and its terminating
proxy.

Sources: docs/proxy-behaviour.md, docs/preserving-source-ip.md, docs/load-balancer.md of this project.
"""

from __future__ import annotations

from ipaddress import ip_network
from typing import Any

import msgspec

from wellhead.api.names import CLIENT_IP_ANNOTATION, FORWARDER_CLASS, PROXY_CLASS, SYMMETRIC_RETURN_ANNOTATION
from wellhead.ip import Family, IPAddress, Protocol
from wellhead.paths.codes import Code
from wellhead.paths.packet import NodeAddress, Packet
from wellhead.paths.parties.base import Arrival, Balancer, Delivery, Network, Rewrite, named, note
from wellhead.paths.parties.kube_proxy import KubeProxy
from wellhead.paths.parties.kube_proxy_configuration import Configuration
from wellhead.paths.reading import command_line, is_true, parsed, text, within
from wellhead.paths.services import ServiceFacts
from wellhead.paths.way import Forwarded, Note, SeenAs
from wellhead.paths.world import World

FORWARDER, PROXY = FORWARDER_CLASS, PROXY_CLASS


class WellheadProxy(KubeProxy):
    """Its service proxy."""

    def __init__(self, world: World, configuration: Configuration, seen: str, flags: dict[str, str]) -> None:
        super().__init__(world, configuration, "wellhead proxy")
        if not configuration.mode:
            self.facts = {**self.facts, "mode": f"{self.mode} (assumed)"}
        self.recognised_by, self._flags = seen, flags
        announcing = {
            each.name
            for each in world.nodes.values()
            if _announces(each.annotations.get(SYMMETRIC_RETURN_ANNOTATION, ""))
        }
        self.returning = announcing
        if not announcing and flags.get("symmetric-return-path") != "none":
            self.returning = set(world.nodes)
            self.return_note: tuple[Note, ...] = (note(Code.ASSUMES_RETURN_PATH),)
        else:
            self.return_note = ()

    def preserving(self, name: str) -> dict[str, Any]:
        inside = [
            *(ip_network(each) for node in self.world.nodes.values() for each in node.addresses),
            *self.world.pod_cidrs,
            *self.configuration.cluster_cidrs,
        ]
        return {
            "preserve_client_ip": is_true(self._flags.get("preserve-client-ip", "false")),
            "returning": frozenset(self.returning - {name}),
            "inside": tuple(inside),
        }

    def claims(
        self, arrival: Arrival, endpoint: IPAddress, where: str, *, preserved: bool
    ) -> tuple[bool, tuple[Note, ...]]:
        """As `--source-claims` says: what is known to come back through the node, all, or nothing."""
        asked = self._flags.get("source-claims", "auto")
        if asked == "none":
            return False, ()
        if asked == "all" or preserved or (where and where == arrival.node):
            return True, ()
        node = self.world.nodes.get(where)
        of_this_node = self.takes_for_pod(arrival.packet, arrival.node)
        if not of_this_node or node is None or endpoint in node.addresses:
            return False, ()
        if within(endpoint, (*self.world.pod_cidrs, *self.configuration.cluster_cidrs)):
            return True, ()
        return True, (note(Code.ASSUMES_ROUTE_TO_POD),)

    @property
    def guards_what_has_no_endpoints(self) -> bool:
        return False  # in either mode: where nothing is forwarded there is nothing to guard

    def is_inside(self, packet: Packet) -> bool:
        return packet.source.kind != "outside" or within(
            packet.source.address, (*self.world.pod_cidrs, *self.configuration.cluster_cidrs)
        )


def _announces(annotation: str) -> bool:
    try:
        found = msgspec.json.decode(annotation)
    except msgspec.DecodeError:
        return False
    return isinstance(found, dict) and found.get("version") == 1


class WellheadNetwork(Network):
    """The network of `wellhead up`'s nodes: routed pods, no overlay."""

    def __init__(self, world: World, seen: str) -> None:
        super().__init__("wellhead node", seen)
        self.world = world

    def towards_own_pod(self, node: str, family: Family) -> NodeAddress:
        return self.first_of_pod_cidr(node, family, 1, "the pods' gateway")

    def towards_other_node(self, node: str, family: Family, other: str) -> NodeAddress:
        return self.internal(node, family, "the nodes share a link")

    def masquerades(self, packet: Packet) -> Rewrite | None:
        if packet.source.kind != "pod" or packet.destination is None:
            return None
        if within(packet.destination, self.world.pod_cidrs) or self.world.node_of_address(packet.destination):
            return None
        return Rewrite(Code.CNI_MASQUERADE, f"{packet.destination} is outside of the cluster")


class Forwarder(Balancer):
    """The packet forwarder."""

    def __init__(self, world: World, seen: str) -> None:
        super().__init__("wellhead forwarder", seen)
        self.world = world

    def delivers(self, facts: ServiceFacts, address: IPAddress | None, protocol: Protocol) -> Delivery:
        return Delivery(
            "forward",
            because=Code.BALANCER_FORWARDS.meaning,
            decided_by=facts.decision("spec.loadBalancerClass", FORWARDER),
        )


class TerminatingProxy(Balancer):
    """HAProxy, which ends the client's connection."""

    def __init__(self, world: World, seen: str) -> None:
        super().__init__("wellhead terminating proxy", seen)
        self.world = world

    def delivers(self, facts: ServiceFacts, address: IPAddress | None, protocol: Protocol) -> Delivery:
        asked = facts.annotations.get(CLIENT_IP_ANNOTATION, "")
        names = {
            "x-forwarded-for": "X-Forwarded-For",
            "forwarded": "Forwarded",
            "proxy-v1": "PROXY protocol v1",
            "proxy-v2": "PROXY protocol v2",
        }
        http = any(
            text(each, "appProtocol") == "http" or text(each, "name").startswith("http")
            for each in facts.spec.get("ports") or []
        )
        forms = (
            [names[asked]]
            if asked in names
            else (["Forwarded", "X-Forwarded-For"] if http and not asked else [])
        )
        return Delivery(
            "terminate-node",
            code=Code.BALANCER_TERMINATES,
            because=Code.BALANCER_TERMINATES.meaning,
            decided_by=facts.decision("spec.loadBalancerClass", PROXY),
            address_note="the load balancer's own address",
            enforces_ranges=True,
            forwarded=tuple(
                Forwarded(
                    by=self.name,
                    form=each,
                    seen_as=SeenAs.CLIENT,
                    sentence="what the client claims itself is replaced",
                )
                for each in forms
            ),
        )


def wellhead_proxy(world: World) -> WellheadProxy | None:
    daemon = world.workload("wellhead-proxy", image="wellhead-proxy")
    node = next((each for each in world.nodes.values() if "+wellhead" in each.kubelet_version), None)
    other = world.workload("kube-proxy", "kube-router", "cilium", "calico-node", image="kube-proxy")
    if daemon is None and (node is None or other is not None):
        return None
    configuration = Configuration(detect_local_mode="NodeCIDR")
    flags = command_line(daemon) if daemon is not None else {}
    if (found := world.config_map("wellhead-proxy")) is not None:
        configuration.take(parsed(text(found, "data", "config.conf")), named(found))
    if daemon is not None:
        configuration.take_flags(flags, named(daemon))
    seen = named(daemon) if daemon is not None else f"Node {node.name if node else ''} (kubeletVersion)"
    return WellheadProxy(world, configuration, seen, flags)


def wellhead_network(world: World) -> WellheadNetwork | None:
    node = next((each for each in world.nodes.values() if "+wellhead" in each.kubelet_version), None)
    return WellheadNetwork(world, f"Node {node.name} (kubeletVersion)") if node is not None else None


def wellhead_balancer(world: World, facts: ServiceFacts) -> Balancer | None:
    wanted = str(facts.spec.get("loadBalancerClass") or "")
    if wanted == PROXY:
        return TerminatingProxy(world, f"spec.loadBalancerClass {PROXY}")
    ours = any("+wellhead" in each.kubelet_version for each in world.nodes.values())
    if wanted == FORWARDER or (not wanted and (ours or world.workload("wellhead-load-balancer"))):
        return Forwarder(world, "spec.loadBalancerClass" if wanted else "Node kubeletVersion")
    return None
