"""How one node handles every Service, and what a change to that consists of."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from wellhead.services.names import PortKey, ServiceKey
from wellhead.services.node import LocalNode
from wellhead.services.service import Service
from wellhead.services.service_map import ServiceMap
from wellhead.services.view import PortView, view_port


class HealthCheck(NamedTuple):
    """What a Service's health-check node port has to answer on this node."""

    node_port: int
    local_endpoints: int
    """Ready endpoints on this node, by distinct address, in the Service's first family. Terminating ones
    don't count, though they may still serve: load balancers must move on before they are gone."""


@dataclass(frozen=True, slots=True)
class ViewDiff:
    """What changed in a view: (before, after) by key; None where there was or is nothing."""

    node: LocalNode
    """The node as it is now. Where it differs from before, every port that this affects is in `ports`."""
    ports: Mapping[PortKey, tuple[PortView | None, PortView | None]] = field(default_factory=dict)
    health_checks: Mapping[ServiceKey, tuple[HealthCheck | None, HealthCheck | None]] = field(
        default_factory=dict
    )

    def __bool__(self) -> bool:
        return bool(self.ports or self.health_checks)


class NodeView:
    """The view that one node has of a `ServiceMap`.

    `update` brings it up to date, at the cost of what changed. It always equals the view made from nothing.
    """

    def __init__(self, services: ServiceMap, node: LocalNode) -> None:
        self._services = services
        self._node = node
        self._ports: dict[PortKey, PortView] = {}
        self._ports_of: dict[ServiceKey, tuple[PortKey, ...]] = {}
        self._health_checks: dict[ServiceKey, HealthCheck] = {}
        self._all_stale = True
        self._preserving_stale = False

    @property
    def node(self) -> LocalNode:
        return self._node

    @property
    def ports(self) -> Mapping[PortKey, PortView]:
        """How each port is handled, as of the last update."""
        return self._ports

    @property
    def health_checks(self) -> Mapping[ServiceKey, HealthCheck]:
        """The health-check node ports, as of the last update."""
        return self._health_checks

    def set_node(self, node: LocalNode) -> bool:
        """Note what is now known of this node. Returns whether anything of it changed."""
        if node == self._node:
            return False
        before = dataclasses.replace(self._node, ways=node.ways)  # which no Service depends on
        # Other nodes come and go more often than anything changes about this one.
        if dataclasses.replace(before, returning=node.returning, inside=node.inside) != node:
            self._all_stale = True
        elif before != node:
            self._preserving_stale = True
        self._node = node
        return True

    def update(self) -> ViewDiff:
        """Take in what changed since the last update, and say what that changes for this node."""
        stale: Iterable[ServiceKey] = self._services.take_changed()
        if self._preserving_stale:
            by_flag = self._node.preserve_client_ip
            stale = {*stale, *(self._services if by_flag else self._services.preserving)}
            self._preserving_stale = False
        if self._all_stale:
            # In the order of the map rather than a set's: what was made together lies together in memory.
            stale = dict.fromkeys((*self._services, *self._ports_of, *stale))
            self._all_stale = False
        ports: dict[PortKey, tuple[PortView | None, PortView | None]] = {}
        checks: dict[ServiceKey, tuple[HealthCheck | None, HealthCheck | None]] = {}
        for key in stale:
            service = self._services.service(key)
            self._update_ports(key, service, ports)
            self._update_health_check(key, service, checks)
        return ViewDiff(self._node, ports, checks)

    def _update_ports(
        self,
        key: ServiceKey,
        service: Service | None,
        changes: dict[PortKey, tuple[PortView | None, PortView | None]],
    ) -> None:
        views: dict[PortKey, PortView] = {}
        for port in service.ports if service else ():
            held, endpoints = self._services.held(port), self._services.endpoints(port, key)
            views[port.key] = view_port(port, held, endpoints, self._node)
        former = self._ports_of.get(key, ())
        known = self._ports
        for port_key, after in views.items():
            before = known.get(port_key)
            if before != after:
                changes[port_key] = (before, after)
                known[port_key] = after
        for port_key in former:
            if port_key not in views:
                changes[port_key] = (known.pop(port_key), None)
        if views:
            self._ports_of[key] = tuple(views)
        else:
            self._ports_of.pop(key, None)

    def _update_health_check(
        self,
        key: ServiceKey,
        service: Service | None,
        changes: dict[ServiceKey, tuple[HealthCheck | None, HealthCheck | None]],
    ) -> None:
        before = self._health_checks.get(key)
        after = self._health_check(service) if service else None
        if before == after:
            return
        changes[key] = (before, after)
        if after is None:
            del self._health_checks[key]
        else:
            self._health_checks[key] = after

    def _health_check(self, service: Service) -> HealthCheck | None:
        if service.health_check_node_port is None:
            return None
        here = {
            address.ip
            for port in service.ports
            if port.key.family == service.primary_family
            for address, endpoint in self._services.endpoints(port).items()
            if endpoint.ready and endpoint.node == self._node.name
        }
        return HealthCheck(service.health_check_node_port, len(here))
