"""Ways through an ingress controller or a gateway: two connections, each with a source of its own."""

from __future__ import annotations

from collections.abc import Iterator

from wellhead.ip import Family, IPAddress, Protocol
from wellhead.paths.client import Client
from wellhead.paths.codes import Code
from wellhead.paths.journey import Journeys
from wellhead.paths.packet import Ending, Packet, Source, show
from wellhead.paths.parties import (
    cloud_http,
    envoy_gateway,
    haproxy_ingress,
    ingress_nginx,
    kong,
    nginx_inc,
    traefik,
)
from wellhead.paths.parties.base import Party, note
from wellhead.paths.parties.controller import Controller, ControllerSpec, Headers, UnknownController
from wellhead.paths.parties.found import Parties
from wellhead.paths.reading import is_true, table, text
from wellhead.paths.routes import RouteTo
from wellhead.paths.services import ServiceFacts
from wellhead.paths.targets import Dial, port_number
from wellhead.paths.way import Decision, Disposition, Forwarded, Note, SeenAs, What
from wellhead.paths.world import World
from wellhead.services.names import FrontendKind
from wellhead.services.service import ServicePort
from wellhead.services.traffic import usable

SPECS: tuple[ControllerSpec, ...] = (
    ingress_nginx.SPEC,
    traefik.SPEC,
    haproxy_ingress.SPEC,
    envoy_gateway.SPEC,
    envoy_gateway.CONTOUR,
    envoy_gateway.ISTIO,
    envoy_gateway.EMISSARY,
    nginx_inc.SPEC,
    kong.SPEC,
)
_GATEWAY_LABELS = ("gateway.networking.k8s.io/gateway-name", "gateway.envoyproxy.io/owning-gateway-name")


