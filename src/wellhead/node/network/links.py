"""A pod's link to its node: a veth pair, addresses, routes, and permanent neighbours on both ends.

The same in both families.

A pod's address has the prefix length of the node's pod CIDR, so that it looks as on any cluster, but the
connected route that comes with it is replaced: even a neighbour is reached through the gateway. The permanent
neighbour entries mean that no packet waits for ARP or neighbour discovery and no arp_* setting matters; and
no IPv6 address waits until it is sure that nobody else has it. A packet's way in is its answer's way out, so
strict reverse-path filtering passes it.
"""

from __future__ import annotations

import errno
import hashlib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pyroute2 import IPRoute
from pyroute2.netlink.exceptions import NetlinkError

from wellhead.linux import namespaces
from wellhead.node.network.families import IPAddress, IPInterface, gateway

POD_MTU = 1460
_NODE_MAC = "ee:ee:ee:ee:ee:ee"
_BY_THE_KERNEL = 2  # RTPROT_KERNEL
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
    **{
        f"{which}/{name}": "0"
        for which in ("all", "default")
        for name in ("accept_ra", "autoconf", "use_tempaddr")
    },
}


def interface_name(pod_uid: str) -> str:
    """The node's end of the pod's link."""
    return "veth" + hashlib.sha256(pod_uid.encode()).hexdigest()[:8]


def mac_address(address: IPAddress) -> str:
    """The pod's hardware address, made from its first IP address as CNI's host-local users do."""
    return "0a:58:" + address.packed[-4:].hex(":")


def connect(ip: Any, pod_uid: str, namespace: Path, addresses: Sequence[IPInterface]) -> None:
    """Give the pod in the network namespace file its link. `ip` is an IPRoute of the node.

    `addresses` are one of each family, with their node's prefix lengths, the primary one first. Replaces a
    link of that pod that was left half made. Blocks for some milliseconds. Raises NetlinkError.
    """
    name, mac = interface_name(pod_uid), mac_address(addresses[0].ip)
    disconnect(ip, pod_uid)
    with namespaces.inside(namespace, namespaces.CLONE_NEWNET):
        _set_sysctls(addresses)  # before there is an interface, which takes over the defaults
    fd = os.open(namespace, os.O_RDONLY | os.O_CLOEXEC)
    try:
        peer = {"ifname": "eth0", "address": mac, "mtu": POD_MTU, "net_ns_fd": fd}
        ip.link("add", ifname=name, kind="veth", mtu=POD_MTU, address=_NODE_MAC, state="up", peer=peer)
    finally:
        os.close(fd)
    index = ip.link_lookup(ifname=name)[0]
    with namespaces.inside(namespace, namespaces.CLONE_NEWNET), IPRoute() as pod:
        _pod_side(pod, addresses)
    for each in addresses:
        router, alone = gateway(each.network), each.max_prefixlen
        ip.addr("add", index=index, address=str(router), prefixlen=alone, **_FLAGS[each.version])
        ip.neigh("replace", ifindex=index, dst=str(each.ip), lladdr=mac, state="permanent")
        ip.route("replace", dst=f"{each.ip}/{alone}", oif=index, scope="link")


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
