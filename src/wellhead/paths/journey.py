"""A packet's journey: from its client, through networks, balancers and nodes, to its endings."""

from __future__ import annotations

from collections.abc import Iterator

from wellhead.ip import Family, IPAddress, Protocol
from wellhead.paths.client import OUTSIDE, Client
from wellhead.paths.codes import Code
from wellhead.paths.packet import Ending, Packet, Source, show
from wellhead.paths.parties.base import note
from wellhead.paths.services import ServiceFacts
from wellhead.paths.stages.balancing import BalancingStage
from wellhead.paths.way import Disposition, SeenAs, What


class Journeys(BalancingStage):
    """Sends packets through one world."""

    def send(
        self,
        client: Client,
        destination: IPAddress | None,
        port: int,
        protocol: Protocol,
        family: Family,
        facts: ServiceFacts | None = None,
    ) -> list[Ending]:
        """What becomes of a connection. `facts` names the Service whose balancer has a host name alone."""
        source = client.source(family)
        packet = Packet(
            source, destination, port, protocol, family, client.node, born_here=client.kind == "node"
        )
        target = show(destination, port) if destination is not None else "the load balancer"
        packet = packet.step(
            client.text, What.SEND, Code.SENT, f"the client dials {target}", from_=source, to=target
        )
        if client.kind == OUTSIDE:
            return list(self.from_outside(packet, facts))
        return list(self.from_inside(packet, facts))

    def from_inside(self, packet: Packet, facts: ServiceFacts | None = None) -> Iterator[Ending]:
        """On the client's own node."""
        held = self.held(packet)
        if held is not None:
            yield from self.serve(packet, held)
            return
        if packet.destination is not None and packet.destination in self._own(packet.node):
            yield from self.at_node_itself(packet)
            return
        if (other := self.of_another_proxy(packet)) is not None:
            yield self._unknown(packet, other)
            return
        yield from self.across(packet, facts)

    def from_outside(self, packet: Packet, facts: ServiceFacts | None = None) -> Iterator[Ending]:
        """Towards the cluster."""
        destination = packet.destination
        if destination is None:
            if facts is not None:
                yield from self.by_balancer(packet, facts)
            return
        if node := self.world.node_of_address(destination):
            balanced = self._balanced_here(destination, packet)
            if balanced is not None:
                packet = self._balanced(packet, balanced)
            yield from self.enter(packet, node)
            return
        claims = [self.facts(each) for each in self.world.services_at(destination)]
        for each in claims:
            if any(entry.ip == destination for entry in each.balancer_addresses):
                yield from self.by_balancer(packet, each)
                return
        if claims:
            yield from self.by_routing(packet, claims[0])
            return
        node = self.world.node_of_pod_address(destination)
        if node:
            yield from self.to_pod_from_outside(packet, node)
            return
        if self.only_node:
            yield from self.enter(packet, self.only_node)
            return
        yield self._unknown(
            packet,
            note(
                Code.UNKNOWN_TARGET,
                f"{destination} is neither a Service's nor a node's nor a pod's.",
                do="Give --node if it is a further address of a node.",
            ),
        )

    def _balanced_here(self, destination: IPAddress, packet: Packet) -> ServiceFacts | None:
        """The Service whose balancer's address a node's own address is (k3s' ServiceLB)."""
        for obj in self.world.services_at(destination):
            facts = self.facts(obj)
            if any(each.ip == destination for each in facts.balancer_addresses):
                return facts
        return None

    def _balanced(self, packet: Packet, facts: ServiceFacts) -> Packet:
        party = self.parties.balancer(facts)
        delivery = party.delivers(facts, packet.destination, packet.protocol)
        return packet.noting(*delivery.notes)

    def across(self, packet: Packet, facts: ServiceFacts | None = None) -> Iterator[Ending]:
        """Away from the client's node, to something that it doesn't handle itself."""
        destination, here = packet.destination, packet.node
        if destination is None or self._is_balanced_elsewhere(destination):
            target = facts or (self._balanced_here(destination, packet) if destination is not None else None)
            if target is not None:
                yield from self.by_balancer(self._leaving_for_balancer(packet, target), target)
            return
        packet = self.leave(packet)
        if node := self.world.node_of_address(destination):
            yield from self.enter(packet, node)
            return
        claims = self.world.services_at(destination)
        if claims:
            yield from self.by_routing(packet, self.facts(claims[0]))
            return
        node = self.world.node_of_pod_address(destination)
        if node:
            yield self.reach(packet.having(node=node), node)
            return
        if self.only_node and packet.source.node != self.only_node:
            yield from self.enter(packet, self.only_node)
            return
        yield self.away(packet.having(node=here))

    def _is_balanced_elsewhere(self, destination: IPAddress) -> bool:
        return any(
            each.ip == destination
            for obj in self.world.services_at(destination)
            for each in self.facts(obj).balancer_addresses
        ) and not self.world.node_of_address(destination)

    def _leaving_for_balancer(self, packet: Packet, facts: ServiceFacts) -> Packet:
        party = self.parties.balancer(facts)
        delivery = party.delivers(facts, packet.destination, packet.protocol)
        if delivery.private or packet.source.kind == OUTSIDE:
            return packet
        if packet.destination is not None:
            packet = self.leave(packet)
            if packet.source.seen_as is not SeenAs.CLIENT and self._external(packet) is None:
                return packet
        external = self._external(packet)
        words = f"the address that {packet.source.node} leaves the cluster with"
        source = Source(external, SeenAs.OTHER, packet.source.node, words, OUTSIDE, packet.source.node)
        return packet.having(source=source).noting(
            note(
                Code.UNKNOWN_EGRESS,
                f"With which address {packet.source.owner} leaves the cluster isn't in the API.",
            )
        )

    def away(self, packet: Packet) -> Ending:
        """To somebody outside of the cluster."""
        external = self._external(packet)
        source = packet.source
        if source.kind == "node" and external is not None:
            words = f"the ExternalIP of {source.node}"
            source = Source(external, SeenAs.NODE, source.node, words, "node", source.node)
            packet = packet.having(source=source).noting(note(Code.ASSUMES_EXTERNAL_IP_NAT))
        elif not packet.destination or not packet.destination.is_private:
            packet = packet.noting(
                note(Code.UNKNOWN_EGRESS, "What routers on the way out do to the source isn't in the API.")
            )
        packet = packet.step(
            "the network", What.DELIVER, Code.ROUTED, "it leaves the cluster", to=packet.target
        )
        return Ending(packet, Disposition.DELIVERED)

    def to_pod_from_outside(self, packet: Packet, node: str) -> Iterator[Ending]:
        if not self.parties.network.routes_pods_outside():
            stopped = packet.step(
                "the network", What.DROP, Code.POD_NETWORK_FROM_OUTSIDE, Code.POD_NETWORK_FROM_OUTSIDE.meaning
            )
            yield stopped.end(Disposition.UNREACHABLE)
            return
        yield self.arrive_at_pod(packet.noting(note(Code.ASSUMES_REACHABLE)), node)
