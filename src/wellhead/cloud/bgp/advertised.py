"""Which VIPs a node announces. Pure."""

from __future__ import annotations

import msgspec

from wellhead.api.meta import Obj
from wellhead.api.names import FORWARDER_CLASS
from wellhead.cloud.classes import class_of
from wellhead.ip import IPAddress
from wellhead.services.endpointslice import EndpointSlice
from wellhead.services.names import FrontendKind, ServiceKey
from wellhead.services.node import LocalNode
from wellhead.services.node_view import NodeView
from wellhead.services.service import Service, parse_service
from wellhead.services.service_map import ServiceMap


class ReadService(msgspec.Struct, frozen=True, gc=False):
    """What is kept of a Service object."""

    key: ServiceKey
    service: Service | None
    """None when it is no load balancer of ours."""


def read_service(obj: Obj) -> ReadService:
    """What is kept of a Service object."""
    metadata = obj["metadata"]
    found = parse_service(obj) if class_of(obj) == FORWARDER_CLASS else None
    return ReadService(ServiceKey(metadata["namespace"], metadata["name"]), found)


class Advertised:
    """The VIPs that one node announces, kept current by single changes.

    Under policy Cluster every node leads to every endpoint, so every node announces. Under Local those do
    that have a ready endpoint: the rule of the health-check node port, which is what other balancers ask.
    """

    def __init__(self, node_name: str) -> None:
        self._services = ServiceMap()
        self._view = NodeView(self._services, LocalNode(node_name))

    def set_service(self, read: ReadService, *, gone: bool = False) -> None:
        """A Service came, changed or went."""
        self._services.set_service(read.key, None if gone else read.service)

    def set_slice(self, namespace: str, name: str, found: EndpointSlice | None) -> None:
        """An EndpointSlice came, changed or went."""
        self._services.set_slice(namespace, name, found)

    def vips(self) -> frozenset[IPAddress]:
        """What to announce now."""
        self._view.update()
        return frozenset(
            vip
            for key in self._services
            if (service := self._services.service(key)) is not None and self._leads(service)
            for port in service.ports
            for vip in port.addresses(FrontendKind.LOAD_BALANCER_IP)
        )

    def _leads(self, service: Service) -> bool:
        if not any(port.external_local for port in service.ports):
            return True
        check = self._view.health_checks.get(service.key)
        return check is not None and check.local_endpoints > 0
