"""A packet's journey: from its client, through networks, balancers and nodes, to its endings."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from wellhead.ip import Family, IPAddress, Protocol
from wellhead.paths.alike import classes
from wellhead.paths.client import OUTSIDE, Client
from wellhead.paths.codes import Code
from wellhead.paths.packet import Ending, NodeAddress, Packet, Source, show
from wellhead.paths.parties import k3s
from wellhead.paths.parties.base import Agent, Arrival, Delivery, Network, Rewrite, Verdict, note
from wellhead.paths.parties.calico import announced
from wellhead.paths.parties.found import Parties
from wellhead.paths.pods import HostPort, PodFacts
from wellhead.paths.reading import number, tables, texts
from wellhead.paths.services import Reading, ServiceFacts
from wellhead.paths.way import Decision, Disposition, Forwarded, Note, SeenAs, What
from wellhead.paths.world import World
from wellhead.services.endpointslice import EndpointAddress
from wellhead.services.names import Frontend, FrontendKind, FrontendOfKind
from wellhead.services.service import ServicePort


@dataclass(frozen=True)
class Held:
    """A frontend that a packet's destination is, and whose it is."""

    facts: ServiceFacts
    port: ServicePort
    frontend: FrontendOfKind


class Journeys:
    """Sends packets through one world."""

    def __init__(self, world: World, parties: Parties, only_node: str = "") -> None:
        self.world, self.parties, self.only_node = world, parties, only_node
        self._facts: dict[int, ServiceFacts] = {}

    def facts(self, obj: dict[str, object]) -> ServiceFacts:
        """A Service, read once."""
        if id(obj) not in self._facts:
            self._facts[id(obj)] = ServiceFacts(self.world, obj)
        return self._facts[id(obj)]

    # The beginning

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

    # Between nodes

    def across(self, packet: Packet, facts: ServiceFacts | None = None) -> Iterator[Ending]:
        """Away from the client's node, to something that it doesn't handle itself."""
        destination, here = packet.destination, packet.node
        if destination is None or self._is_balanced_elsewhere(destination):
            target = facts or (self._balanced_here(destination, packet) if destination is not None else None)
            if target is not None:
                yield from self.by_balancer(self._leaving_for_balancer(packet, target), target)
            return
        packet = self.leave(packet, self.world.node_of_address(destination))
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
            packet = self.leave(packet, "")
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

    def _external(self, packet: Packet) -> IPAddress | None:
        node = self.world.nodes.get(packet.source.node)
        return node.external_of(packet.family) if node else None

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

    def leave(self, packet: Packet, _to_node: str) -> Packet:
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

    # Into a node

    def enter(self, packet: Packet, node: str) -> Iterator[Ending]:
        """A packet arrives at a node from somewhere else."""
        facts = self.world.nodes.get(node)
        outside = packet.source.kind == OUTSIDE
        packet = packet.having(node=node, born_here=False, enters=node if outside else packet.enters)
        if (
            facts is not None
            and packet.destination in facts.external
            and packet.destination not in facts.internal
        ):
            internal = facts.internal_of(packet.family)
            if internal is not None:
                packet = (
                    packet.step(
                        "the network",
                        What.DNAT,
                        Code.ROUTED,
                        f"the ExternalIP of {node} stands for its InternalIP",
                        from_=packet.target,
                        to=show(internal, packet.port),
                    )
                    .having(destination=internal)
                    .noting(note(Code.ASSUMES_EXTERNAL_IP_NAT))
                )
        held = self.held(packet)
        if held is not None:
            yield from self.serve(packet, held)
            return
        yield from self.at_node_itself(packet)

    def _own(self, node: str) -> tuple[IPAddress, ...]:
        facts = self.world.nodes.get(node)
        return facts.addresses if facts else ()

    def held(self, packet: Packet) -> Held | None:
        """The frontend that the packet's destination is for the node that it is on."""
        destination = packet.destination
        if destination is None:
            return None
        proxy = self.parties.proxy
        reading = self._reading(packet.node)
        for obj in self.world.services_at(destination):
            wanted = Frontend(packet.family, destination, packet.protocol, packet.port)
            if (found := self._holding(obj, wanted, reading)) is not None:
                return found
        local = destination in self._own(packet.node) or packet.node == self.only_node
        if not local and self.world.node_of_address(destination):
            local = proxy.before_packets(packet) and packet.source.node == packet.node
        if not local:
            return None
        for obj in self.world.services_at_node_port(packet.port):
            wanted = Frontend(packet.family, None, packet.protocol, packet.port)
            found = self._holding(obj, wanted, reading)
            if found is not None and proxy.answers_node_ports_at(packet.node, destination) is None:
                return found
        return None

    def _reading(self, node: str) -> Reading:
        reading = getattr(self.parties.proxy, "reading", None)
        found: Reading = reading(node) if reading is not None else Reading()
        return found

    def _holding(self, obj: dict[str, object], wanted: Frontend, reading: Reading) -> Held | None:
        facts = self.facts(obj)
        for port in facts.ports(reading):
            for each in facts.held(port, reading):
                if each.frontend == wanted:
                    return Held(facts, port, each)
        return None

    # A node's service proxy

    def serve(self, packet: Packet, held: Held) -> Iterator[Ending]:
        """The service proxy of the packet's node decides."""
        proxy = self.parties.proxy
        packet = packet.noting(*proxy.notes, *held.facts.notes)
        arrival = Arrival(packet, packet.node, held.facts, held.port, held.frontend)
        for verdict in proxy.decide(arrival):
            part = packet.having(share=packet.share * verdict.share).noting(*verdict.notes)
            if verdict.action == "forward" and verdict.endpoint is not None:
                yield self.forward(part, held, verdict, verdict.endpoint)
                continue
            what, disposition = {
                "drop": (What.DROP, Disposition.DROPPED),
                "refuse": (What.REFUSE, Disposition.REFUSED),
            }.get(verdict.action, (What.FORWARD, Disposition.UNKNOWN))
            if disposition is Disposition.REFUSED and not held.facts.slices_known:
                sentence = f"Nothing that was read tells the endpoints of {held.facts.title}."
                yield self._unknown(
                    part, note(Code.UNKNOWN_ENDPOINTS, sentence, do="Add its EndpointSlices or Pods.")
                )
                continue
            stopped = part.step(
                proxy.name, what, verdict.code, verdict.because, decided_by=verdict.decided_by
            )
            yield stopped.end(disposition)

    def forward(self, packet: Packet, held: Held, verdict: Verdict, endpoint: EndpointAddress) -> Ending:
        """To one endpoint."""
        proxy, here = self.parties.proxy.name, packet.node
        before = packet.source
        packet = packet.step(
            proxy,
            What.DNAT,
            Code.DESTINATION_NAT,
            f"{packet.target} is {_frontend(held)} of {held.facts.title}",
            from_=packet.target,
            to=show(endpoint.ip, endpoint.port),
        ).having(destination=endpoint.ip, port=endpoint.port)
        where = verdict.endpoint_node or self.world.node_of_address(endpoint.ip)
        if endpoint.ip in self._own(here) and not packet.born_here:
            code = Code.LOCAL_DELIVERY if verdict.masquerade else verdict.code
            because = Code.LOCAL_DELIVERY.meaning if verdict.masquerade else verdict.because
            packet = packet.step(
                "the kernel" if verdict.masquerade else proxy,
                What.FORWARD,
                code,
                because,
                decided_by=verdict.decided_by,
            )
        elif verdict.masquerade:
            taken = verdict.source or self.towards(here, endpoint.ip, where, packet.family)
            packet = packet.rewrite_source(
                proxy, taken.source(here), verdict.code, verdict.because, verdict.decided_by
            )
            packet = packet.noting(*taken.notes)
        else:
            packet = packet.step(
                proxy, What.FORWARD, verdict.code, verdict.because, decided_by=verdict.decided_by
            )
            packet = self._by_network(packet, verdict, where)
        unchanged = packet.source == before
        away = where != here and endpoint.ip not in self._own(here)
        if unchanged and away and before.node != here and not verdict.returns_by_itself:
            code = verdict.code if verdict.code is Code.IPVS_LOCAL_FALLBACK else Code.REMOTE_POD_SHORT_CUT
            lost = packet.step("the reply", What.DROP, code, code.meaning)
            return lost.end(Disposition.DROPPED)
        return self.reach(packet, where)

    def _by_network(self, packet: Packet, verdict: Verdict, where: str) -> Packet:
        """What the node's network and agents do to a packet that the service proxy left alone."""
        if verdict.keep_network:
            return packet
        rewrite = self._rewrite(packet)
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

    # What else a node may have at an address

    def at_node_itself(self, packet: Packet) -> Iterator[Ending]:
        """No Service's frontend: a host port, a pod of the host network, or nobody that is known of."""
        for pod in self.world.pods_on(packet.node):
            for each in pod.host_ports:
                if (each.port, each.protocol) == (packet.port, packet.protocol.value) and each.host_ip in (
                    None,
                    packet.destination,
                ):
                    yield from self.to_host_port(packet, pod, each)
                    return
        name = self._host_network_pod(packet.node, packet)
        if name or self._is_endpoint(packet):
            because = f"pod {name} uses the node's own network" if name else "an endpoint listens there"
            packet = packet.step("the kernel", What.FORWARD, Code.HOST_NETWORK, because)
            yield self.reach(packet, packet.node)
            return
        reason = None
        if packet.destination is not None and self.world.services_at_node_port(packet.port):
            reason = self.parties.proxy.answers_node_ports_at(packet.node, packet.destination)
        if reason is not None:
            refused = packet.step(
                self.parties.proxy.name,
                What.REFUSE,
                reason.code,
                reason.sentence,
                decided_by=reason.decided_by,
            )
            yield refused.end(Disposition.REFUSED)
            return
        sentence = f"{packet.target} on {packet.node} is no Service's, and nothing is known to listen there."
        yield self._unknown(packet, note(Code.NOBODY_LISTENS, sentence))

    def _is_endpoint(self, packet: Packet) -> bool:
        """Whether an EndpointSlice has the packet's destination."""
        wanted = str(packet.destination)
        return any(
            wanted in texts(endpoint, "addresses")
            for each in self.world.all("EndpointSlice")
            if any(number(port, "port") == packet.port for port in tables(each, "ports"))
            for endpoint in tables(each, "endpoints")
        )

    def to_host_port(self, packet: Packet, pod: PodFacts, port: HostPort) -> Iterator[Ending]:
        """A host port leads to a pod."""
        address = next((each for each in pod.addresses if each.version == packet.family), None)
        if address is None:
            yield self._unknown(packet, note(Code.BAD_OBJECT, f"Pod {pod} has a host port and no address."))
            return
        decided = Decision(
            object=f"Pod {pod}", field="spec.containers[].ports[].hostPort", value=str(port.port)
        )
        packet = packet.step(
            "the host port",
            What.DNAT,
            Code.HOST_PORT,
            f"pod {pod} has host port {port.port}",
            from_=packet.target,
            to=show(address, port.pod_port),
            decided_by=decided,
        ).having(destination=address, port=port.pod_port)
        target = k3s.service_of(self.world, pod)
        if target is not None:
            yield from self._through_service_lb(packet, pod, address, target, port)
            return
        if packet.source.address == address:
            taken = self.towards(packet.node, address, pod.node, packet.family)
            packet = packet.rewrite_source(
                "the host port", taken.source(packet.node), Code.HAIRPIN, Code.HAIRPIN.meaning
            )
        else:
            packet = self._by_network(packet, _PLAIN, pod.node)
        yield self.reach(packet, pod.node)

    def _through_service_lb(
        self, packet: Packet, pod: PodFacts, address: IPAddress, target: tuple[str, str], port: HostPort
    ) -> Iterator[Ending]:
        obj = self.world.service(*target)
        facts = self.facts(obj) if obj is not None else None
        number = next(
            (each for each in (facts.port_numbers() if facts else ()) if each[0] == port.port), None
        )
        if facts is None or number is None:
            yield self._unknown(
                packet,
                note(Code.UNKNOWN_TARGET, f"The Service of ServiceLB pod {pod} isn't among the objects."),
            )
            return
        source = Source(address, SeenAs.POD, str(pod), f"the address of ServiceLB pod {pod}", "pod", pod.node)
        packet = packet.rewrite_source(f"ServiceLB pod {pod}", source, Code.SVCLB, Code.SVCLB.meaning).noting(
            note(Code.ASSUMES_PREROUTING_ORDER)
        )
        node = self.world.nodes.get(pod.node)
        wanted = FrontendKind.NODE_PORT if facts.local else FrontendKind.CLUSTER_IP
        for service_port in facts.ports():
            if service_port.key.family is not packet.family:
                continue
            for kind, frontend in facts.held(service_port):
                if (
                    kind is wanted
                    and frontend.protocol is packet.protocol
                    and service_port.key.port == number[2]
                ):
                    to = frontend.address or (node.internal_of(packet.family) if node else None)
                    yield from self.from_inside(
                        packet.having(destination=to, port=frontend.port, born_here=False)
                    )
                    return
        yield self._unknown(packet, note(Code.UNKNOWN_TARGET, f"{facts.title} has no such port."))

    # By balancers, by routers

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
        if delivery.how in ("endpoint", "terminate-endpoint"):
            yield from self._to_endpoints(packet, facts, held, delivery, name)
            return
        nodes = self.eligible(facts, delivery, packet)
        if not nodes:
            yield from self._no_node(packet, facts, name)
            return
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
        ready = [each for each, endpoint in known.items() if endpoint.ready]
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

    def arrive_at_pod(self, packet: Packet, where: str) -> Ending:
        """A packet for a pod's own address arrives at its node from outside."""
        if where:
            packet = packet.having(node=where, born_here=False, enters=where)
            packet = self._by_network(packet, _PLAIN, where)
        return self.reach(packet, where)

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

    def to_pod_from_outside(self, packet: Packet, node: str) -> Iterator[Ending]:
        if not self.parties.network.routes_pods_outside():
            stopped = packet.step(
                "the network", What.DROP, Code.POD_NETWORK_FROM_OUTSIDE, Code.POD_NETWORK_FROM_OUTSIDE.meaning
            )
            yield stopped.end(Disposition.UNREACHABLE)
            return
        yield self.arrive_at_pod(packet.noting(note(Code.ASSUMES_REACHABLE)), node)

    def _port_of(self, facts: ServiceFacts, packet: Packet) -> ServicePort | None:
        for port in facts.ports():
            numbers = [each.frontend.port for each in port.claims if each.kind is FrontendKind.CLUSTER_IP]
            if (port.key.family, port.protocol) == (
                packet.family,
                packet.protocol,
            ) and packet.port in numbers:
                return port
        return None

    def _unknown(self, packet: Packet, *notes: Note) -> Ending:
        return packet.noting(*notes).end(Disposition.UNKNOWN)


_PLAIN = Verdict(1.0, "forward", Code.NETWORK_KEEPS, "")


def _filled(forwarded: Forwarded, source: Source) -> Forwarded:
    return Forwarded(
        by=forwarded.by,
        form=forwarded.form,
        address=str(source.address) if source.address is not None else None,
        seen_as=source.seen_as,
        sentence=forwarded.sentence or source.note,
    )


def _frontend(held: Held) -> str:
    return {
        FrontendKind.CLUSTER_IP: "the ClusterIP",
        FrontendKind.EXTERNAL_IP: "an external IP",
        FrontendKind.LOAD_BALANCER_IP: "a load-balancer IP",
        FrontendKind.NODE_PORT: "the node port",
    }[held.frontend.kind]


def _few(names: list[str]) -> str:
    shown = ", ".join(names[:4])
    return shown if len(names) <= 4 else f"{shown} and {len(names) - 4} more"
