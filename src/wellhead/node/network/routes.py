"""Routes to the pods of the other nodes, and for the addresses of our own that no pod has.

A Node that changes costs what it changes: its own routes are written, many in one call. All of them are read
and compared at the start, and when somebody else has changed one.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Iterator, Sequence
from ipaddress import ip_network
from typing import Any

from wellhead.api.meta import Obj
from wellhead.client.informer import Informer
from wellhead.client.reconciler import Reconciler
from wellhead.health import Attempts, Check
from wellhead.ip import IPAddress, IPNetwork, parse_address
from wellhead.linux import rtnetlink
from wellhead.linux.facts import Key, Reader, Value
from wellhead.linux.numbers import RouteOwner
from wellhead.linux.routes import MAIN_TABLE, Kind
from wellhead.linux.rtnetlink import Request, Requests
from wellhead.node.network.pod_links import PodLinks

_log = logging.getLogger(__name__)

_PROTOCOL = int(RouteOwner.NODE)
_APPLYING_SECONDS = 30.0
_METRIC = {4: 0, 6: 1024}  # of a route that says none

Routes = dict[IPNetwork, IPAddress | None]
"""Destination to gateway; None: nobody is there, say so at once."""


class Wanted:
    """The routes that a node needs in the families that it has pods of, given all Node objects.

    Of several nodes with one network the first by name has it.
    """

    def __init__(self, own_name: str, own_cidrs: Sequence[IPNetwork]) -> None:
        self.routes: Routes = dict.fromkeys(own_cidrs)
        self._own_name = own_name
        self._own = frozenset(own_cidrs)
        self._families = {each.version for each in own_cidrs}
        self._claims: dict[IPNetwork, dict[str, IPAddress]] = {}

    def change(self, old: Obj | None, new: Obj | None) -> set[IPNetwork]:
        """A Node is another one now, or is added, or gone: the networks whose routes are others now."""
        name = (new or old or {})["metadata"]["name"]
        if name == self._own_name or _says(old) == _says(new):
            return set()
        before, after = (dict(self._routes_to(node)) for node in (old, new))
        touched = {each for each in before.keys() | after.keys() if before.get(each) != after.get(each)}
        return {each for each in touched if self._claim(each, name, after.get(each))}

    def _claim(self, network: IPNetwork, name: str, gateway: IPAddress | None) -> bool:
        claims = self._claims.setdefault(network, {})
        if gateway is None:
            claims.pop(name, None)
        else:
            claims[name] = gateway
        if network in self._own:
            return False
        before = self.routes.pop(network, None)
        if claims:
            self.routes[network] = claims[min(claims)]
        else:
            del self._claims[network]
        return self.routes.get(network) != before

    def _routes_to(self, node: Obj | None) -> Iterator[tuple[IPNetwork, IPAddress]]:
        if node is None:
            return
        addresses = internal_addresses(node)
        spec = node.get("spec") or {}
        for network in map(ip_network, filter(None, spec.get("podCIDRs") or [spec.get("podCIDR")])):
            if network.version in self._families & addresses.keys():
                yield network, addresses[network.version]


def internal_addresses(node: Obj) -> dict[int, IPAddress]:
    """The node's first InternalIP of each family, by the family's number."""
    found: dict[int, IPAddress] = {}
    for each in (node.get("status") or {}).get("addresses") or []:
        if each["type"] == "InternalIP" and (address := parse_address(each["address"])) is not None:
            found.setdefault(address.version, address)
    return found


def _says(node: Obj | None) -> tuple[Any, ...] | None:
    """What routes are made of, unread."""
    if node is None:
        return None
    spec = node.get("spec") or {}
    return (node.get("status") or {}).get("addresses"), spec.get("podCIDR"), spec.get("podCIDRs")


def facts(routes: Routes) -> dict[Key, Value]:
    """What the kernel says while these are all there."""
    found: dict[Key, Value] = {}
    for network, gateway in routes.items():
        kind = Kind.UNREACHABLE if gateway is None else Kind.UNICAST
        found[_key(network)] = (kind, _PROTOCOL, str(gateway or ""))
    return found


def _key(network: IPNetwork) -> Key:
    return ("route", MAIN_TABLE, str(network), _METRIC[network.version], "to")


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
        self._wanted = Wanted(own_name, own_cidrs)
        self._changed: set[IPNetwork] = set()
        self._doubtful = True
        """Whether the kernel's may be others than the wanted ones, but for those that have changed."""
        self._reconciler: Reconciler[str] = Reconciler("routes", self._reconcile, workers=1)
        self._attempts = Attempts("routes", "routes are not as they should be", _APPLYING_SECONDS)
        nodes.on_change(self._node_changed)

    async def run(self) -> None:
        """Until cancelled. The routes stay."""
        await self._nodes.synced()
        self._reconciler.enqueue("all")
        await self._reconciler.run()

    def checks(self) -> list[Check]:
        """That the routes are in place."""
        return self._attempts.checks()

    def _node_changed(self, old: Obj | None, new: Obj | None) -> None:
        if changed := self._wanted.change(old, new):
            self._changed |= changed
            self._reconciler.enqueue("all")

    def _doubt(self) -> None:
        self._doubtful = True
        self._reconciler.enqueue("all")

    async def _reconcile(self, _: str) -> None:
        now = asyncio.get_running_loop().time
        whole, self._doubtful = self._doubtful, False
        changed, self._changed = self._changed, set()
        routes = dict(self._wanted.routes)
        if not whole:
            routes = {each: routes[each] for each in changed & routes.keys()}
        gone = changed - routes.keys()
        self._attempts.start(now())
        try:
            await self._links.set_routes(
                facts(routes),
                [_key(each) for each in gone],
                lambda asker: apply(asker, routes, None if whole else gone),
                self._doubt,
            )
        except BaseException as error:
            self._doubtful = True
            self._attempts.fail(now(), str(error))
            raise
        self._attempts.succeed()


def apply(asker: Requests, routes: Routes, gone: Iterable[IPNetwork] | None) -> None:
    """Have these routes, and none to what is `gone`; None: none else of ours at all. Raises OSError."""
    if gone is None:
        held = {key: value for key, value in Reader().routes() if _is_ours(key, value)}
        wanted = facts(routes)
        gone = [ip_network(key[2]) for key in held.keys() - wanted.keys()]
        right = {ip_network(key[2]) for key, value in wanted.items() if held.get(key) == value}
        routes = {network: gateway for network, gateway in routes.items() if network not in right}
    if routes:
        said = (f"{network} by {gateway or 'nobody but pods'}" for network, gateway in routes.items())
        _log.info("routes: %s", ", ".join(said))
    asker.make(*map(_delete, gone), *(_put(network, gateway) for network, gateway in routes.items()))


def _is_ours(key: Key, value: Value | None) -> bool:
    return key[1] == MAIN_TABLE and key[4] == "to" and isinstance(value, tuple) and value[1] == _PROTOCOL


def _put(network: IPNetwork, gateway: IPAddress | None) -> Request:
    kind = Kind.UNREACHABLE if gateway is None else Kind.UNICAST
    return rtnetlink.put_route(None, network, gateway=gateway, kind=kind, protocol=_PROTOCOL)


def _delete(network: IPNetwork) -> Request:
    return rtnetlink.delete_route(network, protocol=_PROTOCOL)
