"""What a Service of the proxy's class asks for, beyond what every load balancer has. Pure."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from wellhead.api.meta import Obj
from wellhead.api.names import SOURCE_RANGES_ANNOTATION
from wellhead.cloud.classes import Unsupported
from wellhead.cloud.haproxy import client_ip
from wellhead.cloud.haproxy.client_ip import ClientIP
from wellhead.ip import Family, IPNetwork, networks_of
from wellhead.services.service import ServiceSpec, affinity_seconds, source_ranges


@dataclass(frozen=True)
class Port:
    """One TCP port of a Service. `node_port` 0: there is none, so endpoints are dialled."""

    name: str
    number: int
    node_port: int
    client_ip: ClientIP


@dataclass(frozen=True)
class Termination:
    """How the connections of a Service are to be ended, and made anew."""

    ports: tuple[Port, ...]
    source_ranges: tuple[IPNetwork, ...] = ()  # who may connect; none of a family: everybody of that family
    affinity_seconds: int = 0  # how long a client keeps its server; 0: not at all

    @property
    def dials_nodes(self) -> bool:
        """Whether any port leads to nodes."""
        return any(port.node_port for port in self.ports)

    @property
    def dials_endpoints(self) -> bool:
        """Whether any port leads to endpoints themselves."""
        return any(not port.node_port for port in self.ports)


def annotated_ranges(service: Obj) -> list[str]:
    """What the field's forerunner says, an annotation for load balancers alone: nodes don't heed it."""
    text = (service["metadata"].get("annotations") or {}).get(SOURCE_RANGES_ANNOTATION) or ""
    return [each.strip() for each in text.split(",") if each.strip()]


def termination(service: Obj) -> Termination:
    """What this Service asks for.

    Raises:
        Unsupported: it asks for what a terminating proxy can't do.
    """
    spec = service["spec"]
    asked = client_ip.asked(service)
    ports = []
    for port in spec.get("ports") or []:
        protocol = port.get("protocol", "TCP")
        if protocol != "TCP":
            raise Unsupported(
                f"port {port['port']}: protocol {protocol} is beyond a terminating proxy, which ends TCP "
                "connections; a Service of class wellhead.dev/forwarder takes UDP too"
            )
        ports.append(
            Port(
                name=port.get("name") or "",
                number=int(port["port"]),
                node_port=int(port.get("nodePort") or 0),
                client_ip=client_ip.of_port(asked, port),
            )
        )
    asked_ranges = spec.get("loadBalancerSourceRanges") or annotated_ranges(service)
    for text in asked_ranges:
        if not any(networks_of(family, [text]) for family in Family):
            raise Unsupported(f"{text!r} in loadBalancerSourceRanges is no network")
    form = msgspec.convert({**spec, "loadBalancerSourceRanges": asked_ranges}, ServiceSpec)
    ranges = (each for family in Family for each in source_ranges(form, family))
    order = sorted(ranges, key=lambda each: (each.version, each.network_address.packed, each.prefixlen))
    return Termination(tuple(ports), tuple(order), affinity_seconds(form) or 0)
