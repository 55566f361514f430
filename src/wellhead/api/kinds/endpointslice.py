"""EndpointSlices. Upstream: pkg/apis/discovery/validation/validation.go."""

from __future__ import annotations

from datetime import datetime

from wellhead.api import cells
from wellhead.api.errors import Cause
from wellhead.api.formats import (
    canonical_ip,
    dns_label,
    dns_subdomain,
    ip_address,
    label_value,
    parse_ip,
    port_number,
    qualified_name,
)
from wellhead.api.kind import Kind
from wellhead.api.kinds.targets import validate_endpoint_ip
from wellhead.api.meta import Obj
from wellhead.api.names import SLICE_MANAGER_LABEL
from wellhead.api.printer import AGE, NAME, Cell, Column, Printer
from wellhead.api.strategy import Context, Strategy
from wellhead.api.warnings.addresses import of_address
from wellhead.api.well_known import ENDPOINTSLICES

_ADDRESS_TYPES = ("FQDN", "IPv4", "IPv6")
_PROTOCOLS = ("SCTP", "TCP", "UDP")
_MAX_ENDPOINTS = 1000
_MAX_ADDRESSES = 100
_MAX_HINTS = 8
_MAX_PORTS = 20000


_OWN = ("endpointslice-controller.k8s.io", "endpointslicemirroring-controller.k8s.io")


def _of_addresses(endpoint_slice: Obj) -> list[str]:
    labels = endpoint_slice["metadata"].get("labels") or {}
    if labels.get(SLICE_MANAGER_LABEL) in _OWN:
        return []
    return [
        text
        for index, endpoint in enumerate(endpoint_slice.get("endpoints") or ())
        for number, address in enumerate(endpoint.get("addresses") or ())
        for text in of_address(f"endpoints[{index}].addresses[{number}]", address)
    ]


class EndpointSliceStrategy(Strategy):
    def warnings(self, obj: Obj) -> list[str]:
        old = obj.get("addressType") == "FQDN"
        return [*(["spec.addressType: FQDN endpoints are deprecated"] if old else []), *_of_addresses(obj)]

    def update_warnings(self, new: Obj, old: Obj) -> list[str]:
        return _of_addresses(new) if old else self.warnings(new)

    counts_generations = True

    def default(self, obj: Obj) -> None:
        obj.setdefault("endpoints", [])
        for port in obj.get("ports") or ():
            port["name"] = port.get("name") or ""
            port.setdefault("protocol", "TCP")

    def prepare_create(self, obj: Obj, context: Context) -> None:
        _drop_topology(obj)

    def prepare_update(self, new: Obj, old: Obj, context: Context) -> None:
        _drop_topology(new)

    def validate(self, obj: Obj) -> list[Cause]:
        kind = obj.get("addressType") or ""
        if not kind:
            return [Cause.required("addressType")]
        if kind not in _ADDRESS_TYPES:
            return [Cause.not_supported("addressType", kind, _ADDRESS_TYPES)]
        endpoints, ports = obj["endpoints"], obj.get("ports") or ()
        if len(endpoints) > _MAX_ENDPOINTS:
            return [Cause.too_many("endpoints", len(endpoints), _MAX_ENDPOINTS)]
        if len(ports) > _MAX_PORTS:
            return [Cause.too_many("ports", len(ports), _MAX_PORTS)]
        causes: list[Cause] = []
        for index, endpoint in enumerate(endpoints):
            causes += _validate_endpoint(endpoint, f"endpoints[{index}]", kind)
        names: set[str] = set()
        for index, port in enumerate(ports):
            causes += _validate_port(port, f"ports[{index}]", names)
        return causes

    def validate_update(self, new: Obj, old: Obj) -> list[Cause]:
        causes = self.validate(new)
        if new.get("addressType") != old.get("addressType"):
            causes.append(Cause.invalid("addressType", new.get("addressType"), "field is immutable"))
        return causes


def _drop_topology(obj: Obj) -> None:
    """What only v1beta1's clients could write: nobody reads it any more."""
    for endpoint in obj["endpoints"]:
        endpoint.pop("deprecatedTopology", None)


