"""kube-router: its service proxy (IPVS), its network, and what it announces by BGP.

Sources: kube-router's `docs/user-guide.md` and `docs/dsr.md`; cloudnativelabs/kube-router PR 277 and
`pkg/controllers/proxy`: IPVS connections are masqueraded unless they come from, or go to, the node's own
pods.
"""

from __future__ import annotations

from collections.abc import Iterable

from wellhead.ip import Family
from wellhead.paths.codes import Code
from wellhead.paths.packet import NodeAddress, Packet
from wellhead.paths.parties.base import Arrival, Network, Rewrite, ServiceProxy, Verdict, forward, named
from wellhead.paths.parties.kube_proxy import KubeProxy, make
from wellhead.paths.parties.kube_proxy_configuration import Configuration
from wellhead.paths.reading import command_line, is_true, within
from wellhead.paths.way import Decision
from wellhead.paths.world import World
from wellhead.services.names import FrontendKind
from wellhead.services.view import Action

_DSR, _LOCAL = "kube-router.io/service.dsr", "kube-router.io/service.local"


class KubeRouterProxy(ServiceProxy):
    """Its service proxy."""

    def __init__(self, world: World, seen: str, flags: dict[str, str]) -> None:
        super().__init__("kube-router", seen, {"masquerade-all": flags.get("masquerade-all", "false")})
        self.world, self.flags = world, flags
        self._core: KubeProxy = make(world, Configuration())

    def decide(self, arrival: Arrival) -> Iterable[Verdict]:
        facts, kind, node = arrival.facts, arrival.frontend.kind, arrival.node
        reading = self._core.reading(node)
        view = self._core.view(arrival, reading)
        external = kind is not FrontendKind.CLUSTER_IP
        handling = view.external.others if external else view.internal.pods
        if handling.action is not Action.FORWARD:
            yield from self._core.nobody(arrival, reading, view, handling)
            return
        known = facts.endpoints(arrival.port, reading)
        chosen = view.endpoints(handling.scope)
        if is_true(facts.annotations.get(_LOCAL, "")):
            chosen = tuple(each for each in chosen if known[each].node == node)
            if not chosen:
                because = f"the annotation {_LOCAL} keeps traffic on {node}, which has no endpoint"
                yield Verdict(1.0, "drop", Code.LOCAL_NO_ENDPOINT, because)
                return
        dsr = facts.annotations.get(_DSR) == "tunnel" and kind in (
            FrontendKind.EXTERNAL_IP,
            FrontendKind.LOAD_BALANCER_IP,
        )
        own = self.world.nodes[node].pod_cidr_of(arrival.packet.family) if node in self.world.nodes else None
        spared = (own,) if own is not None else ()
        source = arrival.packet.source
        seen = Decision(
            object=self.recognised_by, field="--masquerade-all", value=self.facts["masquerade-all"]
        )
        for each in chosen:
            to = (1 / len(chosen), each, known[each].node)
            if dsr:
                decided = facts.decision(f"metadata.annotations[{_DSR}]", "tunnel")
                yield forward(*to, Code.DSR, decided_by=decided, returns_by_itself=True)
            elif is_true(self.flags.get("masquerade-all", "false")):
                because = "kube-router runs with --masquerade-all"
                yield forward(*to, Code.MASQUERADE_ALL, because, masquerade=True, decided_by=seen)
            elif source.address == each.ip:
                yield forward(*to, Code.HAIRPIN, masquerade=True)
            elif within(source.address, spared) or known[each].node == node:
                code = Code.CLUSTER_IP_FROM_POD if source.kind == "pod" else Code.EBPF_LOCAL_BACKEND
                because = "kube-router masquerades neither its node's pods nor what goes to them"
                yield forward(*to, code, because, decided_by=seen)
            else:
                because = "kube-router masquerades what goes to another node's endpoint"
                taken = self._node_ip(node, arrival.packet.family)
                yield forward(
                    *to, Code.CLUSTER_POLICY, because, masquerade=True, decided_by=seen, source=taken
                )

    def _node_ip(self, node: str, family: Family) -> NodeAddress:
        facts = self.world.nodes.get(node)
        return NodeAddress(
            facts.internal_of(family) if facts else None, "the node's own, by kube-router's SNAT"
        )


class KubeRouterNetwork(Network):
    """Its network: a bridge on each node, routes between them."""

    def __init__(self, world: World, seen: str, flags: dict[str, str]) -> None:
        super().__init__("kube-router", seen, {"enable-pod-egress": flags.get("enable-pod-egress", "true")})
        self.world, self.flags = world, flags

    def towards_own_pod(self, node: str, family: Family) -> NodeAddress:
        return self.first_of_pod_cidr(node, family, 1, "the pods' bridge, kube-bridge")

    def towards_other_node(self, node: str, family: Family, other: str) -> NodeAddress:
        return self.internal(node, family, "kube-router routes between nodes")

    def masquerades(self, packet: Packet) -> Rewrite | None:
        if not is_true(self.flags.get("enable-pod-egress", "true")) or packet.destination is None:
            return None
        inside = self.world.pod_cidrs
        if not within(packet.source.address, inside) or within(packet.destination, inside):
            return None
        if self.world.node_of_address(packet.destination):
            return None  # nodes are in the set that egress leaves alone
        decided = Decision(object=self.recognised_by, field="--enable-pod-egress", value="true")
        return Rewrite(Code.CNI_MASQUERADE, f"{packet.destination} is neither a pod nor a node", decided)

    def routes_pods_outside(self) -> bool:
        return "peer-router-ips" in self.flags


def kube_router_proxy(world: World) -> KubeRouterProxy | None:
    daemon = world.workload("kube-router", image="kube-router")
    if daemon is None or not is_true((flags := command_line(daemon)).get("run-service-proxy", "true")):
        return None
    return KubeRouterProxy(world, named(daemon), flags)


def kube_router_network(world: World) -> KubeRouterNetwork | None:
    daemon = world.workload("kube-router", image="kube-router")
    if daemon is None or not is_true((flags := command_line(daemon)).get("run-router", "true")):
        return None
    return KubeRouterNetwork(world, named(daemon), flags)
