"""IP families and transport protocols, and reading addresses of a family out of API strings."""

from __future__ import annotations

import enum
from collections.abc import Iterable
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    collapse_addresses,
    ip_address,
    ip_network,
)

IPAddress = IPv4Address | IPv6Address
IPNetwork = IPv4Network | IPv6Network

_OCTETS = {str(number): number for number in range(256)}


class Family(enum.IntEnum):
    """An IP family; the value is what `ipaddress` calls an address's version."""

    IPV4 = 4
    IPV6 = 6


class Protocol(enum.StrEnum):
    """A transport protocol, spelled as in a Service."""

    TCP = "TCP"
    UDP = "UDP"
    SCTP = "SCTP"


_PROTOCOLS = {each.value: each for each in Protocol}


def parse_protocol(text: str | None) -> Protocol:
    """The protocol of a port, TCP where it names none. Raises ValueError when there is no such protocol."""
    text = text or Protocol.TCP
    return _PROTOCOLS.get(text) or Protocol(text)  # calling an enumeration is slow


def parse_address(text: str) -> IPAddress | None:
    """The address that `text` spells, or None when it spells none."""
    try:
        one, two, three, four = text.split(".")
        return IPv4Address(_OCTETS[one] << 24 | _OCTETS[two] << 16 | _OCTETS[three] << 8 | _OCTETS[four])
    except (ValueError, KeyError, AttributeError):
        pass  # not IPv4 as it is always spelled, which a table reads in a third of the time
    try:
        return ip_address(text)
    except ValueError:
        return None


def family_of(address: IPAddress) -> Family:
    """The family that an address is of."""
    return Family.IPV4 if address.version == 4 else Family.IPV6


def addresses_of(family: Family, texts: Iterable[str]) -> tuple[IPAddress, ...]:
    """The addresses of one family among `texts`, in their order, each once. Others are left out."""
    parsed = (parse_address(text) for text in texts)
    return tuple(dict.fromkeys(each for each in parsed if each is not None and each.version == family))


def networks_of(family: Family, texts: Iterable[str]) -> tuple[IPNetwork, ...]:
    """The networks of one family among `texts`, in their order, each once. Host bits may be set."""
    found: dict[IPNetwork, None] = {}
    for text in texts:
        try:
            network = ip_network(text.strip(), strict=False)
        except ValueError:
            continue
        if network.version == family:
            found[network] = None
    return tuple(found)


def collapse(networks: Iterable[IPNetwork]) -> list[IPNetwork]:
    """The same addresses in as few networks as can be, without overlaps and in order, IPv4 first."""
    found = tuple(networks)
    v4 = [each for each in found if isinstance(each, IPv4Network)]
    v6 = [each for each in found if isinstance(each, IPv6Network)]
    return [*collapse_addresses(v4), *collapse_addresses(v6)]
