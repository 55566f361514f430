"""What a proxy needs to know of EndpointSlice objects, and joining a Service's slices into endpoints."""

from __future__ import annotations

from collections.abc import Iterable
from sys import intern
from typing import Any

import msgspec

from wellhead.api.meta import Obj
from wellhead.ip import Family, IPAddress, Protocol, parse_packed, parse_protocol, unpacked
from wellhead.services.names import ServiceKey

SERVICE_NAME_LABEL = "kubernetes.io/service-name"
HEADLESS_LABEL = "service.kubernetes.io/headless"

_FAMILIES = {"IPv4": Family.IPV4, "IPv6": Family.IPV6}
_LENGTHS = {Family.IPV4: 4, Family.IPV6: 16}
_NOBODY: frozenset[str] = frozenset()
_NOTHING: Obj = {}


class EndpointAddress(msgspec.Struct, frozen=True, order=True, cache_hash=True, gc=False):
    """Where an endpoint listens. Endpoints are ordered by it."""

    packed: bytes
    """Its address as in a packet: smaller than an object of its own, and quicker to compare."""
    port: int

    @property
    def ip(self) -> IPAddress:
        return unpacked(self.packed)

    def __str__(self) -> str:
        ip = str(self.ip)  # which is quicker than its format
        return f"[{ip}]:{self.port}" if ":" in ip else f"{ip}:{self.port}"


class Endpoint(msgspec.Struct, frozen=True, gc=False):
    """An address in a slice, and what is said of it."""

    packed: bytes
    """The address as in a packet."""
    ready: bool
    serving: bool
    terminating: bool
    node: str
    """The name of the node it runs on; empty when the slice does not say: it is local to no node then."""
    node_hints: frozenset[str]
    zone_hints: frozenset[str]

    @property
    def ip(self) -> IPAddress:
        return unpacked(self.packed)

    @property
    def is_draining(self) -> bool:
        """Whether it takes new connections only where nobody else does (KEP-1669)."""
        return self.serving and self.terminating and not self.ready

    @property
    def keeps_flows(self) -> bool:
        """Whether its established flows may go on, be it sent new ones or not.

        `publishNotReadyAddresses` makes endpoints ready that do not serve: they are in use all the same.
        """
        return self.serving or self.ready


class SlicePort(msgspec.Struct, frozen=True, gc=False):
    """A port of a slice: the target of the Service port that has its name and protocol."""

    name: str
    protocol: Protocol
    number: int


class EndpointSlice(msgspec.Struct, frozen=True, gc=False):
    """An EndpointSlice that a proxy uses: addresses of one family, each at every port."""

    service: ServiceKey
    name: str
    family: Family
    ports: tuple[SlicePort, ...]
    endpoints: tuple[Endpoint, ...]


def parse_endpoint_slice(endpoint_slice: Obj) -> EndpointSlice | None:
    """Read an EndpointSlice object; None when a proxy has no use for it.

    That is: slices of host names (addressType FQDN), of no Service, or carrying the headless label
    (any value), which the controller sets on the slices of Services without a ClusterIP.
    """
    metadata = endpoint_slice["metadata"]
    labels = metadata.get("labels") or {}
    family = _FAMILIES.get(endpoint_slice.get("addressType", ""))
    service = labels.get(SERVICE_NAME_LABEL)
    if family is None or not service or HEADLESS_LABEL in labels:
        return None
    length = _LENGTHS[family]
    endpoints = [_endpoint(each, length) for each in endpoint_slice.get("endpoints") or ()]
    return EndpointSlice(
        service=ServiceKey(intern(metadata["namespace"]), service),
        name=metadata["name"],
        family=family,
        ports=tuple(
            [
                SlicePort(port.get("name") or "", parse_protocol(port.get("protocol")), port["port"])
                for port in endpoint_slice.get("ports") or ()
                if port.get("port")
            ]
        ),
        endpoints=tuple([each for each in endpoints if each is not None]),
    )


def _endpoint(endpoint: Obj, length: int) -> Endpoint | None:
    # An endpoint's addresses are interchangeable, and consumers use the first (discovery.k8s.io/v1).
    addresses = endpoint.get("addresses")
    packed = parse_packed(addresses[0]) if addresses else None
    if packed is None or len(packed) != length:
        return None
    said = endpoint.get("conditions") or _NOTHING
    hints = endpoint.get("hints")
    return Endpoint(
        packed,
        said.get("ready") is not False,
        said.get("serving") is not False,
        said.get("terminating") is True,
        intern(endpoint.get("nodeName") or ""),  # many endpoints, few nodes
        _names(hints.get("forNodes")) if hints else _NOBODY,
        _names(hints.get("forZones")) if hints else _NOBODY,
    )


def _names(hints: Any) -> frozenset[str]:
    return frozenset([each["name"] for each in hints]) if hints else _NOBODY


def join_slices(
    slices: Iterable[EndpointSlice], family: Family, name: str, protocol: Protocol
) -> dict[EndpointAddress, Endpoint]:
    """The endpoints of one Service port, ordered by address, from all slices of its Service.

    The same address and port may be in two slices while the controller moves it: it counts once, and the one
    that is not terminating wins. Which slice came first makes no difference.
    """
    found: dict[EndpointAddress, Endpoint] = {}
    for each in slices:
        if each.family is not family:
            continue
        for port in each.ports:
            if port.name != name or port.protocol is not protocol:
                continue
            for endpoint in each.endpoints:
                address = EndpointAddress(endpoint.packed, port.number)
                rival = found.setdefault(address, endpoint)
                if rival is not endpoint and _preference(endpoint) < _preference(rival):
                    found[address] = endpoint
    return {each: found[each] for each in sorted(found)} if len(found) > 1 else found


def _preference(endpoint: Endpoint) -> tuple[bool, bool, bool, str, list[str], list[str]]:
    return (
        endpoint.terminating,
        not endpoint.ready,
        not endpoint.serving,
        endpoint.node,
        sorted(endpoint.node_hints),
        sorted(endpoint.zone_hints),
    )
