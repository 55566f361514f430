"""What the kernel says of a machine's network while all is as the topology has it, and how to make it so."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Mapping
from ipaddress import ip_interface, ip_network

from pyroute2 import IPRoute

from wellhead.ip import Family, IPNetwork
from wellhead.lab.topology import Machine, Topology
from wellhead.linux import sysctls
from wellhead.linux.facts import Key, Value
from wellhead.linux.routes import LOCAL_TABLE, MAIN_TABLE, Kind

_STATIC, _BY_THE_KERNEL = 4, 2  # RTPROT_STATIC, RTPROT_KERNEL
_LINK_SCOPE, _HOST_SCOPE = 253, 254
_METRIC_OF_CONNECTED = {Family.IPV4: 0, Family.IPV6: 256}
_METRIC = {Family.IPV4: 0, Family.IPV6: 1024}  # of a route that says none
_DEFAULT_TABLE = 253
# The kernel's own rules: without the main one's, no route counts.
_RULES = {Family.IPV4: {0: LOCAL_TABLE, 32766: MAIN_TABLE, 32767: _DEFAULT_TABLE}}
_RULES[Family.IPV6] = {0: LOCAL_TABLE, 32766: MAIN_TABLE}
# IFA_F_NODAD: an address is used at once, and not only when nobody has answered for it (RFC 4862).
_FLAGS = {4: {}, 6: {"flags": 0x02}}
_ORDER = ("setting", "sysctl", "link", "address", "route", "rule")
# A router that says "the next hop is on your own link" would be right, and be of no help here.
_IPV4_SYSCTLS = {"send_redirects": 0, "accept_redirects": 0}
# Only what the topology says, nothing that a router's advertisement would bring. And link-local addresses, by
# which routers ask for their neighbours, don't wait a second for somebody else who might have one (RFC 4862).
_IPV6_SYSCTLS = {"accept_ra": 0, "accept_redirects": 0, "autoconf": 0, "use_tempaddr": 0, "accept_dad": 0}
_EVERYWHERE = ("all", "default")


def settings(picture: Topology, machine: Machine, interfaces: Iterable[str] = ()) -> dict[Key, Value]:
    """Settings of which the kernel doesn't tell by netlink: for all interfaces, those to come, and these."""
    ipv6 = dict(_IPV6_SYSCTLS)
    if any(plan.nodes.version == 6 for plan in picture.plans):
        ipv6["disable_ipv6"] = 0
    facts: dict[Key, Value] = {}
    for which in (*_EVERYWHERE, *interfaces):
        facts |= {sysctls.key(f"net/ipv4/conf/{which}/{name}"): v for name, v in _IPV4_SYSCTLS.items()}
        facts |= {sysctls.key(f"net/ipv6/conf/{which}/{name}"): v for name, v in ipv6.items()}
    # Where the kernel has br_netfilter loaded, bridged packets would go through iptables' and nft's chains.
    for family in ("iptables", "ip6tables", "arptables"):
        facts[sysctls.key(f"net/bridge/bridge-nf-call-{family}")] = 0
    return facts


def wanted(picture: Topology, name: str) -> dict[Key, Value]:
    """The facts of the machine called `name`."""
    machine = picture.machine(name)
    facts: dict[Key, Value] = {("link", "lo", "up"): True}
    ends = [(link.interface, link.mtu, "") for link in picture.links if link.machine == name]
    ends += [
        (link.peer_interface, link.mtu, link.peer_bridge or "") for link in picture.links if link.peer == name
    ]
    # By itself a bridge takes the least MTU of its ports, and the default while it has none.
    ends += [(bridge, max((mtu for _, mtu, at in ends if at == bridge)), "") for bridge in machine.bridges]
    interfaces = [interface for interface, _, _ in ends]
    facts |= settings(picture, machine, interfaces)
    for interface, mtu, bridge in ends:
        facts |= {("link", interface, "up"): True, ("link", interface, "mtu"): mtu}
        facts["link", interface, "master"] = bridge
    for plan in picture.plans:
        family = Family(plan.nodes.version)
        facts |= {("rule", int(family), priority): table for priority, table in _RULES[family].items()}
        for interface in (*_EVERYWHERE, *interfaces):
            facts["setting", int(family), interface, "forwarding"] = int(machine.forwards)
    for interface in (*_EVERYWHERE, *interfaces):  # the greater one of all's and its own counts
        facts["setting", 4, interface, "rp_filter"] = machine.reverse_path_filter
    for entry in picture.addresses:
        if entry.machine == name:
            facts["address", entry.interface, str(entry.address)] = True
            # What the kernel adds for an address, and somebody may flush.
            metric = _METRIC_OF_CONNECTED[Family(entry.address.version)]
            facts |= _by_the_kernel(Kind.UNICAST, MAIN_TABLE, entry.address.network, metric, entry.interface)
            own = ip_network(entry.address.ip)
            facts |= _by_the_kernel(Kind.LOCAL, LOCAL_TABLE, own, 0, entry.interface)
    for route in picture.routes:
        if route.machine == name:
            metric = _METRIC[Family(route.gateway.version)]
            key: Key = ("route", MAIN_TABLE, str(route.destination), metric, "to")
            facts[key] = (int(Kind.UNICAST), _STATIC, str(route.gateway))
    return facts


