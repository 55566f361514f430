"""The topology of a cluster, as a value that reads like the drawing of it.

                                        ┌─ control-plane
client ── internet ── edge ── nodes ────┼─ cloud                (control-plane-2 … if there are several)
                    (router)  (bridge)  ├─ node-1
                                        └─ node-2 …
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from ipaddress import IPv4Interface, IPv6Interface, ip_interface

from wellhead.lab.addresses import INTERNET_MTU, IPV4, NODE_LINK_MTU, AddressPlan, IPAddress, IPNetwork

CLIENT = "client"
EDGE = "edge"
CONTROL_PLANE = "control-plane"
CLOUD = "cloud"

INTERNET = "internet"
"""The edge's interface towards the client."""
NODES = "nodes"
"""The edge's bridge, to which the nodes, the control plane and the cloud are connected."""

_STRICT, _LOOSE, _OFF = 1, 2, 0  # values of rp_filter


@dataclass(frozen=True)
class Machine:
    """A host: a set of namespaces with its own processes and network stack."""

    name: str
    forwards: bool = False
    reverse_path_filter: int = _STRICT
    bridges: tuple[str, ...] = ()


@dataclass(frozen=True)
class Link:
    """A cable between two machines. Every interface but a bridge is an end of one."""

    machine: str
    interface: str
    peer: str
    peer_interface: str
    mtu: int
    peer_bridge: str | None = None  # the bridge of the peer that its end is plugged into


@dataclass(frozen=True)
class Address:
    """An address of a machine's interface."""

    machine: str
    interface: str
    address: IPv4Interface | IPv6Interface


@dataclass(frozen=True)
class Route:
    """To whom a machine hands over what is for a network that it isn't in."""

    machine: str
    destination: IPNetwork
    gateway: IPAddress


@dataclass(frozen=True)
class Topology:
    """Machines, links, addresses and routes of one cluster."""

    plans: tuple[AddressPlan, ...]
    machines: tuple[Machine, ...]
    links: tuple[Link, ...]
    addresses: tuple[Address, ...]
    routes: tuple[Route, ...]

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The machines' names, in the order of the drawing."""
        return tuple(machine.name for machine in self.machines)

    def machine(self, name: str) -> Machine:
        """The machine called `name`. Raises KeyError when there is none."""
        for machine in self.machines:
            if machine.name == name:
                return machine
        raise KeyError(name)

    def hardware_address(self, machine: str, interface: str) -> str:
        """The same MAC address every time the interface is made, so that neighbours need not ask again.

        It is made of the IPv4 address, as common container network plugins do; an interface without any
        is a port of a bridge, or its cluster has no IPv4.
        """
        for entry in self.addresses:
            if (entry.machine, entry.interface) == (machine, interface) and entry.address.version == 4:
                return "0a:58:" + entry.address.packed[:4].hex(":")
        # Locally administered.
        return "06:" + hashlib.sha256(f"{machine}/{interface}".encode()).digest()[:5].hex(":")


def node_name(number: int) -> str:
    """The name of the node with this number; numbers count from 1."""
    return f"node-{number}"


def is_node_name(name: str) -> bool:
    """Whether `node_name` could have given this name."""
    prefix, _, number = name.partition("-")
    return prefix == "node" and number.isdecimal() and str(int(number)) == number


def control_plane_name(number: int) -> str:
    """The name of the control plane with this number; numbers count from 1."""
    return CONTROL_PLANE if number == 1 else f"{CONTROL_PLANE}-{number}"


def control_plane_names(count: int) -> tuple[str, ...]:
    """Those of a cluster with so many."""
    return tuple(map(control_plane_name, range(1, count + 1)))


def build(nodes: int, plans: Sequence[AddressPlan] = (IPV4,), control_planes: int = 1) -> Topology:
    """The topology of a cluster with so many nodes and control planes.

    Raises:
        ValueError: when the address plan has no room for them.
    """
    most = min(plan.max_nodes for plan in plans)
    if not 1 <= nodes <= most:
        raise ValueError(f"{nodes} nodes: the address plan has room for 1 to {most}")

    node_names = tuple(node_name(number) for number in range(1, nodes + 1))
    control_plane = control_plane_names(control_planes)
    machines = (
        Machine(CLIENT),
        # Packets to a VIP go to any node and are answered through the routing table: two different ways.
        Machine(EDGE, forwards=True, reverse_path_filter=_OFF, bridges=(NODES,)),
        *map(Machine, control_plane),
        Machine(CLOUD),
        # Replies of another node's pod may come in where this node wouldn't have sent the request.
        *(Machine(name, forwards=True, reverse_path_filter=_LOOSE) for name in node_names),
    )
    links = (
        Link(CLIENT, "eth0", EDGE, INTERNET, INTERNET_MTU),
        *(
            Link(name, "eth0", EDGE, name, NODE_LINK_MTU, NODES)
            for name in (*control_plane, CLOUD, *node_names)
        ),
    )
    addresses: list[Address] = []
    routes: list[Route] = []
    for plan in plans:
        inside = {name: plan.control_plane_of(number) for number, name in enumerate(control_plane, start=1)}
        inside[CLOUD] = plan.cloud
        inside |= {node_name(number): plan.node(number) for number in range(1, nodes + 1)}
        addresses += [
            _address(CLIENT, "eth0", plan.client, plan.internet),
            _address(EDGE, INTERNET, plan.internet_gateway, plan.internet),
            _address(EDGE, NODES, plan.edge, plan.nodes),
            *(_address(name, "eth0", address, plan.nodes) for name, address in inside.items()),
        ]
        routes += [
            Route(CLIENT, plan.everything, plan.internet_gateway),
            *(Route(name, plan.everything, plan.edge) for name in inside),
            # The nodes' agents know each other's pods. The API server and HAProxy reach them, too.
            *(
                Route(name, plan.node_pods(number), plan.node(number))
                for name in (*control_plane, CLOUD)
                for number in range(1, nodes + 1)
            ),
        ]
    return Topology(tuple(plans), machines, links, tuple(addresses), tuple(routes))


def _address(machine: str, interface: str, address: IPAddress, network: IPNetwork) -> Address:
    return Address(machine, interface, ip_interface(f"{address}/{network.prefixlen}"))
