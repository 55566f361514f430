"""Sections of HAProxy's configuration as values: one per port of a Service. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from wellhead.api.meta import Key
from wellhead.cloud.endpoints import Endpoints
from wellhead.cloud.haproxy.client_ip import ClientIP
from wellhead.cloud.haproxy.termination import Port, Termination
from wellhead.cloud.nodes import BalancedNode
from wellhead.ip import Family, IPAddress, IPNetwork


@dataclass(frozen=True)
class Server:
    """Where connections may go. One that isn't `ready` keeps those that it has and gets no new ones."""

    address: IPAddress
    port: int
    ready: bool = True


@dataclass(frozen=True)
class Listener:
    """Everything about a section but its servers: what a running HAProxy can't be told to change."""

    name: str
    vip: IPAddress
    port: int
    client_ip: ClientIP = ClientIP.NONE
    source_ranges: tuple[IPNetwork, ...] = ()
    affinity_seconds: int = 0


@dataclass(frozen=True)
class Section:
    """A listener, and its servers by name."""

    listener: Listener
    servers: Mapping[str, Server]


def sections(
    service: Key,
    wanted: Termination,
    vips: Iterable[IPAddress],
    nodes: Iterable[BalancedNode],
    eligible: frozenset[IPAddress],
    endpoints: Endpoints,
) -> tuple[Section, ...]:
    """The sections of one Service, each for a port of one VIP, with servers of the VIP's family.

    `eligible` are the addresses of the nodes that get new connections.
    """
    by_name = sorted(nodes, key=lambda node: node.name)
    return tuple(
        Section(
            Listener(
                name=f"{service[0]}.{service[1]}.{port.number}{'.ipv6' if vip.version == 6 else ''}",
                vip=vip,
                port=port.number,
                client_ip=port.client_ip,
                source_ranges=tuple(each for each in wanted.source_ranges if each.version == vip.version),
                affinity_seconds=wanted.affinity_seconds,
            ),
            _of_nodes(port, by_name, eligible, vip.version)
            if port.node_port
            else _of_endpoints(port, endpoints, vip.version),
        )
        for vip in vips
        for port in wanted.ports
    )


def _of_nodes(
    port: Port, nodes: Iterable[BalancedNode], eligible: frozenset[IPAddress], version: int
) -> dict[str, Server]:
    addresses = ((node.name, node.of(version)) for node in nodes)
    return {
        name: Server(address, port.node_port, address in eligible)
        for name, address in addresses
        if address is not None
    }


def _of_endpoints(port: Port, endpoints: Endpoints, version: int) -> dict[str, Server]:
    dialled = endpoints.usable.get((Family(version), port.name), ())
    return {f"{each.ip}:{each.port}": Server(each.ip, each.port) for each in dialled}
