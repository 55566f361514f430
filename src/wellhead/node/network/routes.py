"""Routes to the pods of the other nodes, and for the addresses of our own that no pod has."""

from __future__ import annotations

import errno
import logging
import socket
from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network
from typing import Any

from pyroute2.netlink.exceptions import NetlinkError

from wellhead.api.meta import Obj
from wellhead.client.informer import Informer
from wellhead.client.reconciler import Reconciler
from wellhead.node.network.netlink import Netlink

_log = logging.getLogger(__name__)

_PROTOCOL = 0x57  # who installed a route (rtnetlink(7), rtm_protocol); 0x57 is nobody's in iproute2's list
_MAIN_TABLE = 254
_UNREACHABLE = 7  # RTN_UNREACHABLE

Routes = dict[IPv4Network, IPv4Address | None]
"""Destination to gateway; None: nobody is there, say so at once."""


def wanted(nodes: Iterable[Obj], own_name: str, own_cidr: IPv4Network) -> Routes:
    """The routes that a node needs, given all Node objects."""
    routes: Routes = {own_cidr: None}
    for node in nodes:
        if node["metadata"]["name"] == own_name:
            continue
        address = internal_address(node)
        spec = node.get("spec") or {}
        for text in spec.get("podCIDRs") or [spec.get("podCIDR") or ""]:
            if address is not None and text and ":" not in text:
                routes[IPv4Network(text)] = address
    return routes


def internal_address(node: Obj) -> IPv4Address | None:
    """The node's IPv4 InternalIP."""
    for each in (node.get("status") or {}).get("addresses") or []:
        if each["type"] == "InternalIP" and ":" not in each["address"]:
            return IPv4Address(each["address"])
    return None


class NodeRoutes:
    """Keeps the kernel's routes as the Node objects say, from their first list on."""

    def __init__(self, netlink: Netlink, nodes: Informer, own_name: str, own_cidr: IPv4Network) -> None:
        self._netlink = netlink
        self._nodes = nodes
        self._own_name = own_name
        self._own_cidr = own_cidr
        self._reconciler: Reconciler[str] = Reconciler("routes", self._reconcile, workers=1)
        nodes.on_change(self._changed)

    async def run(self) -> None:
        """Until cancelled. The routes stay."""
        await self._nodes.synced()
        self._reconciler.enqueue("all")
        await self._reconciler.run()

    def _changed(self, old: Obj | None, new: Obj | None) -> None:
        before, after = (_relevant(node) for node in (old, new))
        if before != after:
            self._reconciler.enqueue("all")

    async def _reconcile(self, _: str) -> None:
        routes = wanted(self._nodes, self._own_name, self._own_cidr)
        await self._netlink.run(lambda ip: apply(ip, routes))


def _relevant(node: Obj | None) -> tuple[Any, ...]:
    if node is None:
        return ()
    spec = node.get("spec") or {}
    return internal_address(node), spec.get("podCIDR"), tuple(spec.get("podCIDRs") or ())


def apply(ip: Any, routes: Routes) -> None:
    """Make the kernel's routes that are ours be `routes`. Raises NetlinkError."""
    present = {}
    for route in ip.get_routes(family=socket.AF_INET, table=_MAIN_TABLE, proto=_PROTOCOL):
        destination = IPv4Network(f"{route.get('dst')}/{route['dst_len']}")
        present[destination] = None if route["type"] == _UNREACHABLE else IPv4Address(route.get("gateway"))
    for destination in present.keys() - routes.keys():
        try:
            ip.route("del", dst=str(destination), proto=_PROTOCOL)
        except NetlinkError as error:
            if error.code != errno.ESRCH:
                raise
    for destination, gateway in routes.items():
        if destination in present and present[destination] == gateway:
            continue
        _log.info("route to %s: %s", destination, gateway or "unreachable, but for its pods")
        if gateway is None:
            ip.route("replace", dst=str(destination), type="unreachable", proto=_PROTOCOL)
        else:
            ip.route("replace", dst=str(destination), gateway=str(gateway), proto=_PROTOCOL)
