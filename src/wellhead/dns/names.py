"""What a name asks for: names of the cluster domain, and of addresses (in-addr.arpa, ip6.arpa), taken apart.

As “Kubernetes DNS-Based Service Discovery” (kubernetes/dns, version 1.1.0) has it, and CoreDNS serves it.
Labels are in lower case here: DNS doesn't tell cases apart (RFC 4343).
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Labels = Sequence[str]


@dataclass(frozen=True, slots=True)
class Fixed:
    """A name that is there whatever the cluster holds."""

    which: Literal["apex", "svc", "pod", "dns-version", "ns-parent", "ns"]


@dataclass(frozen=True, slots=True)
class NamespaceName:
    """`NAMESPACE.svc` or `NAMESPACE.pod`: has no records, and exists as long as the namespace does."""

    namespace: str


@dataclass(frozen=True, slots=True)
class ServiceName:
    """`[ENDPOINT.|_PORT._PROTOCOL.]SERVICE.NAMESPACE.svc`; what isn't said is empty."""

    namespace: str
    service: str
    endpoint: str = ""
    port: str = ""
    protocol: str = ""


@dataclass(frozen=True, slots=True)
class PodName:
    """`1-2-3-4.NAMESPACE.pod`: the address that it spells."""

    namespace: str
    address: str


Name = Fixed | NamespaceName | ServiceName | PodName

_FIXED: dict[tuple[str, ...], Fixed] = {
    (): Fixed("apex"),
    ("svc",): Fixed("svc"),
    ("pod",): Fixed("pod"),
    ("dns-version",): Fixed("dns-version"),
    ("dns",): Fixed("ns-parent"),
    ("ns", "dns"): Fixed("ns"),
}


def parse(labels: Labels) -> Name | None:
    """What the labels before the cluster domain ask for; None: nothing that could ever exist."""
    fixed = _FIXED.get(tuple(labels))
    if fixed is not None:
        return fixed
    *before, namespace, kind = labels if len(labels) > 1 else ("", "")
    if kind == "svc":
        return _parse_service(before, namespace)
    if kind == "pod":
        return _parse_pod(before, namespace)
    return None


def _parse_service(before: Labels, namespace: str) -> Name | None:
    match before:
        case []:
            return NamespaceName(namespace)
        case [service]:
            return ServiceName(namespace, service)
        case [endpoint, service]:
            return ServiceName(namespace, service, endpoint=endpoint)
        case [port, protocol, service] if port[:1] == "_" and protocol[:1] == "_":
            return ServiceName(namespace, service, port=port[1:], protocol=protocol[1:])
        case _:
            return None


def _parse_pod(before: Labels, namespace: str) -> Name | None:
    if not before:
        return NamespaceName(namespace)
    if len(before) > 1:
        return None
    written = before[0]
    for separator in (".", ":"):
        try:
            return PodName(namespace, str(ipaddress.ip_address(written.replace("-", separator))))
        except ValueError:
            continue
    return None


def parse_reverse(labels: Labels) -> str | None:
    """The address that a whole name in in-addr.arpa or ip6.arpa stands for; None if it doesn't for one."""
    match labels:
        case [a, b, c, d, "in-addr", "arpa"]:
            written = f"{d}.{c}.{b}.{a}"
        case [*digits, "ip6", "arpa"] if len(digits) == 32 and all(len(digit) == 1 for digit in digits):
            digits = digits[::-1]
            written = ":".join("".join(digits[at : at + 4]) for at in range(0, 32, 4))
        case _:
            return None
    try:
        return str(ipaddress.ip_address(written))
    except ValueError:
        return None
