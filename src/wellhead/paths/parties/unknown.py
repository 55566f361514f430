"""Parties that are there and that nothing is known of: they have names, and answers with UNKNOWN."""

from __future__ import annotations

from collections.abc import Iterable

from wellhead.ip import Family, IPAddress, Protocol
from wellhead.paths.codes import Code
from wellhead.paths.packet import NodeAddress
from wellhead.paths.parties.base import (
    Arrival,
    Balancer,
    Delivery,
    Network,
    ServiceProxy,
    Verdict,
    named,
    note,
)
from wellhead.paths.reading import text
from wellhead.paths.services import ServiceFacts
from wellhead.paths.world import World

_PROXIES = ("ovnkube-node", "ovs-node", "kpng", "kube-ovn-cni", "bpfproxy")
_NETWORKS = (
    "ovnkube-node", "kube-ovn-cni", "terway-eniip", "terway", "contiv-netplugin", "romana-agent",
    "nsx-node-agent", "contrail-agent", "spiderpool-agent", "aci-containers-host", "tke-cni-agent", "everest",
)  # fmt: skip


class UnknownNetwork(Network):
    """A network that isn't known, or none that could be seen."""

    def __init__(self, world: World, name: str, seen: str) -> None:
        super().__init__(name or "no pod network seen", seen, known=False)
        self.world = world
        self.notes = (
            (note(Code.UNKNOWN_NETWORK, f"What {name} does to sources is not known here."),)
            if name
            else (note(Code.ASSUMES_NO_NETWORK_MASQUERADE),)
        )

    def towards_own_pod(self, node: str, family: Family) -> NodeAddress:
        return self._unknown(node)

    def towards_other_node(self, node: str, family: Family, other: str) -> NodeAddress:
        return self._unknown(node)

    def _unknown(self, node: str) -> NodeAddress:
        sentence = f"Which address of {node} the masquerade takes depends on the pod network."
        return NodeAddress(None, "", (note(Code.UNKNOWN_NODE_ADDRESS, sentence),))


class UnknownProxy(ServiceProxy):
    """A service proxy that isn't known."""

    def __init__(self, world: World, name: str, seen: str) -> None:
        super().__init__(name, seen, known=False)
        self.world = world
        self.notes = (note(Code.UNKNOWN_PROXY, f"What {name} does with Services is not known here."),)

    def decide(self, arrival: Arrival) -> Iterable[Verdict]:
        yield Verdict(1.0, "unknown", Code.UNKNOWN_PROXY, self.notes[0].sentence, notes=self.notes)


class UnknownBalancer(Balancer):
    """A load balancer that isn't known by name, or at all."""

    def __init__(self, world: World, name: str, seen: str, *, known: bool = False) -> None:
        super().__init__(name, seen, known=known)
        self.world = world

    def delivers(self, facts: ServiceFacts, address: IPAddress | None, protocol: Protocol) -> Delivery:
        mode = next((each.mode for each in facts.balancer_addresses if each.ip == address), "")
        if mode == "Proxy":
            decided = facts.decision("status.loadBalancer.ingress[].ipMode", "Proxy")
            return Delivery(
                "terminate-node",
                code=Code.BALANCER_TERMINATES,
                because="ipMode is Proxy",
                decided_by=decided,
                address_note="an address of the load balancer",
                notes=(note(Code.ASSUMES_TERMINATES),),
            )
        if not self.known:
            sentence = (
                f"{self.name} isn't known here: whether it forwards packets or ends connections is open."
            )
            return Delivery(
                "unknown",
                address_note="an address of the load balancer",
                notes=(note(Code.UNKNOWN_BALANCER, sentence),),
            )
        return Delivery(
            "forward",
            because="the packet is taken to arrive unchanged, as ipMode VIP means",
            notes=(note(Code.ASSUMES_PASS_THROUGH),),
        )


def unknown_network(world: World) -> Network:
    for each in _NETWORKS:
        if (found := world.workload(each)) is not None:
            return UnknownNetwork(world, text(found, "metadata", "name"), named(found))
    return UnknownNetwork(world, "", "")


def unknown_proxy(world: World) -> ServiceProxy | None:
    for each in _PROXIES:
        if (found := world.workload(each)) is not None:
            return UnknownProxy(world, text(found, "metadata", "name"), named(found))
    return None


def unknown_balancer(world: World, facts: ServiceFacts) -> Balancer:
    wanted = str(facts.spec.get("loadBalancerClass") or "")
    if wanted:
        return UnknownBalancer(world, f"load balancer of class {wanted}", "spec.loadBalancerClass")
    providers = sorted(
        {
            each.provider
            for each in world.nodes.values()
            if each.provider not in ("", "kind", "k3s", "rke2", "wellhead")
        }
    )
    if providers:
        return UnknownBalancer(
            world, f"{providers[0]}'s load balancer", f"Node spec.providerID {providers[0]}"
        )
    if facts.balancer_addresses and all(each.ip is None for each in facts.balancer_addresses):
        return UnknownBalancer(
            world, "a load balancer with a host name", "status.loadBalancer.ingress[].hostname"
        )
    return UnknownBalancer(world, "a load balancer", "status.loadBalancer", known=True)
