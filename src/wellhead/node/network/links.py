"""A pod's link to its node: a veth pair, addresses, routes, and permanent neighbours on both ends.

The pod's address has the prefix length of the node's pod CIDR, so that it looks as on any cluster, but the
connected route that comes with it is replaced: even a neighbour is reached through the gateway. The permanent
neighbour entries mean that no packet waits for ARP and no arp_* setting matters. A packet's way in is its
answer's way out, so strict reverse-path filtering passes it.
"""

from __future__ import annotations

import errno
import hashlib
import os
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from typing import Any

from pyroute2 import IPRoute
from pyroute2.netlink.exceptions import NetlinkError

from wellhead.linux import namespaces
from wellhead.node.network.allocation import gateway

POD_MTU = 1460
_NODE_MAC = "ee:ee:ee:ee:ee:ee"
_BY_THE_KERNEL = 2  # RTPROT_KERNEL
_ALL_GROUPS = "0 2147483647"
_SYSCTLS = {
    # As containerd sets them: ports below 1024 and ping need no capability inside a pod.
    "/proc/sys/net/ipv4/ip_unprivileged_port_start": "0",
    "/proc/sys/net/ipv4/ping_group_range": _ALL_GROUPS,
}


def interface_name(pod_uid: str) -> str:
    """The node's end of the pod's link."""
    return "veth" + hashlib.sha256(pod_uid.encode()).hexdigest()[:8]


def mac_address(address: IPv4Address) -> str:
    """The pod's hardware address, made from its IPv4 address as CNI's host-local users do."""
    return "0a:58:" + ":".join(f"{byte:02x}" for byte in address.packed)


def connect(ip: Any, pod_uid: str, namespace: Path, address: IPv4Address, network: IPv4Network) -> None:
    """Give the pod in the network namespace file its link. `ip` is an IPRoute of the node.

    Replaces a link of that pod that was left half made. Blocks for some milliseconds. Raises NetlinkError.
    """
    name, router = interface_name(pod_uid), str(gateway(network))
    disconnect(ip, pod_uid)
    fd = os.open(namespace, os.O_RDONLY | os.O_CLOEXEC)
    try:
        peer = {"ifname": "eth0", "address": mac_address(address), "mtu": POD_MTU, "net_ns_fd": fd}
        ip.link("add", ifname=name, kind="veth", mtu=POD_MTU, address=_NODE_MAC, state="up", peer=peer)
    finally:
        os.close(fd)
    index = ip.link_lookup(ifname=name)[0]
    with namespaces.inside(namespace, namespaces.CLONE_NEWNET):
        for path, value in _SYSCTLS.items():
            Path(path).write_text(value)
        with IPRoute() as pod:
            _pod_side(pod, str(address), network, router)
    ip.addr("add", index=index, address=router, prefixlen=32)
    ip.neigh("replace", ifindex=index, dst=str(address), lladdr=mac_address(address), state="permanent")
    ip.route("replace", dst=f"{address}/32", oif=index, scope="link")


def _pod_side(ip: Any, address: str, network: IPv4Network, router: str) -> None:
    index = ip.link_lookup(ifname="eth0")[0]
    ip.link("set", index=1, state="up")
    ip.link("set", index=index, state="up")
    ip.addr("add", index=index, address=address, prefixlen=network.prefixlen)
    ip.neigh("replace", ifindex=index, dst=router, lladdr=_NODE_MAC, state="permanent")
    ip.route("del", dst=str(network), oif=index, proto=_BY_THE_KERNEL, scope="link")
    ip.route("add", dst=f"{router}/32", oif=index, scope="link", prefsrc=address)
    ip.route("add", dst=str(network), gateway=router, oif=index, prefsrc=address)
    ip.route("add", dst="0.0.0.0/0", gateway=router, oif=index)


def disconnect(ip: Any, pod_uid: str) -> None:
    """Remove the pod's link, and with it its routes and neighbours. Nothing if it has none."""
    try:
        ip.link("del", ifname=interface_name(pod_uid))
    except NetlinkError as error:
        if error.code != errno.ENODEV:
            raise
