"""Weave Net.

Source: weaveworks/weave `net/ipsets`, `weave-kube` (NO_MASQ_LOCAL): unless told otherwise, what comes from
outside its range to pods is masqueraded, which takes the client's address under Local as well.
"""

from __future__ import annotations

from wellhead.ip import Family, IPNetwork
from wellhead.paths.codes import Code
from wellhead.paths.packet import NodeAddress, Packet
from wellhead.paths.parties.base import Network, Rewrite, named, note
from wellhead.paths.reading import environment, networks, within
from wellhead.paths.way import Decision
from wellhead.paths.world import World


class Weave(Network):
    """Weave's bridge on a node, one network over all nodes."""

    def __init__(self, world: World, seen: str, pods: tuple[IPNetwork, ...], spares_local: bool) -> None:
        facts = {"IPALLOC_RANGE": ",".join(map(str, pods)), "NO_MASQ_LOCAL": "1" if spares_local else "0"}
        super().__init__("Weave Net", seen, facts)
        self.world, self.pods, self.spares_local = world, pods, spares_local

    def _bridge(self) -> NodeAddress:
        unknown = note(Code.UNKNOWN_NODE_ADDRESS, "the address of the node's weave bridge isn't in the API")
        return NodeAddress(None, "the weave bridge", (unknown,))

    def towards_own_pod(self, node: str, family: Family) -> NodeAddress:
        return self._bridge()

    def towards_other_node(self, node: str, family: Family, other: str) -> NodeAddress:
        return self._bridge()

    def masquerades(self, packet: Packet) -> Rewrite | None:
        from_pods, to_pods = within(packet.source.address, self.pods), within(packet.destination, self.pods)
        if from_pods and not to_pods:
            return Rewrite(Code.CNI_MASQUERADE, f"{packet.destination} is not in Weave's network")
        if from_pods or not to_pods:
            return None
        here = self.world.node_of_pod_address(packet.destination) == packet.node
        if self.spares_local and here:
            return None
        decided = Decision(
            object=self.recognised_by, field="env NO_MASQ_LOCAL", value=self.facts["NO_MASQ_LOCAL"]
        )
        because = "Weave masquerades what comes from outside its network to pods"
        return Rewrite(Code.CNI_MASQUERADES_INBOUND, because, decided)


def weave(world: World) -> Weave | None:
    daemon = world.workload("weave-net", image="weave-kube")
    if daemon is None:
        return None
    env = environment(daemon)
    pods = networks([env.get("IPALLOC_RANGE", "10.32.0.0/12")])
    return Weave(world, named(daemon), pods, env.get("NO_MASQ_LOCAL", "0") == "1")
