"""What a person names, as an address to dial: a Service, a pod, an address. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from wellhead.api.meta import Obj
from wellhead.ip import Family, IPAddress, bracketed, family_of, parse_address
from wellhead.trace.request import How

_HTTP_PORTS = (80, 8000, 8008, 8080)


class Unclear(ValueError):
    """What was named isn't there, or isn't one thing; the message says what there is."""


class Frontend(StrEnum):
    """The kinds of address of a Service."""

    CLUSTER_IP = "cluster-ip"
    NODE_PORT = "node-port"
    LOAD_BALANCER = "load-balancer"
    EXTERNAL_IP = "external-ip"


SHOWN = {
    Frontend.CLUSTER_IP: "ClusterIP",
    Frontend.NODE_PORT: "NodePort",
    Frontend.LOAD_BALANCER: "LoadBalancerIP",
    Frontend.EXTERNAL_IP: "ExternalIP",
}


@dataclass(frozen=True)
class Objects:
    """What was read of the cluster."""

    pods: Sequence[Obj] = ()
    nodes: Sequence[Obj] = ()
    services: Sequence[Obj] = ()


@dataclass(frozen=True)
class Target:
    """What to dial, and how."""

    address: IPAddress
    port: int
    protocol: str = "TCP"
    how: How = How.TCP
    host: str = ""
    """For the HTTP header Host."""
    frontend: str = ""
    service: str = ""
    is_terminated: bool = False
    """Whether a load balancer ends the connection, and opens its own."""


@dataclass(frozen=True)
class Wanted:
    """What a person said."""

    to: str
    namespace: str = "default"
    from_outside: bool = True
    """Whether the client is outside of the cluster: which of the addresses it takes by default."""
    family: Family | None = None
    frontend: Frontend | None = None
    via: str = ""
    """The node whose address is dialled."""
    how: How | None = None


@dataclass(frozen=True)
class _Named:
    kind: str
    namespace: str
    name: str
    port: str


_NAMED = re.compile(r"(?P<kind>svc|service|services|pod|po|pods)/(?P<rest>[^:]+)(?::(?P<port>[\w-]+))?$")
_IPV6 = re.compile(r"\[([0-9A-Fa-f:.]+)\](?::(\d+))?$")


def find(wanted: Wanted, objects: Objects) -> Target:
    """Raises Unclear."""
    if match := _NAMED.match(wanted.to):
        namespace, _, name = match["rest"].rpartition("/")
        named = _Named(match["kind"], namespace or wanted.namespace, name, match["port"] or "")
        return (
            _pod(named, wanted, objects) if named.kind.startswith("po") else _service(named, wanted, objects)
        )
    return _address(wanted, objects)


def _address(wanted: Wanted, objects: Objects) -> Target:
    match = _IPV6.match(wanted.to)
    text, port = (match[1], match[2] or "") if match else _host_and_port(wanted.to)
    address = parse_address(text)
    if address is None:
        raise Unclear(f"{wanted.to!r} is no address, and no svc/NAME or pod/NAME")
    if not port:
        raise Unclear(f"which port of {text}? Write {bracketed(address)}:PORT")
    number = int(port)
    for service in objects.services:
        if (found := _frontend_of(service, address, number, objects.nodes)) is not None:
            frontend, entry = found
            return _target(service, entry, address, number, frontend, wanted)
    return Target(
        address, number, "UDP" if wanted.how is How.UDP else "TCP", wanted.how or _how("TCP", number)
    )


def _frontend_of(
    service: Obj, address: IPAddress, port: int, nodes: Iterable[Obj]
) -> tuple[Frontend, Obj] | None:
    spec = service["spec"]
    for entry in spec.get("ports") or ():
        for frontend in (Frontend.CLUSTER_IP, Frontend.LOAD_BALANCER, Frontend.EXTERNAL_IP):
            if entry["port"] == port and address in _addresses(service, frontend):
                return frontend, entry
        if entry.get("nodePort") == port and any(address in _node_addresses(node) for node in nodes):
            return Frontend.NODE_PORT, entry
    return None


def _service(named: _Named, wanted: Wanted, objects: Objects) -> Target:
    service = _of_name(objects.services, named, "Service")
    entry = _port(service, named)
    frontend = wanted.frontend or (Frontend.NODE_PORT if wanted.via else _default_frontend(service, wanted))
    if frontend is Frontend.NODE_PORT:
        if not entry.get("nodePort"):
            raise Unclear(
                f"Service {named.namespace}/{named.name} has no node port: its type is {_type(service)}"
            )
        node = _node(objects.nodes, wanted.via)
        families = service["spec"].get("ipFamilies") or ["IPv4", "IPv6"]
        addresses = [
            each
            for each in _node_addresses(node, outside=wanted.from_outside)
            if f"IPv{each.version}" in families
        ]
        port = entry["nodePort"]
    else:
        addresses, port = _addresses(service, frontend), entry["port"]
    if not addresses:
        raise Unclear(
            f"Service {named.namespace}/{named.name} has no {SHOWN[frontend]}: its type is {_type(service)}"
        )
    address = _of_family(addresses, wanted.family, f"Service {named.namespace}/{named.name}")
    return _target(service, entry, address, port, frontend, wanted)


def _target(
    service: Obj, entry: Obj, address: IPAddress, port: int, frontend: Frontend, wanted: Wanted
) -> Target:
    protocol = entry.get("protocol") or "TCP"
    metadata = service["metadata"]
    is_http = "http" in (entry.get("appProtocol") or entry.get("name") or "").lower()
    how = wanted.how or (How.HTTP if is_http and protocol == "TCP" else _how(protocol, entry["port"]))
    ingress = ((service.get("status") or {}).get("loadBalancer") or {}).get("ingress") or ()
    terminated = any(
        parse_address(each.get("ip", "")) == address and each.get("ipMode") == "Proxy" for each in ingress
    )
    return Target(
        address,
        port,
        protocol,
        how,
        metadata["name"],
        SHOWN[frontend],
        f"{metadata['namespace']}/{metadata['name']}",
        terminated,
    )


def _pod(named: _Named, wanted: Wanted, objects: Objects) -> Target:
    pod = _of_name(objects.pods, named, "Pod")
    ports = [port for container in pod["spec"]["containers"] for port in container.get("ports") or ()]
    chosen = [port for port in ports if named.port in (port.get("name"), str(port["containerPort"]))]
    if named.port.isascii() and named.port.isdigit():
        number, protocol = int(named.port), chosen[0].get("protocol", "TCP") if chosen else "TCP"
    elif chosen or (not named.port and ports):
        entry = (chosen or ports)[0]
        number, protocol = entry["containerPort"], entry.get("protocol", "TCP")
    else:
        raise Unclear(f"which port of pod {named.name}? Write pod/{named.name}:PORT")
    texts = [entry["ip"] for entry in (pod.get("status") or {}).get("podIPs") or ()]
    address = _of_family(_parsed(texts), wanted.family, f"pod {named.name}")
    return Target(address, number, protocol, wanted.how or _how(protocol, number), frontend="PodIP")


def _of_name(objects: Iterable[Obj], named: _Named, kind: str) -> Obj:
    here = [obj for obj in objects if obj["metadata"]["namespace"] == named.namespace]
    found = next((obj for obj in here if obj["metadata"]["name"] == named.name), None)
    if found is None:
        names = ", ".join(sorted(obj["metadata"]["name"] for obj in here)) or "none"
        raise Unclear(f"there is no {kind} {named.name} in namespace {named.namespace}; there: {names}")
    return found


def _port(service: Obj, named: _Named) -> Obj:
    ports = service["spec"].get("ports") or []
    if not named.port and ports:
        return dict(ports[0])
    chosen = next(
        (p for p in ports if named.port in (p.get("name"), str(p["port"]), str(p.get("nodePort")))), None
    )
    if chosen is None:
        listed = ", ".join(str(port["port"]) for port in ports) or "none"
        raise Unclear(f"Service {named.name} has no port {named.port}; it has: {listed}")
    return dict(chosen)


def _default_frontend(service: Obj, wanted: Wanted) -> Frontend:
    """What a client there would dial: from inside the ClusterIP, from outside what leads in."""
    if not wanted.from_outside:
        return Frontend.CLUSTER_IP
    for frontend in (Frontend.LOAD_BALANCER, Frontend.EXTERNAL_IP):
        if _addresses(service, frontend):
            return frontend
    return Frontend.CLUSTER_IP if _type(service) == "ClusterIP" else Frontend.NODE_PORT


def _addresses(service: Obj, frontend: Frontend) -> list[IPAddress]:
    spec, status = service["spec"], service.get("status") or {}
    match frontend:
        case Frontend.CLUSTER_IP:
            return _parsed(spec.get("clusterIPs") or ())
        case Frontend.EXTERNAL_IP:
            return _parsed(spec.get("externalIPs") or ())
        case Frontend.LOAD_BALANCER:
            ingress = (status.get("loadBalancer") or {}).get("ingress") or ()
            return _parsed(entry.get("ip", "") for entry in ingress)
        case Frontend.NODE_PORT:
            return []


def _node(nodes: Sequence[Obj], name: str) -> Obj:
    found = [node for node in nodes if node["metadata"]["name"] == name] if name else list(nodes[:1])
    if not found:
        names = ", ".join(sorted(node["metadata"]["name"] for node in nodes)) or "none"
        raise Unclear(f"there is no node {name}; there: {names}")
    return found[0]


def _node_addresses(node: Obj, *, outside: bool | None = None) -> list[IPAddress]:
    """All of them, or those by which it is reached from outside or from inside."""
    entries = (node.get("status") or {}).get("addresses") or ()
    if outside is None:
        return _parsed(entry["address"] for entry in entries)
    external = _parsed(entry["address"] for entry in entries if entry["type"] == "ExternalIP")
    internal = _parsed(entry["address"] for entry in entries if entry["type"] == "InternalIP")
    return (external or internal) if outside else internal


def _parsed(texts: Iterable[str]) -> list[IPAddress]:
    return [address for text in texts if (address := parse_address(text)) is not None]


def _of_family(addresses: Sequence[IPAddress], family: Family | None, whose: str) -> IPAddress:
    found = [each for each in addresses if family is None or family_of(each) is family]
    if not found:
        raise Unclear(f"{whose} has no {family.name if family else ''} address")
    return found[0]


def _how(protocol: str, port: int) -> How:
    if protocol == "UDP":
        return How.UDP
    return How.HTTP if port in _HTTP_PORTS else How.TCP


def _type(service: Obj) -> str:
    return str(service["spec"].get("type") or "ClusterIP")


def _host_and_port(text: str) -> tuple[str, str]:
    host, colon, port = text.rpartition(":")
    if colon and ":" not in host and port.isascii() and port.isdigit():
        return host, port
    return text, ""
