"""Makes a topology's links, addresses, routes and kernel settings in machines that are switched on.

Everything happens in the machines' network namespaces; the host's network is not even looked at.
"""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

from pyroute2 import IPRoute, NetlinkError

from wellhead.lab import edge, topology
from wellhead.lab.machines import Machine
from wellhead.lab.topology import EDGE, Link, Topology
from wellhead.linux import namespaces

_SYSCTLS = Path("/proc/sys/net")
# Only what the topology says, nothing that a router's advertisement would bring. And link-local addresses, by
# which routers ask for their neighbours, don't wait a second for somebody else who might have one (RFC 4862).
_IPV6 = {"accept_ra": 0, "accept_redirects": 0, "autoconf": 0, "use_tempaddr": 0, "accept_dad": 0}
# IFA_F_NODAD: nor do the others; by the setting alone they can be used only some moment after they are added.
_FLAGS = {4: {}, 6: {"flags": 0x02}}
_ROUTES = "routes via"  # no interface can be called that
_MAIN = 254  # the routing table
_EVERYTHING = {socket.AF_INET: "0.0.0.0", socket.AF_INET6: "::"}  # noqa: S104 (a default route's destination)


def affected(picture: Topology, fresh: Collection[str]) -> set[str]:
    """The machines that lose an interface, or never had one, when the machines `fresh` are new."""
    links = [link for link in picture.links if link.machine in fresh or link.peer in fresh]
    # The edge only loses a port of its bridge when another machine goes: nothing that it has to be told.
    return set(fresh) | {link.machine for link in links}


def repair(
    picture: Topology, running: Mapping[str, Machine], doubtful: Collection[str], edge_rules: str
) -> list[str]:
    """Wire those of the machines `doubtful` that aren't, and give the edge its rules unless they are empty.

    Joins other network namespaces and stays there: call it in a child process (wellhead.lab.machines).
    Returns the machines that have new interfaces now.

    Raises:
        NetlinkError, LabError: a step was refused.
        ProcessLookupError: one of the machines was switched off meanwhile.
    """
    fresh = broken(picture, running, doubtful)
    wire(picture, running, fresh)
    if edge_rules:
        namespaces.setns(running[EDGE].open_network(), namespaces.CLONE_NEWNET)
        edge.apply(edge_rules)
    return sorted(affected(picture, fresh))


def broken(picture: Topology, running: Mapping[str, Machine], doubtful: Collection[str]) -> set[str]:
    """Which of the machines `doubtful` lack an interface or an address, or their end of a link elsewhere.

    Joins other network namespaces and stays there: call it in a child process (wellhead.lab.machines).
    """
    found = {name: _addresses(machine.open_network()) for name, machine in running.items()}
    bad = set()
    # A router is well without a cable: it is the machine at the other end that needs a new one.
    owners = {(link.peer, link.peer_interface): link.machine for link in picture.links}
    for entry in picture.addresses:
        if str(entry.address) not in found[entry.machine].get(entry.interface, ()):
            owner = owners.get((entry.machine, entry.interface), entry.machine)
            if owner in doubtful or entry.machine in doubtful:
                bad.add(owner)
    for link in picture.links:
        if link.machine in doubtful and link.peer_interface not in found.get(link.peer, {}):
            bad.add(link.machine)
    for route in picture.routes:
        present = found[route.machine][_ROUTES]
        if route.machine in doubtful and _via(route.destination, route.gateway) not in present:
            bad.add(route.machine)
    return bad


