"""What a client may dial: every address of a Service, of a pod, or one that was named."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

from wellhead.ip import Family, IPAddress, Protocol, family_of, parse_address
from wellhead.paths.alike import classes
from wellhead.paths.pods import PodFacts
from wellhead.paths.routes import RouteTo, routes_to
from wellhead.paths.services import ServiceFacts, is_unallocated
from wellhead.paths.world import World
from wellhead.services.names import FrontendKind
from wellhead.services.service import ServicePort


class UnknownTarget(ValueError):
    """There is no such target; the message says what was looked for, and what there is."""


@dataclass(frozen=True)
class Dial:
    """One thing to dial."""

    frontend: str
    """ClusterIP, NodePort, ExternalIP, LoadBalancerIP, Hostname, Ingress, PodIP, HostPort, NodeIP,
    Address."""
    address: IPAddress | None
    shown: str
    port: int
    protocol: Protocol
    family: Family
    facts: ServiceFacts | None = None
    node: str = ""
    """Whose address it is."""
    pod: PodFacts | None = None
    route: RouteTo | None = None
    alike: tuple[str, ...] = ()


@dataclass(frozen=True)
class Target:
    """What is explained."""

    title: str
    dials: tuple[Dial, ...]
    facts: ServiceFacts | None = None
    pod: PodFacts | None = None


def find_target(world: World, text: str, namespace: str, port: int | None) -> Target:
    """Read TARGET. Raises UnknownTarget."""
    kind, slash, name = text.partition("/")
    if slash and kind in ("pod", "pods", "po"):
        return _pod_target(world, name, namespace, port)
    if slash and kind not in ("svc", "service", "services"):
        raise UnknownTarget(f"{text!r}: say svc/NAME, pod/NAME or ADDRESS[:PORT]")
    if not slash and (found := _address_and_port(text)) is not None:
        address, number = found
        return _address_target(world, text, address, number or port)
    return _service_target(world, name if slash else text, namespace, port)


def _service_target(world: World, name: str, namespace: str, port: int | None) -> Target:
    space, has_space, short = name.rpartition("/")
    obj = world.service(space if has_space else namespace or "default", short)
    if obj is None and not namespace and not has_space:
        same = [each for each in world.entries("Service") if each.name == short]
        if len(same) > 1:
            spaces = ", ".join(sorted(each.namespace for each in same))
            raise UnknownTarget(f"there are Services {short!r} in the namespaces {spaces}: say which with -n")
        obj = same[0].obj if same else None
    if obj is None:
        known = [f"{each.namespace}/{each.name}" for each in world.entries("Service")][:8]
        where = f" in namespace {namespace!r}" if namespace else ""
        raise UnknownTarget(f"there is no Service {short!r}{where}; there are {', '.join(known) or 'none'}")
    facts = ServiceFacts(world, obj)
    dials = tuple(service_dials(world, facts, port))
    return Target(f"svc/{facts.name} -n {facts.namespace}", dials, facts)


def service_dials(world: World, facts: ServiceFacts, only: int | None = None) -> Iterator[Dial]:
    """Every address of a Service: first those that clients outside use."""
    routes = tuple(routes_to(world, facts))
    for port in facts.ports():
        family, number = port.key.family, port_number(port)
        node_port = next((f.port for kind, f in port.claims if kind is FrontendKind.NODE_PORT), None)
        if only is not None and only not in (number, node_port):
            continue

        dial = partial(_dial, facts, port, number)
        if facts.type == "LoadBalancer":
            for each in facts.balancer_addresses:
                if each.ip is not None and each.ip.version == family:
                    yield dial("LoadBalancerIP", each.ip, node=world.node_of_address(each.ip))
                elif each.ip is None and each.hostname and family is facts.ports()[0].key.family:
                    yield dial("Hostname", None, each.hostname)
        for route in routes:
            if family is facts.ports()[0].key.family and route.fits(number, port.key.port):
                yield Dial(
                    "Ingress",
                    route.address,
                    route.shown,
                    route.port,
                    Protocol.TCP,
                    family,
                    facts,
                    route=route,
                )
        for kind, frontend in port.claims:
            if kind is FrontendKind.EXTERNAL_IP:
                yield dial("ExternalIP", frontend.address, node=world.node_of_address(frontend.address))
        if node_port is not None:
            for node, alike in classes(world.nodes.values(), facts, family):
                for address in node.addresses:
                    if address.version == family:
                        others = tuple(f"{a}" for n in alike for a in n.addresses if a.version == family)
                        yield _dial(facts, port, node_port, "NodePort", address, node=node.name, alike=others)
        for kind, frontend in port.claims:
            if kind is FrontendKind.CLUSTER_IP:
                shown = "<ClusterIP>" if is_unallocated(frontend.address) else ""
                yield dial("ClusterIP", frontend.address, shown)
        if facts.type == "LoadBalancer" and not facts.balancer_addresses:
            yield dial("LoadBalancerIP", None, "<pending>")
    if facts.type == "ExternalName":
        alias = str(facts.spec.get("externalName") or "?")
        yield Dial("ExternalName", None, alias, only or 80, Protocol.TCP, Family.IPV4, facts)
    elif facts.headless:
        yield from _endpoint_dials(world, facts)


def _endpoint_dials(world: World, facts: ServiceFacts) -> Iterator[Dial]:
    """A headless Service's names lead to its pods."""
    for each in facts.endpoint_slices:
        for endpoint in each.get("endpoints") or []:
            for text in (endpoint.get("addresses") or [])[:1]:
                address = parse_address(str(text))
                for port in each.get("ports") or []:
                    number = port.get("port")
                    if address is not None and isinstance(number, int):
                        protocol = Protocol(port.get("protocol") or "TCP")
                        pod = world.pod_of_address(address)
                        yield Dial(
                            "PodIP",
                            address,
                            str(address),
                            number,
                            protocol,
                            family_of(address),
                            None,
                            pod=pod,
                        )


