"""A pod's link to its node: a veth pair, addresses, routes, and permanent neighbours on both ends.

The same in both families.

A pod's address has the prefix length of the node's pod CIDR, so that it looks as on any cluster, but the
connected route that comes with it is replaced: even a neighbour is reached through the gateway. The permanent
neighbour entries mean that no packet waits for ARP or neighbour discovery and no arp_* setting matters; and
no IPv6 address waits until it is sure that nobody else has it. A packet's way in is its answer's way out, so
strict reverse-path filtering passes it.

A link is of an interface group of its own (POD_LINK_GROUP) from its first moment, by which the node's rules
know it: what comes in there has to have a source address of the pod's.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import ip_address, ip_interface, ip_network
from pathlib import Path

from wellhead.ip import Family
from wellhead.linux import namespaces, rtnetlink, sysctls
from wellhead.linux.facts import Key, Value
from wellhead.linux.numbers import POD_LINK_GROUP, POD_LINK_PREFIX
from wellhead.linux.routes import LOCAL_TABLE, MAIN_TABLE, Kind
from wellhead.linux.rtnetlink import Requests
from wellhead.node.network.families import IPAddress, IPInterface, gateway

POD_MTU = 1460
_NODE_MAC = "ee:ee:ee:ee:ee:ee"
_NODE_LINK_LOCAL = "fe80::ecee:eeff:feee:eeee/64"  # what the kernel makes of it
_STATIC = 4  # RTPROT_STATIC
_LOOPBACK = ip_network("::1/128")
_BEHIND_ALL = 0x57000000  # a metric
_METRIC = {4: 0, 6: 1024}  # of a route that says none
_ALL_GROUPS = "0 2147483647"
_SYSCTLS = {
    # As containerd sets them: ports below 1024 and ping need no capability inside a pod.
    "net/ipv4/ip_unprivileged_port_start": "0",
    "net/ipv4/ping_group_range": _ALL_GROUPS,
}
_IPV6_SYSCTLS = {
    "all/disable_ipv6": "0",  # for all interfaces, and those to come
    "default/addr_gen_mode": "0",  # link-local addresses are made of hardware addresses
    **{
        f"{which}/{name}": "0"
        for which in ("all", "default")
        for name in ("accept_ra", "autoconf", "use_tempaddr")
    },
}


def interface_name(pod_uid: str) -> str:
    """The node's end of the pod's link."""
    return POD_LINK_PREFIX + hashlib.sha256(pod_uid.encode()).hexdigest()[:8]


def mac_address(address: IPAddress) -> str:
    """The pod's hardware address, made from its first IP address as CNI's host-local users do."""
    return "0a:58:" + address.packed[-4:].hex(":")


def link_local(address: IPAddress) -> IPAddress:
    """The link-local address that goes with `mac_address` (RFC 4291, appendix A)."""
    mac = bytes.fromhex(mac_address(address).replace(":", ""))
    return ip_address(b"\xfe\x80" + bytes(6) + bytes((mac[0] ^ 2,)) + mac[1:3] + b"\xff\xfe" + mac[3:])


@dataclass(frozen=True)
class PodLink:
    """What a pod's link shall be. `addresses` are one of each family, with their node's prefix lengths.

    The primary one comes first. `spoofs`: the pod may send with any source address. `localnet`: the IP
    versions in which connections from the node's own loopback addresses may go to the pod.
    """

    uid: str
    addresses: tuple[IPInterface, ...]
    spoofs: bool = False
    localnet: frozenset[int] = frozenset()

    @property
    def name(self) -> str:
        """The node's end."""
        return interface_name(self.uid)

    @property
    def mac(self) -> str:
        """The pod's end's."""
        return mac_address(self.addresses[0].ip)

    @property
    def group(self) -> int:
        return 0 if self.spoofs else POD_LINK_GROUP

    @property
    def sources(self) -> tuple[IPAddress, ...]:
        """From which addresses the pod sends."""
        found = tuple(each.ip for each in self.addresses)
        has_ipv6 = any(each.version == 6 for each in found)
        return (*found, link_local(found[0])) if has_ipv6 else found

    def facts(self) -> dict[Key, Value]:
        """What the kernel says of the node's end while all is well."""
        found: dict[Key, Value] = {
            ("link", self.name, "up"): True,
            ("link", self.name, "mtu"): POD_MTU,
            ("link", self.name, "group"): self.group,
        }
        if 4 in self.localnet:
            found[self.route_localnet] = 1
        if any(each.version == 6 for each in self.addresses):
            found[("address", self.name, _NODE_LINK_LOCAL)] = True
        for each in self.addresses:
            alone, metric = each.max_prefixlen, _METRIC[each.version]
            found[("address", self.name, f"{gateway(each.network)}/{alone}")] = True
            found[("neighbour", self.name, str(each.ip))] = self.mac
            route = ("route", MAIN_TABLE, f"{each.ip}/{alone}", metric)
            found[(*route, "to")] = (Kind.UNICAST, _STATIC, "")
            found[(*route, "by")] = self.name
        if 6 in self.localnet:
            route = ("route", LOCAL_TABLE, str(_LOOPBACK), self.loopback_metric)
            found[(*route, "to")] = (Kind.LOCAL, _STATIC, "")
            found[(*route, "by")] = self.name
        return found

    @property
    def route_localnet(self) -> Key:
        """The setting by which answers to 127.0.0.1 come in."""
        return sysctls.key(f"net/ipv4/conf/{self.name}/route_localnet")

    @property
    def loopback_metric(self) -> int:
        """Of the route by which answers to ::1 come in: behind the kernel's own, and no other link's."""
        return _BEHIND_ALL + int(self.name[-6:], 16)


