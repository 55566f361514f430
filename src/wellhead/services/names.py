"""How Services, their ports and their frontends are named."""

from __future__ import annotations

import enum
from typing import NamedTuple

import msgspec

from wellhead.ip import Family, IPAddress, Protocol


class ServiceKey(msgspec.Struct, frozen=True, order=True, cache_hash=True, gc=False):
    """A Service: its namespace and name."""

    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"


class PortKey(msgspec.Struct, frozen=True, order=True, cache_hash=True, gc=False):
    """One port of a Service in one family: the unit in which traffic is handled."""

    family: Family
    namespace: str
    service: str
    port: str
    """The port's name; empty when the Service has a single, unnamed port."""

    @property
    def service_key(self) -> ServiceKey:
        return ServiceKey(self.namespace, self.service)

    def __str__(self) -> str:
        """`namespace/service:port`, as kube-proxy writes it into comments and hashes it into chain names."""
        name = f"{self.namespace}/{self.service}"
        return f"{name}:{self.port}" if self.port else name


class FrontendKind(enum.IntEnum):
    """What makes a frontend reach a Service. The order decides when one Service claims a frontend twice."""

    CLUSTER_IP = 0
    EXTERNAL_IP = 1
    LOAD_BALANCER_IP = 2
    NODE_PORT = 3


class Frontend(msgspec.Struct, frozen=True, cache_hash=True, gc=False):
    """Where clients send packets to. `address` is None for a node port: whichever addresses the node has."""

    family: Family
    address: IPAddress | None
    protocol: Protocol
    port: int


class FrontendOfKind(NamedTuple):
    """A frontend, and what makes it reach a Service port."""

    kind: FrontendKind
    frontend: Frontend
