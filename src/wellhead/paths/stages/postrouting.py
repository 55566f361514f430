"""What a node's network and agents do with what leaves it, and who receives it then."""

from __future__ import annotations

from wellhead.ip import Family, IPAddress, Protocol
from wellhead.paths.codes import Code
from wellhead.paths.packet import Ending, NodeAddress, Packet, Source
from wellhead.paths.parties.base import Agent, Network, Rewrite, Verdict, note
from wellhead.paths.stages.base import Stage
from wellhead.paths.way import Disposition, Note, SeenAs, What

PLAIN = Verdict(1.0, "forward", Code.NETWORK_KEEPS, "")


class Postrouting(Stage):
    """Leaving a node."""

    def leave(self, packet: Packet) -> Packet:
        """POSTROUTING of the node that the packet is on, for one that no service proxy touched."""
        rewrite = self._rewrite(packet)
        if rewrite is None:
            return packet
        who, found = rewrite
        taken = self.towards(packet.node, packet.destination, "", packet.family)
        source = taken.source(packet.node)
        return (
            packet.rewrite_source(who, source, found.code, found.because, found.decided_by)
            .having(born_here=False)
            .noting(*taken.notes)
        )

    def _rewrite(self, packet: Packet) -> tuple[str, Rewrite] | None:
        """Who masquerades a packet that leaves its node, if anybody does."""
        if packet.source.kind == "node" and packet.source.node == packet.node:
            return None  # it has an address of this node already
        parties: tuple[Network | Agent, ...] = (self.parties.network, *self.parties.agents)
        for party in parties:
            if (found := party.masquerades(packet)) is not None:
                return party.name, found
        return None

    def towards(self, node: str, destination: IPAddress | None, where: str, family: Family) -> NodeAddress:
        """Which address of a node the kernel takes towards a destination."""
        network = self.parties.network
        facts = self.world.nodes.get(node)
        internal = facts.internal_of(family) if facts else None
        owner = self.world.node_of_address(destination)
        if owner:
            return NodeAddress(internal, "" if owner == node else "towards another node")
        where = where or self.world.node_of_pod_address(destination)
        if where == node:
            return network.towards_own_pod(node, family)
        if where:
            return network.towards_other_node(node, family, where)
        unknown = note(
            Code.UNKNOWN_NODE_ADDRESS, f"by which interface {node} reaches {destination} isn't in the API"
        )
        return NodeAddress(None, "", (unknown,))

    def _by_network(self, packet: Packet, verdict: Verdict, where: str) -> Packet:
        """What the node's network and agents do to a packet that the service proxy left alone."""
        if verdict.keep_network:
            return packet
        rewrite = self._rewrite(packet)
        if rewrite is not None and verdict.claims:
            because = f"{rewrite[0]} would replace the source; the service proxy claims it first"
            claimed = packet.step(self.parties.proxy.name, What.FORWARD, Code.SOURCE_CLAIMED, because)
            return claimed.noting(*verdict.claim_notes)
        if rewrite is not None:
            who, found = rewrite
            taken = self.towards(packet.node, packet.destination, where, packet.family)
            changed = packet.rewrite_source(
                who, taken.source(packet.node), found.code, found.because, found.decided_by
            )
            return changed.noting(*taken.notes)
        if packet.source.kind == "node" and packet.born_here:
            taken = self.towards(packet.node, packet.destination, where, packet.family)
            if taken.address is not None and taken.address != packet.source.address:
                source = taken.source(packet.node)
                return packet.step(
                    "the kernel", What.FORWARD, Code.TUNNEL_SOURCE, Code.TUNNEL_SOURCE.meaning, to=source
                ).having(
                    source=Source(
                        source.address, SeenAs.CLIENT, packet.node, source.note, "node", packet.node
                    )
                )
            return packet
        return (
            packet.noting(*self.parties.network.notes) if not self.parties.network.recognised_by else packet
        )

    def reach(self, packet: Packet, where: str) -> Ending:
        """The endpoint receives it."""
        address = packet.destination
        pod = self.world.pod_of_address(address) if address is not None else None
        name = str(pod) if pod is not None else self._host_network_pod(where, packet)
        notes: tuple[Note, ...] = ()
        if where and packet.source.node != where:
            there = packet.having(node=where, born_here=False)
            if any(each.masquerades(there) is not None for each in self.parties.agents) and (
                packet.source.kind == "node" and address not in self._own(where)
            ):
                notes = (note(Code.AMBIGUOUS_SECOND_MASQUERADE),)
        if packet.protocol is Protocol.UDP:
            notes = (*notes, note(Code.ASSUMES_NEW_CONNECTION))
        if packet.source.address is None and packet.source.seen_as is SeenAs.NODE and not packet.notes:
            notes = (*notes, note(Code.UNKNOWN_NODE_ADDRESS))
        end = packet.having(node=where).step(
            name or str(address),
            What.DELIVER,
            Code.DELIVERED,
            f"the server sees {packet.source}",
            to=packet.target,
        )
        return Ending(end, Disposition.DELIVERED, where, name, notes)

    def _host_network_pod(self, node: str, packet: Packet) -> str:
        for each in self.world.pods_on(node):
            if each.host_network and (packet.port, packet.protocol.value) in each.ports:
                return str(each)
        return ""

    def arrive_at_pod(self, packet: Packet, where: str) -> Ending:
        """A packet for a pod's own address arrives at its node from outside."""
        if where:
            packet = packet.having(node=where, born_here=False, enters=where)
            packet = self._by_network(packet, PLAIN, where)
        return self.reach(packet, where)
