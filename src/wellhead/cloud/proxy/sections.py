"""Sections of HAProxy's configuration as values: one per port of a Service. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address

from wellhead.api.meta import Key
from wellhead.cloud.endpoints import Endpoints
from wellhead.cloud.nodes import BalancedNode
from wellhead.cloud.proxy.client_ip import ClientIP
from wellhead.cloud.proxy.termination import Port, Termination
from wellhead.cloud.vips import IPAddress


@dataclass(frozen=True)
class Server:
    """Where connections may go. One that isn't `ready` keeps those that it has and gets no new ones."""

    address: IPv4Address | IPv6Address
    port: int
    ready: bool = True


@dataclass(frozen=True)
class Listener:
    """Everything about a section but its servers: what a running HAProxy can't be told to change."""

    name: str
    vip: IPv4Address | IPv6Address
    port: int
    client_ip: ClientIP = ClientIP.NONE
    source_ranges: tuple[IPv4Network, ...] = ()
    affinity_seconds: int = 0


@dataclass(frozen=True)
class Section:
    """A listener, and its servers by name."""

    listener: Listener
    servers: Mapping[str, Server]


def sections(
    service: Key,
    wanted: Termination,
    vip: IPAddress,
    nodes: Iterable[BalancedNode],
    eligible: frozenset[IPAddress],
    endpoints: Endpoints,
) -> tuple[Section, ...]:
    """The sections of one Service. `eligible` are the addresses of the nodes that get new connections."""
    by_name = sorted(nodes, key=lambda node: node.name)
    return tuple(
        Section(
            Listener(
                name=f"{service[0]}.{service[1]}.{port.number}",
                vip=vip,
                port=port.number,
                client_ip=port.client_ip,
                source_ranges=wanted.source_ranges,
                affinity_seconds=wanted.affinity_seconds,
            ),
            _of_nodes(port, by_name, eligible) if port.node_port else _of_endpoints(port, endpoints),
        )
        for port in wanted.ports
    )


def _of_nodes(port: Port, nodes: Iterable[BalancedNode], eligible: frozenset[IPAddress]) -> dict[str, Server]:
    return {node.name: Server(node.address, port.node_port, node.address in eligible) for node in nodes}


def _of_endpoints(port: Port, endpoints: Endpoints) -> dict[str, Server]:
    dialled = sorted(endpoints.usable.get(port.name, ()))
    return {f"{address}:{number}": Server(address, number) for address, number in dialled}