class Controllers:
    """What stands between clients and a Service, found by the routes that name it."""

    def __init__(self, world: World, parties: Parties, journeys: Journeys) -> None:
        self.world, self.parties, self.journeys = world, parties, journeys
        self._seen: dict[str, Party] = {}

    def seen(self) -> list[Party]:
        return list(self._seen.values())

    def spec(self, route: RouteTo) -> ControllerSpec | None:
        """The controller that reads a route."""
        for each in SPECS:
            if route.controller and route.controller in each.ids:
                return each
        if not route.controller:
            for each in SPECS:
                if route.class_name in each.classes:
                    return each
        return None

    def service(
        self, spec: ControllerSpec | None, route: RouteTo, facts: ServiceFacts
    ) -> ServiceFacts | None:
        """The controller's own Service: the gateway's, or the one with the route's address, or by its pods,
        its name."""
        for obj in self.world.all("Service"):
            labels = table(obj, "metadata", "labels")
            gateway = route.gateway.partition("/")[2]
            if gateway and any(labels.get(each) == gateway for each in _GATEWAY_LABELS):
                return self.journeys.facts(obj)
        if route.address is not None and not self.world.node_of_address(route.address):
            for obj in self.world.services_at(route.address):
                if str(found := self.journeys.facts(obj)) != str(facts):
                    return found
        wanted = set(route.addresses)
        for obj in self.world.all("Service"):
            found = self.journeys.facts(obj)
            if wanted & {each.hostname for each in found.balancer_addresses if each.hostname}:
                return found
        if spec is None:
            return None
        pods = [table(each, "metadata", "labels") for each in self.world.pods_running(*spec.images)]
        candidates = []
        for obj in self.world.all("Service"):
            selector = table(obj, "spec", "selector")
            if selector and any(selector.items() <= labels.items() for labels in pods):
                candidates.append(self.journeys.facts(obj))
        candidates += [
            self.journeys.facts(o)
            for n in spec.services
            if (o := self.world.get("Service", "", n)) is not None
        ]
        candidates = [each for each in candidates if str(each) != str(facts)]
        outward = [each for each in candidates if each.type in ("LoadBalancer", "NodePort")]
        return next(iter(outward or candidates), None)

    def through(self, client: Client, dial: Dial, facts: ServiceFacts, route: RouteTo) -> list[Ending]:
        """What becomes of a client's request by a route."""
        cloud = cloud_http.cloud_http(route)
        if cloud is not None:
            self._seen.setdefault(cloud.name, _named(cloud.name, route))
            return self._by_cloud(client, dial, facts, route, cloud)
        spec = self.spec(route)
        controller = self.service(spec, route, facts)
        name = (
            spec.name
            if spec is not None
            else (route.controller or route.class_name or "an ingress controller")
        )
        if spec is None:
            self._seen.setdefault(name, UnknownController(name))
        else:
            self._seen.setdefault(name, Controller(spec, route.title))
        first = self._to_controller(client, dial, route, controller, spec)
        if not first:
            packet = self._packet(client, dial)
            sentence = f"{route.title} is served by {name}, whose Service isn't among the objects."
            unknown = note(
                Code.UNKNOWN_CONTROLLER, sentence, do="Add the controller's Service, EndpointSlices and Pods."
            )
            return [packet.noting(unknown).end(Disposition.UNKNOWN)]
        headers = spec.headers(self.world) if spec is not None else Headers()
        return [
            last for each in first for last in self._second(each, dial, facts, route, name, spec, headers)
        ]

    def _packet(self, client: Client, dial: Dial) -> Packet:
        packet = Packet(
            client.source(dial.family), dial.address, dial.port, dial.protocol, dial.family, client.node
        )
        return packet.step(
            client.text,
            What.SEND,
            Code.SENT,
            f"the client dials {dial.route.url if dial.route else dial.shown}",
            from_=packet.source,
            to=dial.shown,
        )

    def _to_controller(
        self,
        client: Client,
        dial: Dial,
        route: RouteTo,
        controller: ServiceFacts | None,
        spec: ControllerSpec | None,
    ) -> list[Ending]:
        """The first connection."""
        if controller is None:
            if route.address is not None and self.world.node_of_address(route.address):
                return self.journeys.send(client, route.address, route.port, Protocol.TCP, dial.family)
            return self._on_host_network(client, dial, route, spec)
        address = route.address
        if address is None or not self._claims(controller, address):
            address = next(
                (
                    each.ip
                    for each in controller.balancer_addresses
                    if each.ip is not None and each.ip.version == dial.family
                ),
                address,
            )
        if address is not None or controller.balancer_addresses:
            return self.journeys.send(client, address, route.port, Protocol.TCP, dial.family, controller)
        return self._by_node_port(client, dial, route, controller)

    def _claims(self, controller: ServiceFacts, address: IPAddress) -> bool:
        return any(each.ip == address for each in controller.balancer_addresses) or bool(
            self.world.node_of_address(address)
        )

    def _on_host_network(
        self, client: Client, dial: Dial, route: RouteTo, spec: ControllerSpec | None
    ) -> list[Ending]:
        """Controllers that listen on their nodes' own addresses, or by host ports."""
        pods = self.world.pods_running(*spec.images) if spec is not None else []
        nodes = [text(each, "spec", "nodeName") for each in pods]
        found = [self.world.nodes[each] for each in dict.fromkeys(nodes) if each in self.world.nodes]
        addresses = [each.internal_of(dial.family) for each in found]
        return self._split(client, [each for each in addresses if each is not None], route.port, dial.family)

    def _by_node_port(
        self, client: Client, dial: Dial, route: RouteTo, controller: ServiceFacts
    ) -> list[Ending]:
        """No load balancer: clients dial the controller's node port."""
        for port in controller.ports():
            numbers = {kind: frontend.port for kind, frontend in port.claims}
            if port.key.family is not dial.family or numbers.get(FrontendKind.CLUSTER_IP) != route.port:
                continue
            if (node_port := numbers.get(FrontendKind.NODE_PORT)) is not None:
                nodes = [each.internal_of(dial.family) for each in self.world.nodes.values()]
                return self._split(
                    client, [each for each in nodes if each is not None], node_port, dial.family
                )
        return []

    def _split(self, client: Client, addresses: list[IPAddress], port: int, family: Family) -> list[Ending]:
        """One of several addresses that nothing tells apart."""
        endings = []
        for address in addresses:
            for each in self.journeys.send(client, address, port, Protocol.TCP, family):
                part = each.packet.having(share=each.packet.share / len(addresses))
                endings.append(
                    Ending(part, each.disposition, each.endpoint_node, each.endpoint_pod, each.extra)
                )
        return endings

    def _second(
        self,
        first: Ending,
        dial: Dial,
        facts: ServiceFacts,
        route: RouteTo,
        name: str,
        spec: ControllerSpec | None,
        headers: Headers,
    ) -> Iterator[Ending]:
        """The controller's own connection, for one ending of the first."""
        if first.disposition is not Disposition.DELIVERED:
            yield first
            return
        before = first.packet
        node, pod = first.endpoint_node, first.endpoint_pod
        on_host = bool(self.world.node_of_address(before.destination))
        kind = "node" if on_host else "pod"
        words = (
            f"the address of {name}'s pod {pod}".rstrip()
            if not on_host
            else f"an address of {node}, where {name} runs"
        )
        seen_as = SeenAs.NODE if on_host else SeenAs.POD
        source = Source(before.destination, seen_as, node if on_host else pod or name, words, kind, node)
        forwarded = (
            ()
            if dial.protocol is not Protocol.TCP
            else tuple(self._header(before, form, headers, name) for form in headers.forms)
        )
        packet = (
            before.having(node=node, enters=before.enters)
            .step(
                pod or name,
                What.TERMINATE,
                Code.PROXY_IN_BETWEEN,
                f"{name} ends the connection that {before.source} made, and opens its own",
                from_=before.source,
                to=source,
                decided_by=Decision(object=route.title, field="spec.rules[].backend", value=facts.name),
            )
            .having(source=source, born_here=on_host, forwarded=forwarded)
            .noting(*first.extra, *self._assumed(name, headers, spec, route, facts))
        )
        wanted = next(
            (
                each
                for each in facts.ports()
                if each.key.family is dial.family and port_number(each) == dial_port(dial, route, each)
            ),
            None,
        )
        wanted = wanted or next((each for each in facts.ports() if each.key.family is dial.family), None)
        if wanted is None:
            yield packet.noting(note(Code.UNKNOWN_TARGET, f"{facts.title} has no port for this.")).end(
                Disposition.UNKNOWN
            )
            return
        if self._dials_cluster_ip(spec, route, facts):
            for frontend_kind, frontend in wanted.claims:
                if frontend_kind is FrontendKind.CLUSTER_IP:
                    yield from self.journeys.from_inside(
                        packet.having(destination=frontend.address, port=frontend.port)
                    )
            return
        known = facts.endpoints(wanted)
        ready = list(usable(known))
        if not ready:
            refused = packet.step(
                name,
                What.REFUSE,
                Code.NO_ENDPOINTS,
                f"{facts.title} has no ready endpoint: {name} answers 503 itself",
            )
            yield refused.end(Disposition.ANSWERED)
            return
        for each in ready:
            where = known[each].node
            part = packet.having(share=packet.share / len(ready), destination=each.ip, port=each.port)
            part = part.step(
                name,
                What.FORWARD,
                Code.ROUTED,
                f"to endpoint {show(each.ip, each.port)} directly",
                to=part.target,
            )
            if on_host:
                taken = self.journeys.towards(node, each.ip, where, dial.family)
                part = part.having(
                    source=Source(taken.address, SeenAs.NODE, node, words, "node", node)
                ).noting(*taken.notes)
            elif where != node or each.ip not in (before.destination,):
                part = self.journeys.leave(part)
            yield self.journeys.reach(part, where)

    def _dials_cluster_ip(self, spec: ControllerSpec | None, route: RouteTo, facts: ServiceFacts) -> bool:
        name = spec.cluster_ip_annotation if spec is not None else ""
        return bool(name) and (is_true(route.annotation(name)) or is_true(facts.annotations.get(name, "")))

    def _assumed(
        self, name: str, headers: Headers, spec: ControllerSpec | None, route: RouteTo, facts: ServiceFacts
    ) -> tuple[Note, ...]:
        if spec is None:
            return (
                note(
                    Code.UNKNOWN_CONTROLLER,
                    f"{name} isn't known here; it is taken to dial endpoints from its own pods.",
                ),
            )
        if self._dials_cluster_ip(spec, route, facts):
            return ()
        return (
            note(Code.ASSUMES_ENDPOINTS_DIRECT, f"{name} is assumed to dial endpoints, not the ClusterIP."),
        )

    def _header(self, before: Packet, form: str, headers: Headers, name: str) -> Forwarded:
        """What the header will hold: the controller's peer, or what it was told by one whom it believes."""
        told = next(
            (
                each
                for each in before.forwarded
                if each.form.startswith("PROXY") and headers.expects_proxy_protocol
            ),
            None,
        )
        told = told or next(
            (
                each
                for each in before.forwarded
                if not each.form.startswith("PROXY") and headers.trusts_forwarded
            ),
            None,
        )
        if told is not None:
            return Forwarded(
                by=name,
                form=form,
                address=told.address,
                seen_as=told.seen_as,
                sentence=f"what {told.by} told by {told.form}",
            )
        source = before.source
        seen_as = source.seen_as
        sentence = {
            SeenAs.CLIENT: "the client's own address",
            SeenAs.NODE: f"an address of {source.owner}: the client was masqueraded before {name}",
        }.get(seen_as, source.note)
        if headers.trusts_forwarded:
            sentence += "; what a client claims in the header itself is passed on"
        return Forwarded(
            by=name,
            form=form,
            address=str(source.address) if source.address is not None else None,
            seen_as=seen_as,
            sentence=sentence,
        )

    def _by_cloud(
        self, client: Client, dial: Dial, facts: ServiceFacts, route: RouteTo, cloud: cloud_http.CloudHttp
    ) -> list[Ending]:
        wanted = next(
            (
                each
                for each in facts.ports()
                if each.key.family is dial.family and port_number(each) == dial_port(dial, route, each)
            ),
            None,
        )
        packet = self._packet(client, dial)
        if wanted is None:
            return [
                packet.noting(note(Code.UNKNOWN_TARGET, f"{facts.title} has no port for this.")).end(
                    Disposition.UNKNOWN
                )
            ]
        packet = packet.having(port=port_number(wanted), node="", born_here=False)
        found = cloud_http.delivery(cloud, facts, route)
        return list(self.journeys.deliver(packet, facts, found, cloud.name))


def dial_port(dial: Dial, route: RouteTo, port: ServicePort) -> int:
    """The Service port that a route leads to."""
    key = port.key
    if route.backend_port_name:
        return port_number(port) if key.port == route.backend_port_name else -1
    return route.backend_port if route.backend_port is not None else port_number(port)


def _named(name: str, route: RouteTo) -> Party:
    found = Party(name, route.title)
    found.role = "balancer"
    return found