def _validate_endpoint(endpoint: Obj, at: str, kind: str) -> list[Cause]:
    addresses = endpoint.get("addresses") or ()
    causes: list[Cause] = []
    if not addresses:
        causes.append(Cause.required(f"{at}.addresses", "must contain at least 1 address"))
    if len(addresses) > _MAX_ADDRESSES:
        return [Cause.too_many(f"{at}.addresses", len(addresses), _MAX_ADDRESSES)]
    for index, text in enumerate(addresses):
        here = f"{at}.addresses[{index}]"
        if kind == "FQDN":
            causes += _validate_domain(text, here)
            continue
        problems = canonical_ip(text) if kind == "IPv6" else ip_address(text)
        if problems:
            causes += [Cause.invalid(here, text, problem) for problem in problems]
            continue
        address = parse_ip(text)
        if address is not None and f"IPv{address.version}" != kind:
            causes.append(Cause.invalid(f"{at}.addresses", text, f"must be an {kind} address"))
        causes += validate_endpoint_ip(text, here)
    for field, check in (("nodeName", dns_subdomain), ("hostname", dns_label)):
        if (value := endpoint.get(field)) is not None:
            causes += [Cause.invalid(f"{at}.{field}", value, problem) for problem in check(value)]
    if hints := endpoint.get("hints"):
        causes += _validate_hints(hints, f"{at}.hints")
    return causes


def _validate_domain(text: str, at: str) -> list[Cause]:
    if not text:
        return [Cause.required(at)]
    name = text.removesuffix(".")
    if problems := dns_subdomain(name):
        return [Cause.invalid(at, name, ",".join(problems))]
    labels = name.split(".")
    if len(labels) < 2:
        text = "should be a domain with at least two segments separated by dots"
        return [Cause.invalid(at, name, text)]
    wrong = ((label, problems) for label in labels if (problems := dns_label(label)))
    return [Cause.invalid(at, label, ",".join(problems)) for label, problems in wrong][:1]


def _validate_hints(hints: Obj, at: str) -> list[Cause]:
    causes: list[Cause] = []
    for field, check in (("forZones", label_value), ("forNodes", dns_subdomain)):
        names = [hint.get("name") or "" for hint in hints.get(field) or ()]
        if len(names) > _MAX_HINTS:
            return [*causes, Cause.too_many(f"{at}.{field}", len(names), _MAX_HINTS)]
        for index, name in enumerate(names):
            here = f"{at}.{field}[{index}].name"
            if name in names[:index]:
                causes.append(Cause.duplicate(here, name))
            causes += [Cause.invalid(here, name, problem) for problem in check(name)]
    return causes


def _validate_port(port: Obj, at: str, names: set[str]) -> list[Cause]:
    causes: list[Cause] = []
    name = port["name"]
    if name:
        causes += [Cause.invalid(f"{at}.name", name, problem) for problem in dns_label(name)]
    if name in names:
        causes.append(Cause.duplicate(f"{at}.name", name))
    names.add(name)
    if (number := port.get("port")) is not None:
        causes += [Cause.invalid(f"{at}.port", number, problem) for problem in port_number(number)]
    if port["protocol"] not in _PROTOCOLS:
        causes.append(Cause.not_supported(f"{at}.protocol", port["protocol"], _PROTOCOLS))
    if (protocol := port.get("appProtocol")) is not None:
        causes += [
            Cause.invalid(f"{at}.appProtocol", protocol, problem) for problem in qualified_name(protocol)
        ]
    return causes


_UNSET = "<unset>"


def _cells(endpointslice: Obj, now: datetime) -> list[Cell]:
    ports = [str(port.get("port", "*")) for port in endpointslice.get("ports") or ()]
    endpoints = [
        address for entry in endpointslice.get("endpoints") or () for address in entry.get("addresses") or ()
    ]
    return [
        cells.name(endpointslice),
        endpointslice.get("addressType", ""),
        cells.first_few(ports) or _UNSET,
        cells.first_few(endpoints) or _UNSET,
        cells.created(endpointslice, now),
    ]


_PRINTER = Printer((NAME, Column("AddressType"), Column("Ports"), Column("Endpoints"), AGE), _cells)

KIND = Kind(ENDPOINTSLICES, EndpointSliceStrategy(), _PRINTER)