def wire(picture: Topology, running: Mapping[str, Machine], fresh: Collection[str]) -> None:
    """Configure the machines `fresh` and make all their links anew, at both ends.

    Joins other network namespaces and stays there: call it in a child process (wellhead.lab.machines).

    Raises:
        NetlinkError: a step was refused.
        ProcessLookupError: one of the machines was switched off meanwhile.
    """
    networks = {name: machine.open_network() for name, machine in running.items()}
    for name in fresh:
        with _inside(networks[name]) as ip:
            _configure(picture, picture.machine(name), ip)
    links = [link for link in picture.links if link.machine in fresh or link.peer in fresh]
    for link in links:
        with _inside(networks[link.peer]) as ip:
            _connect(picture, link, ip, networks[link.machine])
    ends = {(link.machine, link.interface) for link in links}
    ends |= {(link.peer, link.peer_interface) for link in links}
    # Others may have to learn the way to what is behind a machine that wasn't there before.
    gateways = {entry.address.ip for entry in picture.addresses if entry.machine in fresh}
    guests = {route.machine for route in picture.routes if route.gateway in gateways}
    for name in {machine for machine, _ in ends} | set(fresh) | guests:
        with _inside(networks[name]) as ip:
            for entry in picture.addresses:
                # A fresh machine's bridges need an address too; they are no link's end.
                if entry.machine == name and (name in fresh or (name, entry.interface) in ends):
                    index = _index(ip, entry.interface)
                    address = entry.address
                    prefix, flags = address.network.prefixlen, _FLAGS[address.version]
                    ip.addr("replace", index=index, address=str(address.ip), prefixlen=prefix, **flags)
            for route in picture.routes:
                if route.machine == name:  # who has one has a single link
                    ip.route("replace", dst=str(route.destination), gateway=str(route.gateway))


@contextlib.contextmanager
def _inside(network: int) -> Iterator[IPRoute]:
    namespaces.setns(network, namespaces.CLONE_NEWNET)
    with IPRoute() as ip:
        yield ip


def _addresses(network: int) -> dict[str, set[str]]:
    """Every interface's addresses with prefix lengths, and under _ROUTES the routes by way of a gateway."""
    with _inside(network) as ip:
        names = {link["index"]: link.get_attr("IFLA_IFNAME") for link in ip.get_links()}
        found: dict[str, set[str]] = {name: set() for name in (*names.values(), _ROUTES)}
        for entry in ip.get_addr():
            found[names[entry["index"]]].add(f"{entry.get_attr('IFA_ADDRESS')}/{entry['prefixlen']}")
        for route in ip.get_routes(table=_MAIN):
            if gateway := route.get_attr("RTA_GATEWAY"):
                base = route.get_attr("RTA_DST") or _EVERYTHING[route["family"]]
                found[_ROUTES].add(_via(f"{base}/{route['dst_len']}", gateway))
    return found


def _via(destination: object, gateway: object) -> str:
    return f"{destination} via {gateway}"


def _configure(picture: Topology, machine: topology.Machine, ip: IPRoute) -> None:
    # "all" and "default" start as copies of the host's values, whatever these are.
    for which in ("all", "default"):
        _set(f"ipv4/conf/{which}/rp_filter", machine.reverse_path_filter)
        # A router that says "the next hop is on your own link" would be right, and be of no help here.
        _set(f"ipv4/conf/{which}/send_redirects", 0)
        _set(f"ipv4/conf/{which}/accept_redirects", 0)
        for name, value in _IPV6.items():
            _set(f"ipv6/conf/{which}/{name}", value)
        _set(f"ipv6/conf/{which}/forwarding", int(machine.forwards))
    if any(plan.nodes.version == 6 for plan in picture.plans):
        _set("ipv6/conf/all/disable_ipv6", 0)  # for all interfaces, and those to come
    _set("ipv4/ip_forward", int(machine.forwards))
    # Where the kernel has br_netfilter loaded, bridged packets would go through iptables' and nft's chains.
    for family in ("iptables", "ip6tables", "arptables"):
        _set(f"bridge/bridge-nf-call-{family}", 0)
    ip.link("set", index=_index(ip, "lo"), state="up")
    for bridge in machine.bridges:
        address = picture.hardware_address(machine.name, bridge)
        _delete(ip, bridge)
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