def connect(node: Requests, link: PodLink, namespace: Path) -> None:
    """Give the pod in the network namespace file its link. `node` asks in the node's network namespace.

    Replaces a link of that pod that was left half made. Blocks for a millisecond or more.
    Raises NetlinkError.
    """
    with namespaces.inside(namespace, namespaces.CLONE_NEWNET):
        _set_sysctls(link.addresses)  # before there is an interface, which takes over the defaults
        pod = Requests()
    with pod:
        fd = os.open(namespace, os.O_RDONLY | os.O_CLOEXEC)
        try:
            node.make(
                rtnetlink.delete_link(link.name),
                rtnetlink.add_veth(link.name, _NODE_MAC, POD_MTU, link.group, "eth0", link.mac, fd),
            )
        finally:
            os.close(fd)
        mend(node, link)
        _pod_side(pod, link.addresses)


def mend(node: Requests, link: PodLink) -> bool:
    """Make the node's end of the link what it shall be. False if there is no link. Raises NetlinkError."""
    index = node.index(link.name)
    if index is None:
        return False
    requests = [rtnetlink.set_up(index, mtu=POD_MTU, group=link.group)]
    if 4 in link.localnet:
        sysctls.file_of(link.route_localnet).write_text("1")
    if 6 in link.localnet:
        # For IPv6 there is no such setting, but what is for a loopback address is routed by the interface by
        # which it came (route.c: rt6_need_strict). Nobody can send to ::1 itself: only answers become that.
        requests.append(
            rtnetlink.put_route(
                index, _LOOPBACK, kind=Kind.LOCAL, table=LOCAL_TABLE, metric=link.loopback_metric
            )
        )
    if any(each.version == 6 for each in link.addresses):
        # The kernel has made it already, unless somebody has taken it away.
        own = ip_interface(_NODE_LINK_LOCAL)
        requests.append(rtnetlink.put_address(index, own.ip, own.network.prefixlen))
    for each in link.addresses:
        requests += [
            rtnetlink.put_address(index, gateway(each.network), each.max_prefixlen),
            rtnetlink.put_neighbour(index, each.ip, link.mac),
            rtnetlink.put_route(index, ip_network(each.ip)),
        ]
    node.make(*requests)
    return True


def _set_sysctls(addresses: Sequence[IPInterface]) -> None:
    for name, value in _SYSCTLS.items():
        sysctls.path(name).write_text(value)
    if any(each.version == 6 for each in addresses):
        for name, value in _IPV6_SYSCTLS.items():
            sysctls.path(f"net/ipv6/conf/{name}").write_text(value)


def _pod_side(pod: Requests, addresses: Sequence[IPInterface]) -> None:
    index = pod.index("eth0", absent=())
    assert index is not None
    requests = [rtnetlink.set_up(1), rtnetlink.set_up(index)]
    for each in addresses:
        network, router = each.network, gateway(each.network)
        requests += [
            rtnetlink.put_address(index, each.ip, network.prefixlen),
            rtnetlink.put_neighbour(index, router, _NODE_MAC),
            rtnetlink.delete_connected_route(index, network),
            rtnetlink.put_route(index, ip_network(router), source=each.ip),
            rtnetlink.put_route(index, network, gateway=router, source=each.ip),
            rtnetlink.put_route(index, Family(each.version).everywhere, gateway=router),
        ]
    pod.make(*requests)


def disconnect(node: Requests, pod_uid: str) -> None:
    """Remove the pod's link, and with it its routes and neighbours. Nothing if it has none."""
    node.make(rtnetlink.delete_link(interface_name(pod_uid)))