def _by_the_kernel(kind: Kind, table: int, to: IPNetwork, metric: int, interface: str) -> dict[Key, Value]:
    route: Key = ("route", table, str(to), metric)
    return {(*route, "to"): (int(kind), _BY_THE_KERNEL, ""), (*route, "by"): interface}


def bring_about(ip: IPRoute, facts: Mapping[Key, Value], wrong: Iterable[Key]) -> None:
    """Make those of the facts that are wrong true, in the calling thread's network namespace.

    The interfaces are there.

    Raises:
        NetlinkError, OSError: one was refused. LookupError: an interface is gone.
    """
    for key in sorted(wrong, key=lambda key: (_ORDER.index(str(key[0])), _by_gateway(facts, key), str(key))):
        value = facts[key]
        match key, value:
            case ("sysctl", _), _:
                sysctls.write(key, value)
            case ("setting", version, interface, what), _:
                # A kernel without IPv6 has none of its settings.
                with contextlib.suppress(FileNotFoundError):
                    sysctls.path(f"net/ipv{version}/conf/{interface}/{what}").write_text(f"{value}\n")
            case ("link", interface, "up"), _:
                ip.link("set", index=index_of(ip, str(interface)), state="up")
            case ("link", interface, "mtu"), _:
                ip.link("set", index=index_of(ip, str(interface)), mtu=value)
            case ("link", interface, "master"), _:
                master = index_of(ip, str(value)) if value else 0
                ip.link("set", index=index_of(ip, str(interface)), master=master)
            case ("address", interface, text), _:
                address = ip_interface(text)
                ip.addr(
                    "replace",
                    index=index_of(ip, str(interface)),
                    address=str(address.ip),
                    prefixlen=address.network.prefixlen,
                    **_FLAGS[address.version],
                )
            case ("route", _, destination, _, "to"), (_, _, gateway) if gateway:
                ip.route("replace", dst=destination, gateway=gateway)
            case ("route", table, destination, metric, "to"), (kind, owner, _):
                interface = str(facts[(*key[:4], "by")])
                ip.route(
                    "replace",
                    dst=destination,
                    table=table,
                    oif=index_of(ip, interface),
                    proto=owner,
                    type=kind,
                    **_origin(facts, str(destination), interface, int(metric), int(kind)),
                )
            case ("rule", version, priority), table:
                family = Family(int(version)).number
                ip.rule("add", family=family, priority=priority, table=table, protocol=_BY_THE_KERNEL)


def _by_gateway(facts: Mapping[Key, Value], key: Key) -> bool:
    """Routes without a gateway come before those whose gateway is reached by them."""
    value = facts[key]
    return isinstance(value, tuple) and bool(value[2])


def _origin(
    facts: Mapping[Key, Value], destination: str, interface: str, metric: int, kind: int
) -> dict[str, str | int]:
    """What else the kernel says of the routes that it makes of an address: in IPv4, from where one sends."""
    network = ip_network(destination)
    if network.version == 6:
        return {"priority": metric}  # nobody but the kernel can say 0: what is local is at 1024 then
    own = (ip_interface(str(key[2])) for key in facts if key[:2] == ("address", interface))
    source = next(each.ip for each in own if each.ip in network)
    return {"prefsrc": str(source), "scope": _HOST_SCOPE if kind == Kind.LOCAL else _LINK_SCOPE}


def index_of(ip: IPRoute, interface: str) -> int:
    """The number of an interface. Raises LookupError."""
    found = ip.link_lookup(ifname=interface)
    if not found:
        raise LookupError(f"no interface {interface}")
    return int(found[0])
