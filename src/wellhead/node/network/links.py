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

import errno
import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from pyroute2 import IPRoute
from pyroute2.netlink.exceptions import NetlinkError

from wellhead.linux import namespaces
from wellhead.linux.facts import Key, Value
from wellhead.linux.numbers import POD_LINK_GROUP, POD_LINK_PREFIX
from wellhead.linux.routes import LOCAL_TABLE, MAIN_TABLE, Kind
from wellhead.node.network.families import IPAddress, IPInterface, gateway

POD_MTU = 1460
_NODE_MAC = "ee:ee:ee:ee:ee:ee"
_NODE_LINK_LOCAL = "fe80::ecee:eeff:feee:eeee/64"  # what the kernel makes of it
_BY_THE_KERNEL, _STATIC = 2, 4  # RTPROT_KERNEL, RTPROT_STATIC
_LOOPBACK = "::1"
_BEHIND_ALL = 0x57000000  # a metric
_METRIC = {4: 0, 6: 1024}  # of a route that says none
_ALL_GROUPS = "0 2147483647"
# IFA_F_NODAD: an IPv6 address can be used at once, and not only when nobody has answered for it (RFC 4862).
_FLAGS = {4: {}, 6: {"flags": 0x02}}
_SYSCTLS = {
    # As containerd sets them: ports below 1024 and ping need no capability inside a pod.
    "/proc/sys/net/ipv4/ip_unprivileged_port_start": "0",
    "/proc/sys/net/ipv4/ping_group_range": _ALL_GROUPS,
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
            route = ("route", LOCAL_TABLE, f"{_LOOPBACK}/128", self.loopback_metric)
            found[(*route, "to")] = (Kind.LOCAL, _STATIC, "")
            found[(*route, "by")] = self.name
        return found

    @property
    def loopback_metric(self) -> int:
        """Of the route by which answers to ::1 come in: behind the kernel's own, and no other link's."""
        return _BEHIND_ALL + int(self.name[-6:], 16)


def connect(ip: Any, link: PodLink, namespace: Path) -> None:
    """Give the pod in the network namespace file its link. `ip` is an IPRoute of the node.

    Replaces a link of that pod that was left half made. Blocks for some milliseconds. Raises NetlinkError.
    """
    disconnect(ip, link.uid)
    with namespaces.inside(namespace, namespaces.CLONE_NEWNET):
        _set_sysctls(link.addresses)  # before there is an interface, which takes over the defaults
    fd = os.open(namespace, os.O_RDONLY | os.O_CLOEXEC)
    try:
        peer = {"ifname": "eth0", "address": link.mac, "mtu": POD_MTU, "net_ns_fd": fd}
        ip.link(
            "add",
            ifname=link.name,
            kind="veth",
            mtu=POD_MTU,
            address=_NODE_MAC,
            group=link.group,
            peer=peer,
        )
    finally:
        os.close(fd)
    mend(ip, link)
    with namespaces.inside(namespace, namespaces.CLONE_NEWNET), IPRoute() as pod:
        _pod_side(pod, link.addresses)


def mend(ip: Any, link: PodLink) -> bool:
    """Make the node's end of the link what it shall be. False if there is no link. Raises NetlinkError."""
    found = ip.link_lookup(ifname=link.name)
    if not found:
        return False
    index = found[0]
    ip.link("set", index=index, state="up", mtu=POD_MTU, group=link.group)
    if 4 in link.localnet:
        Path(f"/proc/sys/net/ipv4/conf/{link.name}/route_localnet").write_text("1")
    if 6 in link.localnet:
        # For IPv6 there is no such setting, but what is for a loopback address is routed by the interface by
        # which it came (route.c: rt6_need_strict). Nobody can send to ::1 itself: only answers become that.
        ip.route(
            "replace",
            dst=f"{_LOOPBACK}/128",
            oif=index,
            type="local",
            table=LOCAL_TABLE,
            proto=_STATIC,
            priority=link.loopback_metric,
        )
    if any(each.version == 6 for each in link.addresses):
        # The kernel has made it already, unless somebody has taken it away.
        address, _, length = _NODE_LINK_LOCAL.partition("/")
        ip.addr("replace", index=index, address=address, prefixlen=int(length), **_FLAGS[6])
    for each in link.addresses:
        router, alone = gateway(each.network), each.max_prefixlen
        ip.addr("replace", index=index, address=str(router), prefixlen=alone, **_FLAGS[each.version])
        ip.neigh("replace", ifindex=index, dst=str(each.ip), lladdr=link.mac, state="permanent")
        ip.route("replace", dst=f"{each.ip}/{alone}", oif=index, scope="link", proto=_STATIC)
    return True


def _set_sysctls(addresses: Sequence[IPInterface]) -> None:
    for path, value in _SYSCTLS.items():
        Path(path).write_text(value)
    if any(each.version == 6 for each in addresses):
        for name, value in _IPV6_SYSCTLS.items():
            Path("/proc/sys/net/ipv6/conf", name).write_text(value)


def _pod_side(ip: Any, addresses: Sequence[IPInterface]) -> None:
    index = ip.link_lookup(ifname="eth0")[0]
    ip.link("set", index=1, state="up")
    ip.link("set", index=index, state="up")
    for each in addresses:
        address, network, router = str(each.ip), str(each.network), str(gateway(each.network))
        prefix = each.network.prefixlen
        ip.addr("add", index=index, address=address, prefixlen=prefix, **_FLAGS[each.version])
        ip.neigh("replace", ifindex=index, dst=router, lladdr=_NODE_MAC, state="permanent")
        ip.route("del", dst=network, oif=index, proto=_BY_THE_KERNEL, scope="link")
        ip.route("add", dst=f"{router}/{each.max_prefixlen}", oif=index, scope="link", prefsrc=address)
        ip.route("add", dst=network, gateway=router, oif=index, prefsrc=address)
        ip.route("add", dst="0.0.0.0/0" if each.version == 4 else "::/0", gateway=router, oif=index)


def disconnect(ip: Any, pod_uid: str) -> None:
    """Remove the pod's link, and with it its routes and neighbours. Nothing if it has none."""
    try:
        ip.link("del", ifname=interface_name(pod_uid))
    except NetlinkError as error:
        if error.code != errno.ENODEV:
            raise
