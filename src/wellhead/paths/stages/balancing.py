"""Load balancers and routers, which lead a Service's addresses to the nodes."""

from __future__ import annotations

from collections.abc import Iterator

from wellhead.api.names import SOURCE_RANGES_ANNOTATION
from wellhead.ip import family_of
from wellhead.paths.alike import classes
from wellhead.paths.client import OUTSIDE
from wellhead.paths.codes import Code
from wellhead.paths.packet import Ending, Packet, Source, show
from wellhead.paths.parties.base import Delivery, note
from wellhead.paths.parties.calico import announced
from wellhead.paths.reading import within
from wellhead.paths.services import ServiceFacts
from wellhead.paths.stages.node import NodeStage
from wellhead.paths.way import Disposition, Forwarded, SeenAs, What
from wellhead.services.names import FrontendKind
from wellhead.services.service import ServicePort
from wellhead.services.traffic import usable


def _filled(forwarded: Forwarded, source: Source) -> Forwarded:
    return Forwarded(
        by=forwarded.by,
        form=forwarded.form,
        address=str(source.address) if source.address is not None else None,
        seen_as=source.seen_as,
        sentence=forwarded.sentence or source.note,
    )


def _few(names: list[str]) -> str:
    shown = ", ".join(names[:4])
    return shown if len(names) <= 4 else f"{shown} and {len(names) - 4} more"


