"""Addresses and networks in forms that others read otherwise.

Upstream: GetWarningsForIP and GetWarningsForCIDR in apimachinery's pkg/util/validation/ip.go.
"""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network


def of_address(at: str, text: str) -> Iterator[str]:
    """An address that is valid, if perhaps only for older fields."""
    address = _read(text)
    if address is None:
        return
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    if mapped is not None or (isinstance(address, IPv4Address) and str(address) != text):
        yield f'{at}: non-standard IP address "{text}" is invalid: use "{mapped or address}"'
    elif str(address) != text:
        yield f'{at}: IPv6 address "{text}" should be in RFC 5952 canonical format ("{address}")'


def of_network(at: str, text: str) -> Iterator[str]:
    """A network, likewise."""
    host, _, length = text.partition("/")
    address = _read(host)
    if address is None or not length.isdecimal() or int(length) > address.max_prefixlen:
        return
    bits = int(length)
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    if mapped is not None and bits >= 96:
        address, bits = mapped, bits - 96
    network = ip_network((address, bits), strict=False)
    said = False
    if network.network_address != address:
        said = True
        alone = f"{address}/{address.max_prefixlen}"
        yield (
            f'{at}: CIDR value "{text}" is ambiguous in this context (should be "{network}" or "{alone}"?)'
        )
    if mapped is not None or (
        isinstance(address, IPv4Address) and (str(address) != host or length != str(bits))
    ):
        said = True
        yield f'{at}: non-standard CIDR value "{text}" is invalid: use "{network}"'
    if not said and str(network) != text:
        yield f'{at}: IPv6 CIDR value "{text}" should be in RFC 5952 canonical format ("{network}")'


def _read(text: str) -> IPv4Address | IPv6Address | None:
    parts = text.split(".")
    if len(parts) == 4 and all(part.isdecimal() for part in parts):
        text = ".".join(part.lstrip("0") or "0" for part in parts)  # zeros before a number: once accepted
    try:
        return ip_address(text)
    except ValueError:
        return None
