"""What a proxy needs to know of EndpointSlice objects, and joining a Service's slices into endpoints."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from sys import intern
from typing import Any, NamedTuple

import msgspec

from wellhead.api.forms import Form, Metadata, formed
from wellhead.api.meta import Obj
from wellhead.api.names import HEADLESS_LABEL, SERVICE_NAME_LABEL, TRIGGER_TIME_ANNOTATION
from wellhead.ip import Family, IPAddress, Protocol, parse_packed, parse_protocol, unpacked
from wellhead.services.names import ServiceKey

_FAMILIES = {"IPv4": Family.IPV4, "IPv6": Family.IPV6}
_LENGTHS = {Family.IPV4: 4, Family.IPV6: 16}
_NOBODY: frozenset[str] = frozenset()


class _Labels(msgspec.Struct, gc=False):
    service: str | None = msgspec.field(name=SERVICE_NAME_LABEL, default=None)
    headless: str | None = msgspec.field(name=HEADLESS_LABEL, default=None)


class _Annotations(msgspec.Struct, gc=False):
    triggered: str | None = msgspec.field(name=TRIGGER_TIME_ANNOTATION, default=None)


class _Metadata(Metadata, rename="camel", gc=False):
    labels: _Labels | None = None
    annotations: _Annotations | None = None


class _Port(msgspec.Struct, gc=False):
    name: str | None = None
    protocol: str | None = None
    port: int | None = None


class _Conditions(msgspec.Struct, gc=False):
    ready: bool | None = None
    serving: bool | None = None
    terminating: bool | None = None


class _Hint(msgspec.Struct, gc=False):
    name: str


class _Hints(msgspec.Struct, rename="camel", gc=False):
    for_nodes: list[_Hint] | None = None
    for_zones: list[_Hint] | None = None


class _Endpoint(msgspec.Struct, rename="camel", gc=False):
    addresses: list[str] | None = None
    conditions: _Conditions | None = None
    node_name: str | None = None
    hints: _Hints | None = None


class EndpointSliceForm(Form, rename="camel", gc=False):
    """What a proxy wants to know of an EndpointSlice object."""

    metadata: _Metadata
    address_type: str | None = None
    ports: list[_Port] | None = None
    endpoints: list[_Endpoint] | None = None


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


def parse_endpoint_slice(endpoint_slice: Obj | EndpointSliceForm) -> EndpointSlice | None:
    """Read an EndpointSlice object; None when a proxy has no use for it.

    That is: slices of host names (addressType FQDN), of no Service, or carrying the headless label
    (any value), which the controller sets on the slices of Services without a ClusterIP.

    Raises:
        ValueError: it isn't one.
    """
    form = formed(endpoint_slice, EndpointSliceForm)
    metadata, labels = form.metadata, form.metadata.labels
    family = _FAMILIES.get(form.address_type or "")
    if family is None or labels is None or not labels.service or labels.headless is not None:
        return None
    length = _LENGTHS[family]
    endpoints = [found for each in form.endpoints or () if (found := _endpoint(each, length)) is not None]
    return EndpointSlice(
        ServiceKey(intern(metadata.namespace), labels.service),
        metadata.name,
        family,
        tuple(
            [
                SlicePort(intern(each.name or ""), parse_protocol(each.protocol), each.port)
                for each in form.ports or ()
                if each.port
            ]
        ),
        tuple(endpoints),
    )


def _endpoint(endpoint: _Endpoint, length: int) -> Endpoint | None:
    # An endpoint's addresses are interchangeable, and consumers use the first (discovery.k8s.io/v1).
    packed = parse_packed(endpoint.addresses[0]) if endpoint.addresses else None
    if packed is None or len(packed) != length:
        return None
    said, hints = endpoint.conditions or _UNSAID, endpoint.hints
    return Endpoint(
        packed,
        said.ready is not False,
        said.serving is not False,
        said.terminating is True,
        intern(endpoint.node_name or ""),  # many endpoints, few nodes
        _names(hints.for_nodes) if hints else _NOBODY,
        _names(hints.for_zones) if hints else _NOBODY,
    )


_UNSAID = _Conditions()


class Conditions(NamedTuple):
    """What is said of an endpoint, where nothing is said included."""

    ready: bool
    serving: bool
    terminating: bool


def conditions(endpoint: Mapping[str, Any]) -> Conditions:
    """Of an endpoint in an object that isn't a proxy's business, read as `parse_endpoint_slice` does."""
    said = endpoint.get("conditions") or {}
    return Conditions(
        said.get("ready") is not False, said.get("serving") is not False, said.get("terminating") is True
    )


def _names(hints: list[_Hint] | None) -> frozenset[str]:
    return frozenset([each.name for each in hints]) if hints else _NOBODY


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
