"""kindnet, the network of kind's clusters.

Sources: kindnetd's masquerading agent (`KIND-MASQ-AGENT`): what isn't for a pod subnet is masqueraded,
whoever sends it and also what comes in; its plugin ptp, whose veths carry the node's gateway address.
"""

from __future__ import annotations

from wellhead.ip import Family, IPNetwork
from wellhead.paths.codes import Code
from wellhead.paths.packet import NodeAddress, Packet
from wellhead.paths.parties.base import Network, Rewrite, named, note
from wellhead.paths.reading import environment, networks, split, within
from wellhead.paths.way import Decision
from wellhead.paths.world import World


class Kindnet(Network):
    """kindnet on a node."""

    def __init__(self, world: World, seen: str, pods: tuple[IPNetwork, ...]) -> None:
        super().__init__("kindnet", seen, {"POD_SUBNET": ",".join(map(str, pods))})
        self.world, self.pods = world, pods

    def towards_own_pod(self, node: str, family: Family) -> NodeAddress:
        return self.first_of_pod_cidr(node, family, 1, "the pods' gateway, on their veths")

    def towards_other_node(self, node: str, family: Family, other: str) -> NodeAddress:
        return self.internal(node, family, "kindnet routes between nodes")

    def masquerades(self, packet: Packet) -> Rewrite | None:
        pods = tuple(each for each in self.pods if each.version == packet.family)
        if packet.born_here or not pods or within(packet.destination, pods):
            return None
        decided = Decision(object=self.recognised_by, field="env POD_SUBNET", value=",".join(map(str, pods)))
        code = Code.CNI_MASQUERADES_INBOUND if packet.source.kind == "outside" else Code.CNI_MASQUERADE
        return Rewrite(code, f"{packet.destination} is not in the pods' network {pods[0]}", decided)


def kindnet(world: World) -> Kindnet | None:
    daemon = world.workload("kindnet", image="kindnetd")
    if daemon is None:
        if not any(each.provider == "kind" for each in world.nodes.values()) or _another(world):
            return None
        from wellhead.paths.parties.kube_proxy import kube_proxy

        proxy = kube_proxy(world)
        pods = proxy.configuration.cluster_cidrs if proxy is not None else world.pod_cidrs
        found = Kindnet(world, "Node spec.providerID kind://", pods)
        found.notes = (
            note(Code.ASSUMES_BACKEND, "kind's own network is assumed: its DaemonSet isn't seen."),
        )
        return found
    pods = networks(split(environment(daemon).get("POD_SUBNET", ""))) or world.pod_cidrs
    return Kindnet(world, named(daemon), pods)


def _another(world: World) -> bool:
    return world.workload("calico-node", "cilium", "kube-flannel-ds", "kube-router", "weave-net") is not None
