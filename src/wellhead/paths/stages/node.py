"""A node that a packet arrives at: its service proxy, host ports, pods on its own network."""

from __future__ import annotations

from collections.abc import Iterator

from wellhead.ip import IPAddress
from wellhead.paths.client import OUTSIDE
from wellhead.paths.codes import Code
from wellhead.paths.packet import Ending, Packet, Source, show
from wellhead.paths.parties import k3s
from wellhead.paths.parties.base import note
from wellhead.paths.pods import HostPort, PodFacts
from wellhead.paths.reading import number, tables, texts
from wellhead.paths.stages.postrouting import PLAIN
from wellhead.paths.stages.proxy import ProxyStage
from wellhead.paths.way import Decision, Disposition, SeenAs, What
from wellhead.services.names import FrontendKind


class NodeStage(ProxyStage):
    """At a node."""

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
        if (other := self.of_another_proxy(packet)) is not None:
            yield self._unknown(packet, other)
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
            packet = self._by_network(packet, PLAIN, pod.node)
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
