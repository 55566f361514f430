"""Endpoints, the older form of EndpointSlices."""

from __future__ import annotations

from datetime import datetime

from wellhead.api import cells
from wellhead.api.errors import Cause
from wellhead.api.formats import dns_label, dns_subdomain, parse_ip, port_number, qualified_name
from wellhead.api.kind import Kind
from wellhead.api.kinds.targets import validate_endpoint_ip
from wellhead.api.meta import Obj
from wellhead.api.names import ENDPOINTS_MANAGER_LABEL
from wellhead.api.printer import AGE, NAME, Cell, Column, Printer
from wellhead.api.resource import Resource
from wellhead.api.strategy import Strategy
from wellhead.api.warnings.addresses import of_address

ENDPOINTS = Resource(
    "",
    "v1",
    "Endpoints",
    "endpoints",
    short_names=("ep",),
    deprecation="v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice",
)

_PROTOCOLS = ("SCTP", "TCP", "UDP")


class EndpointsStrategy(Strategy):
    repeats_warnings = True

    def warnings(self, obj: Obj) -> list[str]:
        labels = obj["metadata"].get("labels") or {}
        if labels.get(ENDPOINTS_MANAGER_LABEL) == "endpoint-controller":
            return []
        return [
            text
            for index, subset in enumerate(obj.get("subsets") or ())
            for field in ("addresses", "notReadyAddresses")
            for number, address in enumerate(subset.get(field) or ())
            for text in of_address(f"subsets[{index}].{field}[{number}].ip", address.get("ip") or "")
        ]

    created_by_update = True

    def default(self, obj: Obj) -> None:
        for subset in obj.get("subsets") or ():
            for port in subset.get("ports") or ():
                port["protocol"] = port.get("protocol") or "TCP"

    def validate(self, obj: Obj) -> list[Cause]:
        causes: list[Cause] = []
        for index, subset in enumerate(obj.get("subsets") or ()):
            at = f"subsets[{index}]"
            if not subset.get("addresses") and not subset.get("notReadyAddresses"):
                causes.append(Cause.required(at, "must specify `addresses` or `notReadyAddresses`"))
            for field in ("addresses", "notReadyAddresses"):
                for number, address in enumerate(subset.get(field) or ()):
                    causes += _validate_address(address, f"{at}.{field}[{number}]")
            for number, port in enumerate(subset.get("ports") or ()):
                causes += _validate_port(port, f"{at}.ports[{number}]", len(subset["ports"]) > 1)
        return causes


def _validate_address(address: Obj, at: str) -> list[Cause]:
    ip = address.get("ip") or ""
    causes = validate_endpoint_ip(ip, f"{at}.ip")
    if parse_ip(ip) is None:  # upstream's second check says so, too
        causes.append(Cause.invalid(f"{at}.ip", ip, "must be a valid IP address"))
    for field, check in (("hostname", dns_label), ("nodeName", dns_subdomain)):
        value = address.get(field)
        if value or (field == "nodeName" and value is not None):
            causes += [Cause.invalid(f"{at}.{field}", value, problem) for problem in check(value)]
    return causes


def _validate_port(port: Obj, at: str, needs_name: bool) -> list[Cause]:
    causes: list[Cause] = []
    name, number = port.get("name") or "", port.get("port") or 0
    if name:
        causes += [Cause.invalid(f"{at}.name", name, problem) for problem in dns_label(name)]
    elif needs_name:
        causes.append(Cause.required(f"{at}.name"))
    causes += [Cause.invalid(f"{at}.port", number, problem) for problem in port_number(number)]
    if port["protocol"] not in _PROTOCOLS:
        causes.append(Cause.not_supported(f"{at}.protocol", port["protocol"], _PROTOCOLS))
    if (protocol := port.get("appProtocol")) is not None:
        causes += [
            Cause.invalid(f"{at}.appProtocol", protocol, problem) for problem in qualified_name(protocol)
        ]
    return causes


def _endpoints(subsets: list[Obj]) -> str:
    shown: list[str] = []
    for subset in subsets:
        ips = [address["ip"] for address in subset.get("addresses") or ()]
        ports = [port["port"] for port in subset.get("ports") or ()]
        shown += [cells.host_port(ip, port) for port in ports for ip in ips] if ports else ips
    return cells.first_few(shown) if subsets else cells.NONE


def _cells(endpoints: Obj, now: datetime) -> list[Cell]:
    return [cells.name(endpoints), _endpoints(endpoints.get("subsets") or []), cells.created(endpoints, now)]


_PRINTER = Printer((NAME, Column("Endpoints"), AGE), _cells)

KIND = Kind(ENDPOINTS, EndpointsStrategy(), _PRINTER)
