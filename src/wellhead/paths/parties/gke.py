"""Google: pass-through Network Load Balancers, container-native HTTP load balancing, the pods' network of
GKE.

Sources: cloud.google.com/kubernetes-engine/docs (“Service networking”, “Container-native load balancing”, “IP
masquerade agent”); “Target proxy” and “X-Forwarded-For” pages: front ends dial from 35.191.0.0/16 and
130.211.0.0/22, and append the client's and their own address.
"""

from __future__ import annotations

from wellhead.ip import Family, IPAddress, Protocol
from wellhead.paths.codes import Code
from wellhead.paths.packet import NodeAddress, Packet
from wellhead.paths.parties.base import Balancer, Delivery, Network, Rewrite, note
from wellhead.paths.services import ServiceFacts
from wellhead.paths.way import Forwarded, SeenAs
from wellhead.paths.world import World

NEG = "cloud.google.com/neg"
FRONT_ENDS = "35.191.0.0/16 or 130.211.0.0/22"
HTTP_FORWARDED = Forwarded(
    by="Google's front end",
    form="X-Forwarded-For",
    seen_as=SeenAs.CLIENT,
    sentence=(
        "<client>,<load balancer>: the last two entries are Google's, "
        "anything before is the client's own claim"
    ),
)


class GkeNetwork(Network):
    """GKE's network: a podCIDR a node, routed by the VPC."""

    def __init__(self, world: World, seen: str) -> None:
        super().__init__("GKE", seen)
        self.world = world

    def towards_other_node(self, node: str, family: Family, other: str) -> NodeAddress:
        return self.internal(node, family, "the VPC routes between nodes")

    def masquerades(self, packet: Packet) -> Rewrite | None:
        destination = packet.destination
        if packet.source.kind != "pod" or destination is None or destination.is_private:
            return None
        return Rewrite(Code.CNI_MASQUERADE, f"{destination} is outside of the private ranges")

    def routes_pods_outside(self) -> bool:
        return True


class PassThrough(Balancer):
    """A pass-through Network Load Balancer, external or internal."""

    def __init__(self, world: World, seen: str) -> None:
        super().__init__("GKE pass-through load balancer", seen)
        self.world = world

    def delivers(self, facts: ServiceFacts, address: IPAddress | None, protocol: Protocol) -> Delivery:
        return Delivery(
            "forward",
            because="packets arrive unchanged, with the load balancer's address as their destination",
            decided_by=facts.decision("spec.type", "LoadBalancer"),
            notes=(note(Code.ASSUMES_DOCUMENTED_CLOUD),),
            private=True,
        )


def gke_network(world: World) -> GkeNetwork | None:
    node = next(
        (each for each in world.nodes.values() if each.provider == "gce" or "-gke." in each.kubelet_version),
        None,
    )
    if node is None or world.workload("calico-node", "cilium", "kube-flannel-ds"):
        return None
    return GkeNetwork(world, f"Node {node.name} (spec.providerID gce)")


def gke_balancer(world: World, facts: ServiceFacts) -> Balancer | None:
    wanted = str(facts.spec.get("loadBalancerClass") or "")
    if wanted and not wanted.startswith("networking.gke.io/"):
        return None
    annotated = next(
        (
            each
            for each in facts.annotations
            if each
            in (
                "networking.gke.io/load-balancer-type",
                "cloud.google.com/load-balancer-type",
                "cloud.google.com/l4-rbs",
            )
        ),
        "",
    )
    if wanted or annotated or any(each.provider == "gce" for each in world.nodes.values()):
        return PassThrough(world, wanted or annotated or "Node spec.providerID gce")
    return None
