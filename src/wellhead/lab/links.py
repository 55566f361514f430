"""Makes a topology's links, addresses, routes and kernel settings in machines that are switched on.

Everything happens in the machines' network namespaces; the host's network is not even looked at.
"""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

from pyroute2 import IPRoute, NetlinkError

from wellhead.lab import machines, topology
from wellhead.lab.machines import Machine
from wellhead.lab.topology import Link, Topology
from wellhead.linux import namespaces

_SYSCTLS = Path("/proc/sys/net")


def affected(picture: Topology, fresh: Collection[str]) -> set[str]:
    """The machines that lose an interface, or never had one, when the machines `fresh` are new."""
    links = [link for link in picture.links if link.machine in fresh or link.peer in fresh]
    # The edge only loses a port of its bridge when another machine goes: nothing that it has to be told.
    return set(fresh) | {link.machine for link in links}


def wire(picture: Topology, running: Mapping[str, Machine], fresh: Collection[str]) -> None:
    """Configure the machines `fresh` and make all their links anew, at both ends.

    Forks, because joining a network namespace is a way without return for whoever must not be lost.

    Raises:
        LabError: a step was refused; the message is the kernel's.
        ProcessLookupError: one of the machines was switched off meanwhile.
    """
    if fresh:
        machines.in_child(lambda: _wire(picture, running, frozenset(fresh)))


def _wire(picture: Topology, running: Mapping[str, Machine], fresh: frozenset[str]) -> None:
    networks = {name: machine.open_network() for name, machine in running.items()}
    for name in fresh:
        with _inside(networks[name]) as ip:
            _configure(picture, picture.machine(name), ip)
    links = [link for link in picture.links if link.machine in fresh or link.peer in fresh]
    for link in links:
        with _inside(networks[link.peer]) as ip:
            _connect(picture, link, ip, networks[link.machine])
    ends = {(link.machine, link.interface) for link in links}
    for name in affected(picture, fresh):
        with _inside(networks[name]) as ip:
            for entry in picture.addresses:
                # A fresh machine's bridges need an address too; they are no link's end.
                if entry.machine == name and (name in fresh or (name, entry.interface) in ends):
                    index = _index(ip, entry.interface)
                    address = entry.address
                    ip.addr(
                        "replace", index=index, address=str(address.ip), prefixlen=address.network.prefixlen
                    )
            for route in picture.routes:
                if route.machine == name:
                    ip.route("replace", dst="default", gateway=str(route.gateway))


@contextlib.contextmanager
def _inside(network: int) -> Iterator[IPRoute]:
    namespaces.setns(network, namespaces.CLONE_NEWNET)
    with IPRoute() as ip:
        yield ip


def _configure(picture: Topology, machine: topology.Machine, ip: IPRoute) -> None:
    # "all" and "default" start as copies of the host's values, whatever these are.
    for which in ("all", "default"):
        _set(f"ipv4/conf/{which}/rp_filter", machine.reverse_path_filter)
        # A router that says "the next hop is on your own link" would be right, and be of no help here.
        _set(f"ipv4/conf/{which}/send_redirects", 0)
        _set(f"ipv4/conf/{which}/accept_redirects", 0)
        _set(f"ipv6/conf/{which}/accept_ra", 0)
        _set(f"ipv6/conf/{which}/forwarding", int(machine.forwards))
    _set("ipv4/ip_forward", int(machine.forwards))
    # Where the kernel has br_netfilter loaded, bridged packets would go through iptables' and nft's chains.
    for family in ("iptables", "ip6tables", "arptables"):
        _set(f"bridge/bridge-nf-call-{family}", 0)
    ip.link("set", index=_index(ip, "lo"), state="up")
    for bridge in machine.bridges:
        address = picture.hardware_address(machine.name, bridge)
        ip.link("add", ifname=bridge, kind="bridge", address=address, br_stp_state=0, br_mcast_snooping=0)
        ip.link("set", index=_index(ip, bridge), state="up")


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
    index = _index(ip, link.peer_interface)
    if link.peer_bridge is not None:
        bridge = _index(ip, link.peer_bridge)
        ip.link("set", index=index, master=bridge)
        # By itself a bridge takes the least MTU of its ports, and the default while it has none.
        ip.link("set", index=bridge, mtu=link.mtu)
    ip.link("set", index=index, state="up")
    with _inside(other_end) as far:
        far.link("set", index=_index(far, link.interface), state="up")


def _delete(ip: IPRoute, interface: str) -> None:
    for index in ip.link_lookup(ifname=interface):
        # The kernel takes its time to clean up after a machine, and may do so at this moment.
        with contextlib.suppress(NetlinkError):
            ip.link("del", index=index)


def _index(ip: IPRoute, interface: str) -> int:
    found = ip.link_lookup(ifname=interface)
    if not found:
        raise LookupError(f"no interface {interface}")
    return int(found[0])


def _set(sysctl: str, value: int) -> None:
    """Write a per-network sysctl; one that this kernel lacks (IPv6 off, no br_netfilter) is left out."""
    with contextlib.suppress(FileNotFoundError):
        (_SYSCTLS / sysctl).write_text(f"{value}\n")
