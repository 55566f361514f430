"""Small worlds for the tests of the API."""

from ipaddress import ip_network
from typing import Any

from msgspec.structs import replace

from wellhead.api import writes
from wellhead.api.errors import Invalid
from wellhead.api.kinds.service.allocation import DEFAULT_NODE_PORTS, ServicePool, allocate, holdings
from wellhead.api.meta import Obj
from wellhead.api.ranges import AddressRanges, family_of
from wellhead.api.resource import Resource
from wellhead.api.resources import SERVICES
from wellhead.api.schema import decode
from wellhead.api.strategy import Context

CONTEXT = Context(namespace="default", now="2026-01-01T00:00:00Z")


def create(resource: Resource, obj: Obj, context: Context = CONTEXT) -> Obj:
    """What the API server makes of a new object."""
    received = writes.received(resource, decode(obj, resource.gvk, "Strict").object, context)
    return writes.create(resource, received, context)


def update(resource: Resource, new: Obj, old: Obj, subresource: str = "", context: Context = CONTEXT) -> Obj:
    received = decode(new, resource.gvk, "Strict").object
    if not subresource:
        received = writes.received(resource, received, context)
    return writes.update(resource, received, old, context, subresource)


def named(name: str = "a", **fields: Any) -> Obj:
    return {"metadata": {"name": name}, **fields}


def problems(error: Invalid) -> list[str]:
    return [str(cause) for cause in error.causes]


class Services:
    """The Services of a cluster: stored, with what they hold taken from a pool."""

    def __init__(self, *ranges: str, node_ports: range = DEFAULT_NODE_PORTS) -> None:
        networks = tuple(map(ip_network, ranges))
        self.pool = ServicePool(AddressRanges(networks), node_ports)
        self.context = replace(CONTEXT, ip_families=tuple(map(family_of, networks)))
        self.stored: dict[str, Obj] = {}

    def create(self, name: str = "a", **spec: Any) -> Obj:
        new = named(name, spec={"ports": [{"port": 80}], **spec})
        return self._store(create(SERVICES, new, self.context), None)

    def update(self, name: str = "a", **spec: Any) -> Obj:
        """Merge `spec` into the Service's; None removes a field."""
        old = self.stored[name]
        merged = {field: value for field, value in {**old["spec"], **spec}.items() if value is not None}
        return self._store(update(SERVICES, {**old, "spec": merged}, old, context=self.context), old)

    def delete(self, name: str = "a") -> None:
        self.pool.remove(holdings(self.stored.pop(name)))

    def _store(self, new: Obj, old: Obj | None) -> Obj:
        allocated = allocate(new, old, self.pool)
        before, after = holdings(old), holdings(allocated)
        self.pool.add(after.without(before))
        self.pool.remove(before.without(after))
        self.stored[new["metadata"]["name"]] = allocated
        return allocated