class BalancingStage(NodeStage):
    """In front of the nodes."""

    def eligible(self, facts: ServiceFacts, delivery: Delivery, packet: Packet) -> list[str]:
        """The nodes that a balancer may send to."""
        everybody = [each.name for each in self.world.nodes.values() if not each.excluded]
        nodes = list(delivery.nodes) if delivery.nodes is not None else everybody
        if facts.local and delivery.checks_health:
            serving = facts.endpoints_by_node(packet.family)
            passing = [each for each in nodes if each in serving]
            nodes = passing or ([each for each in everybody if each in serving] if delivery.one_of else [])
        if self.only_node:
            nodes = [each for each in nodes if each == self.only_node] or [self.only_node]
        return nodes

    def by_balancer(self, packet: Packet, facts: ServiceFacts) -> Iterator[Ending]:
        """A load balancer hands the packet on."""
        party = self.parties.balancer(facts)
        delivery = party.delivers(facts, packet.destination, packet.protocol)
        if delivery.how == "unknown":
            yield from self._by_unknown_balancer(packet, facts, delivery)
            return
        yield from self.deliver(packet, facts, delivery, party.name)

    def _by_unknown_balancer(
        self, packet: Packet, facts: ServiceFacts, delivery: Delivery
    ) -> Iterator[Ending]:
        """Both ways that there are; an answer only where they agree."""
        party = self.parties.balancer(facts)
        ways = []
        for how in ("forward", "terminate-node"):
            assumed = Delivery(
                how,
                code=Code.UNKNOWN_BALANCER,
                because=delivery.notes[0].sentence,
                address_note=delivery.address_note,
                notes=delivery.notes,
            )
            ways.append(list(self.deliver(packet, facts, assumed, party.name)))
        results = [
            {
                (e.disposition, e.packet.source.seen_as, e.packet.source.address, e.packet.source.owner)
                for e in way
            }
            for way in ways
        ]
        if results[0] == results[1]:
            yield from ways[0]
            return
        yield self._unknown(packet, *delivery.notes)

    def deliver(self, packet: Packet, facts: ServiceFacts, delivery: Delivery, name: str) -> Iterator[Ending]:
        packet = packet.noting(*delivery.notes)
        held = self._port_of(facts, packet)
        if held is None:
            stopped = packet.step(
                name, What.DROP, Code.NO_ROUTE, f"{facts.title} has no port {packet.port}/{packet.protocol}"
            )
            yield stopped.end(Disposition.UNREACHABLE)
            return
        if delivery.enforces_ranges and (source := packet.source.address) is not None:
            annotated = facts.annotated_ranges(family_of(source))
            allowed = held.source_ranges or annotated
            if allowed and not within(source, allowed):
                ranges = facts.decision("spec.loadBalancerSourceRanges", ", ".join(facts.source_ranges))
                if not held.source_ranges:
                    ranges = facts.decision(
                        f"annotation {SOURCE_RANGES_ANNOTATION}", ", ".join(map(str, annotated))
                    )
                because = f"{source} is in none of the ranges, which {name} enforces"
                refused = packet.step(name, What.REFUSE, Code.SOURCE_RANGES, because, decided_by=ranges)
                yield refused.end(Disposition.REFUSED)
                return
        if delivery.how in ("endpoint", "terminate-endpoint"):
            yield from self._to_endpoints(packet, facts, held, delivery, name)
            return
        nodes = self.eligible(facts, delivery, packet)
        if not nodes:
            yield from self._no_node(packet, facts, name)
            return
        if facts.local and delivery.checks_health:
            packet = packet.noting(note(Code.ASSUMES_HEALTHY))
        if len(nodes) > 1 and delivery.one_of:
            sentence = (
                f"Which node leads {packet.target if packet.destination else 'the address'} "
                f"isn't in the objects: one of {_few(nodes)}."
            )
            packet = packet.noting(note(Code.AMBIGUOUS_INGRESS_NODE, sentence, do="Give --node."))
        for node, part in self._spread(packet, nodes, facts):
            if part.source.node == node and delivery.loopback != "works":
                yield self._loopback(part, delivery, name)
                continue
            yield from self._to_node(part, node, held, delivery, name)

    def _spread(self, packet: Packet, nodes: list[str], facts: ServiceFacts) -> Iterator[tuple[str, Packet]]:
        """A part of the connections for each node, in a large cluster for each kind of node."""
        known = [self.world.nodes[each] for each in nodes if each in self.world.nodes]
        if len(known) < len(nodes):
            yield from ((each, packet.having(share=packet.share / len(nodes))) for each in nodes)
            return
        for node, alike in classes(known, facts, packet.family):
            part = packet.having(share=packet.share * (1 + len(alike)) / len(nodes))
            if alike:
                sentence = f"{node.name} stands for {len(alike)} more nodes like it."
                part = part.noting(note(Code.ALIKE, sentence))
            yield node.name, part

    def _no_node(self, packet: Packet, facts: ServiceFacts, name: str) -> Iterator[Ending]:
        if not self.world.nodes:
            yield self._unknown(packet, note(Code.UNREAD, "No Nodes were read.", do="Add the Nodes."))
        elif not facts.slices_known:
            yield self._unknown(
                packet,
                note(Code.UNKNOWN_ENDPOINTS, f"Nothing that was read tells the endpoints of {facts.title}."),
            )
        else:
            stopped = packet.step(
                name,
                What.DROP,
                Code.BALANCER_HEALTH_CHECK,
                "no node has a ready endpoint: all fail the health check",
            )
            yield stopped.end(Disposition.UNREACHABLE)

    def _to_node(
        self, packet: Packet, node: str, held: ServicePort, delivery: Delivery, name: str
    ) -> Iterator[Ending]:
        facts = self.world.nodes.get(node)
        if delivery.how == "forward":
            packet = packet.step(
                name, What.FORWARD, delivery.code, delivery.because, to=node, decided_by=delivery.decided_by
            )
            yield from self.enter(packet, node)
            return
        node_port = next(
            (each.frontend.port for each in held.claims if each.kind is FrontendKind.NODE_PORT), None
        )
        internal = facts.internal_of(packet.family) if facts else None
        if node_port is None or internal is None:
            missing = "no node port" if node_port is None else f"{node} has no InternalIP"
            yield self._unknown(
                packet, note(Code.UNKNOWN_BALANCER, f"{name} sends to node ports, and there is {missing}.")
            )
            return
        if delivery.how == "terminate-node":
            packet = self._terminate(packet, delivery, name)
        packet = packet.step(
            name,
            What.DNAT,
            delivery.code,
            delivery.because,
            from_=packet.target if packet.destination else None,
            to=show(internal, node_port),
            decided_by=delivery.decided_by,
        ).having(destination=internal, port=node_port)
        yield from self.enter(packet, node)

    def _terminate(self, packet: Packet, delivery: Delivery, name: str) -> Packet:
        words = delivery.address_note or f"an address of {name}"
        source = Source(delivery.address, SeenAs.BALANCER, name, words, OUTSIDE)
        forwarded = tuple(_filled(each, packet.source) for each in delivery.forwarded)
        stepped = packet.step(
            name,
            What.TERMINATE,
            Code.BALANCER_TERMINATES,
            Code.BALANCER_TERMINATES.meaning,
            from_=packet.source,
            to=source,
            decided_by=delivery.decided_by,
        )
        return stepped.having(source=source, forwarded=(*packet.forwarded, *forwarded), node="")

    def _to_endpoints(
        self, packet: Packet, facts: ServiceFacts, held: ServicePort, delivery: Delivery, name: str
    ) -> Iterator[Ending]:
        known = facts.endpoints(held)
        ready = list(usable(known))
        if not ready:
            stopped = packet.step(
                name, What.REFUSE, Code.NO_ENDPOINTS, f"{facts.title} has no ready endpoint"
            )
            yield stopped.end(Disposition.UNREACHABLE)
            return
        for each in ready:
            part, where = packet.having(share=packet.share / len(ready)), known[each].node
            same = part.source.node == where and bool(where)
            if same and delivery.loopback != "works":
                yield self._loopback(part, delivery, name)
                continue
            if delivery.how == "terminate-endpoint":
                part = self._terminate(part, delivery, name)
            elif delivery.forwarded:
                part = part.having(forwarded=tuple(_filled(f, part.source) for f in delivery.forwarded))
            part = part.step(
                name,
                What.DNAT,
                delivery.code,
                delivery.because,
                to=show(each.ip, each.port),
                decided_by=delivery.decided_by,
            ).having(destination=each.ip, port=each.port)
            yield self.arrive_at_pod(part, where)

    def _loopback(self, packet: Packet, delivery: Delivery, name: str) -> Ending:
        if delivery.loopback == "fails":
            stopped = packet.step(
                name, What.DROP, Code.NO_LOOPBACK, Code.NO_LOOPBACK.meaning, decided_by=delivery.decided_by
            )
            return stopped.end(Disposition.DROPPED)
        return self._unknown(packet, note(Code.UNKNOWN_LOOPBACK, do="From inside, dial the ClusterIP."))

    def by_routing(self, packet: Packet, facts: ServiceFacts) -> Iterator[Ending]:
        """A ClusterIP or an external IP, which somebody's routers lead to the nodes."""
        destination = packet.destination
        field = announced(self.world, destination) if destination is not None else ""
        nodes = (
            [self.only_node]
            if self.only_node
            else [each for each in self.world.nodes if each != packet.source.node]
        )
        if (other := self.of_another_proxy(packet)) is not None:
            yield self._unknown(packet, other)
            return
        if not nodes:
            yield self._unknown(packet, note(Code.UNREAD, "No Nodes were read.", do="Add the Nodes."))
            return
        if not field:
            sentence = f"That {destination} leads to the nodes at all isn't in the objects; it is assumed."
            packet = packet.noting(note(Code.ASSUMES_REACHABLE, sentence))
        if len(nodes) > 1:
            sentence = f"By which node it comes in isn't known: one of {_few(nodes)}."
            packet = packet.noting(note(Code.AMBIGUOUS_INGRESS_NODE, sentence, do="Give --node."))
        for node, part in self._spread(packet, nodes, facts):
            because = (
                f"BGPConfiguration announces it ({field})" if field else "somebody's route leads to this node"
            )
            part = part.step(
                "the network", What.FORWARD, Code.ANNOUNCED_BY_ALL if field else Code.ROUTED, because, to=node
            )
            yield from self.enter(part, node)

    def _port_of(self, facts: ServiceFacts, packet: Packet) -> ServicePort | None:
        for port in facts.ports():
            numbers = [each.frontend.port for each in port.claims if each.kind is FrontendKind.CLUSTER_IP]
            if (port.key.family, port.protocol) == (
                packet.family,
                packet.protocol,
            ) and packet.port in numbers:
                return port
        return None
