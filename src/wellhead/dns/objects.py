"""What DNS needs to know of Services and EndpointSlices, and reading it out of them."""

from __future__ import annotations

import ipaddress
from sys import intern

import msgspec

from wellhead.api.meta import Obj
from wellhead.api.names import SERVICE_NAME_LABEL
from wellhead.services.endpointslice import conditions

Key = tuple[str, str]
"""A namespace and a name."""


class Port(msgspec.Struct, frozen=True, gc=False):
    """A port that SRV records tell of; `protocol` is in lower case, as it is in names."""

    name: str
    protocol: str
    number: int


class Service(msgspec.Struct, frozen=True, gc=False):
    """A Service: at `cluster_ips`, or headless when it has none, or another name for `external_name`."""

    key: Key
    cluster_ips: tuple[str, ...]
    external_name: str
    ports: tuple[Port, ...]


class Endpoint(msgspec.Struct, frozen=True, gc=False):
    """An address that is ready, or published although it isn't; `hostname` is the pod's own, if any."""

    address: str
    hostname: str

    @property
    def label(self) -> str:
        """What stands before the Service's name: the hostname, or else the address with dashes."""
        return self.hostname or self.address.replace(".", "-").replace(":", "-")


class Slice(msgspec.Struct, frozen=True, gc=False):
    """An EndpointSlice of IP addresses: each endpoint has each port."""

    service: Key
    name: str
    ports: tuple[Port, ...]
    endpoints: tuple[Endpoint, ...]


def read_service(service: Obj) -> Service:
    """Raises KeyError, TypeError or ValueError on what no API server would store."""
    metadata, spec = service["metadata"], service["spec"]
    external = spec.get("externalName") or "" if spec.get("type") == "ExternalName" else ""
    ips = spec.get("clusterIPs") or ([spec["clusterIP"]] if spec.get("clusterIP") else [])
    ports = spec.get("ports") or ()
    return Service(
        (intern(metadata["namespace"]), metadata["name"]),
        () if external else tuple(canonical(ip) for ip in ips if ip != "None"),
        external,
        tuple(_port(each, each["port"]) for each in ports),
    )


def read_slice(endpoint_slice: Obj) -> Slice | None:
    """None when it tells of no names: it belongs to no Service, or has no IP addresses.

    An endpoint counts when it is ready, which for a Service that publishes not ready addresses all are, or
    when nobody knows (the API: consumers should take that for ready). Raises as `read_service`.
    """
    metadata = endpoint_slice["metadata"]
    service = (metadata.get("labels") or {}).get(SERVICE_NAME_LABEL)
    if not service or endpoint_slice.get("addressType") not in ("IPv4", "IPv6"):
        return None
    endpoints = (
        Endpoint(canonical(each["addresses"][0]), (each.get("hostname") or "").lower())
        for each in endpoint_slice.get("endpoints") or ()
        if conditions(each).ready
    )
    ports = (_port(each, each.get("port") or 0) for each in endpoint_slice.get("ports") or ())
    return Slice((intern(metadata["namespace"]), service), metadata["name"], tuple(ports), tuple(endpoints))


def canonical(address: str) -> str:
    """An address as it is written in one way only. Raises ValueError."""
    return intern(str(ipaddress.ip_address(address)))


def _port(port: Obj, number: int) -> Port:
    return Port(port.get("name") or "", (port.get("protocol") or "TCP").lower(), number)
