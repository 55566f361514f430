"""k3s' ServiceLB (klipper-lb): pods with host ports, which rewrite both addresses inside their own network.

Sources: k3s' documentation (“Networking: Service Load Balancer”), k3s-io/klipper-lb `entry`;
k3s-io/k3s#1652, #3391. Under Cluster its pods send to the ClusterIP, under Local to their node's node port.
Seen with packets: the server sees the ServiceLB pod.
"""

from __future__ import annotations

from wellhead.ip import IPAddress, Protocol
from wellhead.paths.codes import Code
from wellhead.paths.parties.base import Balancer, Delivery, note
from wellhead.paths.pods import PodFacts
from wellhead.paths.services import ServiceFacts
from wellhead.paths.world import World

NAME, NAMESPACE = "svccontroller.k3s.cattle.io/svcname", "svccontroller.k3s.cattle.io/svcnamespace"
_CLASS = "io.cattle.k3s/servicelb"


def pods_of(world: World, facts: ServiceFacts) -> list[PodFacts]:
    """The ServiceLB pods of a Service."""
    return [
        each
        for each in world.pods
        if each.labels.get(NAME) == facts.name
        and each.labels.get(NAMESPACE, facts.namespace) == facts.namespace
    ]


def service_of(world: World, pod: PodFacts) -> tuple[str, str] | None:
    """The Service that a ServiceLB pod serves."""
    name = pod.labels.get(NAME)
    return (pod.labels.get(NAMESPACE, pod.namespace), name) if name else None


class ServiceLB(Balancer):
    """The nodes' own addresses are the balancer's: kube-proxy takes what is addressed to them first."""

    def __init__(self, world: World, seen: str) -> None:
        super().__init__("k3s ServiceLB", seen)
        self.world = world

    def delivers(self, facts: ServiceFacts, address: IPAddress | None, protocol: Protocol) -> Delivery:
        node = self.world.node_of_address(address)
        because = f"the address is {node}'s own" if node else "the address leads to a node"
        return Delivery(
            "forward",
            nodes=(node,) if node else None,
            one_of=True,
            code=Code.ROUTED,
            because=because,
            notes=(note(Code.ASSUMES_PREROUTING_ORDER),),
            checks_health=False,
        )


def service_lb(world: World, facts: ServiceFacts) -> Balancer | None:
    wanted = str(facts.spec.get("loadBalancerClass") or "")
    if wanted and wanted != _CLASS:
        return None
    pods = pods_of(world, facts)
    in_k3s = any("+k3s" in each.kubelet_version for each in world.nodes.values())
    on_nodes = any(world.node_of_address(each.ip) for each in facts.balancer_addresses)
    if pods:
        return ServiceLB(world, f"Pod {pods[0]}")
    if wanted or (in_k3s and on_nodes):
        return ServiceLB(world, "spec.loadBalancerClass" if wanted else "status address is a Node's")
    return None
