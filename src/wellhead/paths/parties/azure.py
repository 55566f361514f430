"""Azure: the load balancer, and the pods' network of AKS.

Sources: cloud-provider-azure `site/content/en/topics/loadbalancer.md` (floating IP is on unless disabled;
the client's address is kept to the node); AKS' documentation on network plugins.
"""

from __future__ import annotations

from wellhead.ip import Family, IPAddress, Protocol
from wellhead.paths.codes import Code
from wellhead.paths.packet import NodeAddress
from wellhead.paths.parties.base import Balancer, Delivery, Network, named, note
from wellhead.paths.reading import is_true
from wellhead.paths.services import ServiceFacts
from wellhead.paths.way import Forwarded, SeenAs
from wellhead.paths.world import World

_PREFIX = "service.beta.kubernetes.io/azure-"


class AzureNetwork(Network):
    """Azure CNI: pods with addresses of the VNet or of an overlay; ip-masq-agent does what masquerading
    there is."""

    def __init__(self, world: World, seen: str) -> None:
        super().__init__("Azure CNI", seen)
        self.world = world

    def towards_own_pod(self, node: str, family: Family) -> NodeAddress:
        return self.internal(node, family, "Azure CNI's interface to pods", note(Code.ASSUMES_FIRST_ADDRESS))

    def towards_other_node(self, node: str, family: Family, other: str) -> NodeAddress:
        return self.internal(node, family, "the VNet routes between nodes")

    def routes_pods_outside(self) -> bool:
        return not self.world.pod_cidrs  # an overlay's are its own


class AzureLoadBalancer(Balancer):
    """A Standard Load Balancer."""

    def __init__(self, world: World, seen: str) -> None:
        super().__init__("Azure Load Balancer", seen)
        self.world = world

    def delivers(self, facts: ServiceFacts, address: IPAddress | None, protocol: Protocol) -> Delivery:
        floating = not is_true(facts.annotations.get(_PREFIX + "disable-load-balancer-floating-ip", ""))
        field = f"metadata.annotations[{_PREFIX}disable-load-balancer-floating-ip]"
        link = is_true(facts.annotations.get(_PREFIX + "pls-create", ""))
        notes = [note(Code.ASSUMES_DOCUMENTED_CLOUD)]
        forwarded: tuple[Forwarded, ...] = ()
        if link:
            sentence = "through its Private Link service, clients appear with a NAT address of the service"
            notes.append(
                note(
                    Code.AMBIGUOUS_BALANCER,
                    sentence,
                    facts.decision(f"metadata.annotations[{_PREFIX}pls-create]"),
                )
            )
            if is_true(facts.annotations.get(_PREFIX + "pls-proxy-protocol", "")):
                forwarded = (
                    Forwarded(by="Azure Private Link", form="PROXY protocol v2", seen_as=SeenAs.CLIENT),
                )
        return Delivery(
            "forward" if floating else "node-port",
            code=Code.BALANCER_FORWARDS if floating else Code.BALANCER_REWRITES_DESTINATION,
            because=(
                "floating IP: the packet arrives with the load balancer's address as its destination"
                if floating
                else "without floating IP, the destination is rewritten to the node's port"
            ),
            decided_by=facts.decision(field, "" if floating else "true"),
            forwarded=forwarded,
            notes=tuple(notes),
        )


def azure_network(world: World) -> AzureNetwork | None:
    if world.workload("cilium", "calico-node", "kube-flannel-ds", image="cilium"):
        return None
    daemon = world.workload("azure-cns", "azure-cni", "azure-npm")
    if daemon is not None:
        return AzureNetwork(world, named(daemon))
    node = next((each for each in world.nodes.values() if each.provider == "azure"), None)
    if node is None or node.pod_cidrs:  # kubenet and overlays give nodes podCIDRs
        return None
    found = AzureNetwork(world, f"Node {node.name} (spec.providerID azure)")
    found.notes = (note(Code.ASSUMES_BACKEND, "Azure CNI is assumed: its DaemonSet isn't seen."),)
    return found


def azure_balancer(world: World, facts: ServiceFacts) -> Balancer | None:
    if facts.spec.get("loadBalancerClass"):
        return None
    annotated = next((each for each in facts.annotations if each.startswith(_PREFIX)), "")
    if annotated or any(each.provider == "azure" for each in world.nodes.values()):
        return AzureLoadBalancer(world, annotated or "Node spec.providerID azure")
    return None