def _dial(
    facts: ServiceFacts,
    port: ServicePort,
    number: int,
    frontend: str,
    address: IPAddress | None,
    shown: str = "",
    *,
    node: str = "",
    alike: tuple[str, ...] = (),
) -> Dial:
    words = shown or str(address)
    return Dial(frontend, address, words, number, port.protocol, port.key.family, facts, node, alike=alike)


def port_number(port: ServicePort) -> int:
    """The Service's own number for a port."""
    return next(frontend.port for kind, frontend in port.claims if kind is FrontendKind.CLUSTER_IP)


def _pod_target(world: World, name: str, namespace: str, port: int | None) -> Target:
    space, has_space, short = name.rpartition("/")
    pod = world.pod(space if has_space else namespace, short)
    if pod is None:
        known = [f"{each.namespace}/{each.name}" for each in world.entries("Pod")][:8]
        raise UnknownTarget(f"there is no Pod {short!r}; there are {', '.join(known) or 'none'}")
    dials: list[Dial] = []
    for entry in world.entries("Service"):
        if entry.namespace == pod.namespace:
            facts = ServiceFacts(world, entry.obj)
            if any(str(address) in str(facts.endpoint_slices) for address in pod.addresses):
                dials += [each for each in service_dials(world, facts) if port in (None, each.port)]
    for address in pod.addresses:
        for number, protocol in pod.ports or ((port or 80, "TCP"),):
            if port in (None, number):
                kind = "NodeIP" if pod.host_network else "PodIP"
                dials.append(
                    Dial(
                        kind,
                        address,
                        str(address),
                        number,
                        Protocol(protocol),
                        family_of(address),
                        node=pod.node,
                        pod=pod,
                    )
                )
    node = world.nodes.get(pod.node)
    for each in pod.host_ports:
        for host_address in node.addresses if node else ():
            if each.host_ip in (None, host_address) and port in (None, each.port, each.pod_port):
                family = family_of(host_address)
                dials.append(
                    Dial(
                        "HostPort",
                        host_address,
                        str(host_address),
                        each.port,
                        Protocol(each.protocol),
                        family,
                        node=pod.node,
                        pod=pod,
                    )
                )
    return Target(f"pod/{pod.name} -n {pod.namespace}", tuple(dials), pod=pod)


def _address_and_port(text: str) -> tuple[IPAddress, int | None] | None:
    host, port = text, ""
    if text.startswith("["):
        host, _, port = text[1:].partition("]")
        port = port.removeprefix(":")
    elif text.count(":") == 1:
        host, _, port = text.partition(":")
    address = parse_address(host)
    if address is None or (port and not (port.isascii() and port.isdigit() and 0 < int(port) < 65536)):
        return None
    return address, int(port) if port else None


def _address_target(world: World, text: str, address: IPAddress, port: int | None) -> Target:
    family = family_of(address)
    dials: list[Dial] = []
    claims = [ServiceFacts(world, each) for each in world.services_at(address)]
    for facts in claims:
        dials += [
            each
            for each in service_dials(world, facts)
            if each.address == address and port in (None, each.port)
        ]
    node = world.node_of_address(address)
    if node and not any(each.frontend == "LoadBalancerIP" or each.port == port for each in dials):
        dials += _node_dials(world, address, node, port)
    pod = world.pod_of_address(address)
    if pod is not None:
        dials += [
            Dial("PodIP", address, str(address), number, Protocol(protocol), family, pod=pod)
            for number, protocol in (pod.ports or ((port or 80, "TCP"),))
            if port in (None, number)
        ]
    if not dials:
        kind = "NodeIP" if node else "PodIP" if pod else "Address"
        dials = [
            Dial(
                kind,
                address,
                str(address),
                port or 80,
                Protocol.TCP,
                family,
                claims[0] if claims else None,
                node=node,
                pod=pod,
            )
        ]
    facts_found = next((each.facts for each in dials if each.facts is not None), None)
    return Target(text, tuple(dials), facts_found, pod)


def _node_dials(world: World, address: IPAddress, node: str, port: int | None) -> list[Dial]:
    family, found = family_of(address), []
    services = world.services_with_node_ports() if port is None else world.services_at_node_port(port)
    for obj in services:
        facts = ServiceFacts(world, obj)
        for each in facts.ports():
            numbers = [frontend.port for kind, frontend in each.claims if kind is FrontendKind.NODE_PORT]
            if each.key.family is family and numbers and port in (None, *numbers):
                found.append(_dial(facts, each, numbers[0], "NodePort", address, node=node))
    for pod in world.pods_on(node):
        found += [
            Dial(
                "HostPort",
                address,
                str(address),
                each.port,
                Protocol(each.protocol),
                family,
                node=node,
                pod=pod,
            )
            for each in pod.host_ports
            if port in (None, each.port) and each.host_ip in (None, address)
        ]
        if pod.host_network:
            found += [
                Dial("NodeIP", address, str(address), number, Protocol(protocol), family, node=node, pod=pod)
                for number, protocol in pod.ports
                if port in (None, number)
            ]
    return found
