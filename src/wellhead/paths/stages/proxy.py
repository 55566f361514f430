"""A node's service proxy: whose frontend a destination is, and what becomes of the connection."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from wellhead.paths.codes import Code
from wellhead.paths.packet import Ending, Packet, show
from wellhead.paths.parties.base import Arrival, Verdict, note
from wellhead.paths.reading import text
from wellhead.paths.services import Reading, ServiceFacts
from wellhead.paths.stages.postrouting import Postrouting
from wellhead.paths.way import Decision, Disposition, Note, What
from wellhead.services.endpointslice import EndpointAddress
from wellhead.services.names import Frontend, FrontendKind, FrontendOfKind
from wellhead.services.service import PROXY_NAME_LABEL, ServicePort


@dataclass(frozen=True)
class Held:
    """A frontend that a packet's destination is, and whose it is."""

    facts: ServiceFacts
    port: ServicePort
    frontend: FrontendOfKind


FIELDS = {
    FrontendKind.CLUSTER_IP: "spec.clusterIP",
    FrontendKind.EXTERNAL_IP: "spec.externalIPs",
    FrontendKind.LOAD_BALANCER_IP: "status.loadBalancer.ingress[].ip",
    FrontendKind.NODE_PORT: "spec.ports[].nodePort",
}


def _frontend(held: Held) -> str:
    return {
        FrontendKind.CLUSTER_IP: "the ClusterIP",
        FrontendKind.EXTERNAL_IP: "an external IP",
        FrontendKind.LOAD_BALANCER_IP: "a load-balancer IP",
        FrontendKind.NODE_PORT: "the node port",
    }[held.frontend.kind]


class ProxyStage(Postrouting):
    """At a node's service proxy."""

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

    def of_another_proxy(self, packet: Packet) -> Note | None:
        """Whether the destination is a Service's that this service proxy leaves to another one."""
        found = list(self.world.services_at(packet.destination)) if packet.destination is not None else []
        if packet.destination in self._own(packet.node):
            found += self.world.services_at_node_port(packet.port)
        for obj in found:
            if name := text(obj, "metadata", "labels", PROXY_NAME_LABEL):
                facts = self.facts(obj)
                decided = facts.decision(f"metadata.labels[{PROXY_NAME_LABEL}]", name)
                return note(Code.NOT_FOR_THIS_PROXY, f"{facts.title} is left to the proxy {name}.", decided)
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
            decided_by=Decision(object=held.facts.title, field=FIELDS[held.frontend.kind]),
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
