"""Routes to the pods of the other nodes, and for the addresses of our own that no pod has."""

from __future__ import annotations

import asyncio
import errno
import logging
import socket
from collections.abc import Iterable, Sequence
from ipaddress import ip_address, ip_network
from typing import Any

from pyroute2.netlink.exceptions import NetlinkError

from wellhead.api.meta import Obj
from wellhead.client.informer import Informer
from wellhead.client.reconciler import Reconciler
from wellhead.health import Attempts, Check
from wellhead.ip import IPAddress, IPNetwork, parse_address
from wellhead.linux.facts import Key, Value
from wellhead.linux.numbers import RouteOwner
from wellhead.linux.routes import MAIN_TABLE, Kind
from wellhead.node.network.pod_links import PodLinks

_log = logging.getLogger(__name__)

_PROTOCOL = int(RouteOwner.NODE)
_FAMILIES = {4: socket.AF_INET, 6: socket.AF_INET6}
_APPLYING_SECONDS = 30.0
_METRIC = {4: 0, 6: 1024}  # of a route that says none

Routes = dict[IPNetwork, IPAddress | None]
"""Destination to gateway; None: nobody is there, say so at once."""


def wanted(nodes: Iterable[Obj], own_name: str, own_cidrs: Sequence[IPNetwork]) -> Routes:
    """The routes that a node needs in the families that it has pods of, given all Node objects."""
    routes: Routes = dict.fromkeys(own_cidrs)
    families = {each.version for each in own_cidrs}
    for node in nodes:
        if node["metadata"]["name"] == own_name:
            continue
        addresses = internal_addresses(node)
        spec = node.get("spec") or {}
        for network in map(ip_network, filter(None, spec.get("podCIDRs") or [spec.get("podCIDR")])):
            if network.version in families & addresses.keys():
                routes[network] = addresses[network.version]
    return routes


def internal_addresses(node: Obj) -> dict[int, IPAddress]:
    """The node's first InternalIP of each family, by the family's number."""
    found: dict[int, IPAddress] = {}
    for each in (node.get("status") or {}).get("addresses") or []:
        if each["type"] == "InternalIP" and (address := parse_address(each["address"])) is not None:
            found.setdefault(address.version, address)
    return found


def facts(routes: Routes) -> dict[Key, Value]:
    """What the kernel says while these are all there."""
    found: dict[Key, Value] = {}
    for network, gateway in routes.items():
        kind = Kind.UNREACHABLE if gateway is None else Kind.UNICAST
        key = ("route", MAIN_TABLE, str(network), _METRIC[network.version], "to")
        found[key] = (kind, _PROTOCOL, str(gateway or ""))
    return found


class NodeRoutes:
    """Keeps the kernel's routes as the Node objects say, from their first list on."""

    def __init__(
        self,
        links: PodLinks,
        nodes: Informer,
        own_name: str,
        own_cidrs: Sequence[IPNetwork],
    ) -> None:
        self._links = links
        self._nodes = nodes
        self._own_name = own_name
        self._own_cidrs = own_cidrs
        self._reconciler: Reconciler[str] = Reconciler("routes", self._reconcile, workers=1)
        self._attempts = Attempts("routes", "routes are not as they should be", _APPLYING_SECONDS)
        nodes.on_change(self._changed)

    async def run(self) -> None:
        """Until cancelled. The routes stay."""
        await self._nodes.synced()
        self._reconciler.enqueue("all")
        await self._reconciler.run()

    def checks(self) -> list[Check]:
        """That the routes are in place."""
        return self._attempts.checks()

    def _changed(self, old: Obj | None, new: Obj | None) -> None:
        before, after = (_relevant(node) for node in (old, new))
        if before != after:
            self._reconciler.enqueue("all")

    async def _reconcile(self, _: str) -> None:
        now = asyncio.get_running_loop().time
        routes = wanted(self._nodes, self._own_name, self._own_cidrs)
        self._attempts.start(now())
        try:
            await self._links.set_routes(
                facts(routes), lambda ip: apply(ip, routes), lambda: self._reconciler.enqueue("all")
            )
        except Exception as error:
            self._attempts.fail(now(), str(error))
            raise
        self._attempts.succeed()


def _relevant(node: Obj | None) -> tuple[Any, ...]:
    if node is None:
        return ()
    spec = node.get("spec") or {}
    return internal_addresses(node), spec.get("podCIDR"), tuple(spec.get("podCIDRs") or ())


def apply(ip: Any, routes: Routes) -> None:
    """Make the kernel's routes that are ours, in the families of `routes`, be these. Raises NetlinkError."""
    present: Routes = {}
    for family in {destination.version for destination in routes}:
        for route in ip.get_routes(family=_FAMILIES[family], table=MAIN_TABLE, proto=_PROTOCOL):
            destination = ip_network(f"{route.get('dst')}/{route['dst_len']}")
            unreachable = route["type"] == Kind.UNREACHABLE
            present[destination] = None if unreachable else ip_address(route.get("gateway"))
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
