"""Makes a topology's links, addresses, routes and kernel settings in machines that are switched on.

Everything happens in the machines' network namespaces; the host's network is not even looked at.
"""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field

from pyroute2 import IPRoute, NetlinkError

from wellhead.lab import edge, network_facts, topology
from wellhead.lab.machines import Machine
from wellhead.lab.topology import EDGE, Link, Topology
from wellhead.linux import namespaces, sysctls
from wellhead.linux.facts import Reader
from wellhead.linux.mirror import Mirror


def affected(picture: Topology, fresh: Collection[str]) -> set[str]:
    """The machines that lose an interface, or never had one, when the machines `fresh` are new."""
    links = [link for link in picture.links if link.machine in fresh or link.peer in fresh]
    # The edge only loses a port of its bridge when another machine goes: nothing that it has to be told.
    return set(fresh) | {link.machine for link in links}


@dataclass(frozen=True)
class Repair:
    """Who has new interfaces, where what was put back, and which nft process wrote the edge's rules."""

    fresh: tuple[str, ...] = ()
    mended: dict[str, list[str]] = field(default_factory=dict)
    nft: int = 0


def repair(
    picture: Topology, running: Mapping[str, Machine], doubtful: Collection[str], edge_rules: str
) -> Repair:
    """Bring the machines `doubtful` to what the picture says; give the edge its rules unless these are empty.

    Only what differs is touched; a machine that lacks an interface gets all of its links anew. Joins other
    network namespaces and stays there: call it in a child process (wellhead.lab.machines).

    Raises:
        NetlinkError, LabError: a step was refused.
        ProcessLookupError: one of the machines was switched off meanwhile.
    """
    networks = {name: machine.open_network() for name, machine in running.items()}
    fresh = _without_an_interface(picture, networks, doubtful)
    for name in fresh:
        with _inside(networks[name]) as ip:
            _configure(picture, picture.machine(name), ip)
    for link in picture.links:
        if link.machine in fresh or link.peer in fresh:
            with _inside(networks[link.peer]) as ip:
                _connect(picture, link, ip, networks[link.machine])
    # Others may have to learn the way to what is behind a machine that wasn't there before.
    gateways = {entry.address.ip for entry in picture.addresses if entry.machine in fresh}
    guests = {route.machine for route in picture.routes if route.gateway in gateways}
    changed = affected(picture, fresh)
    peers = {link.peer for link in picture.links if link.machine in fresh}
    mended = {}
    for name in sorted(changed | peers | guests | set(doubtful)):
        wrong = _mend(picture, name, networks[name])
        if wrong and name not in changed | peers | guests:
            mended[name] = wrong
    nft = 0
    if edge_rules:
        namespaces.setns(networks[EDGE], namespaces.CLONE_NEWNET)
        nft = edge.apply(edge_rules)
    return Repair(tuple(sorted(changed)), mended, nft)


def _without_an_interface(
    picture: Topology, networks: Mapping[str, int], doubtful: Collection[str]
) -> set[str]:
    """Whose links have to be made anew, of those that these machines are concerned with."""
    there: dict[str, set[str]] = {}
    for name, network in networks.items():
        with _inside(network) as ip:
            there[name] = {link.get_attr("IFLA_IFNAME") for link in ip.get_links()}
    fresh = {name for name in doubtful if not there[name].issuperset(picture.machine(name).bridges)}
    for link in picture.links:
        whole = link.interface in there[link.machine] and link.peer_interface in there[link.peer]
        if not whole and (link.machine in doubtful or link.peer in doubtful):
            # A router is well without a cable: it is the machine at the other end that needs a new one.
            fresh.add(link.machine)
    return fresh


def _mend(picture: Topology, name: str, network: int) -> list[str]:
    """Make what isn't as it should be so; returns that, in words."""
    mirror = Mirror()
    with _inside(network) as ip:
        facts = sysctls.served(network_facts.wanted(picture, name))
        mirror.want(facts)
        mirror.replace([*Reader().everything(), *sysctls.read(facts)])
        network_facts.bring_about(ip, facts, mirror.wrong)
    return sorted(" ".join(map(str, key)) for key in mirror.wrong)


@contextlib.contextmanager
def _inside(network: int) -> Iterator[IPRoute]:
    namespaces.setns(network, namespaces.CLONE_NEWNET)
    with IPRoute() as ip:
        yield ip


def _configure(picture: Topology, machine: topology.Machine, ip: IPRoute) -> None:
    # "all" and "default" start as copies of the host's values, and interfaces as copies of "default".
    for key, value in network_facts.settings(picture, machine).items():
        sysctls.write(key, value)
    for bridge in machine.bridges:
        address = picture.hardware_address(machine.name, bridge)
        _delete(ip, bridge)
        ip.link("add", ifname=bridge, kind="bridge", address=address, br_stp_state=0, br_mcast_snooping=0)


def _connect(picture: Topology, link: Link, ip: IPRoute, other_end: int) -> None:
    """Make the link from the peer's side. A remainder of an earlier link of that name goes first."""
    with _inside(other_end) as far:
        _delete(far, link.interface)
    _delete(ip, link.peer_interface)
    ip.link(
        "add",
        ifname=link.peer_interface,
        kind="veth",
        mtu=link.mtu,
        address=picture.hardware_address(link.peer, link.peer_interface),
        peer={
            "ifname": link.interface,
            "mtu": link.mtu,
            "address": picture.hardware_address(link.machine, link.interface),
            "net_ns_fd": other_end,
        },
    )


def _delete(ip: IPRoute, interface: str) -> None:
    for index in ip.link_lookup(ifname=interface):
        # The kernel takes its time to clean up after a machine, and may do so at this moment.
        with contextlib.suppress(NetlinkError):
            ip.link("del", index=index)
