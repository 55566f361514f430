"""IP families and transport protocols: their types, every kernel interface's word for them, and reading them.

Pure, and below everything: what is of a family is written here once, so that nobody else tells 4 from 6.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable
from ipaddress import (
    IPv4Address,
    IPv4Interface,
    IPv4Network,
    IPv6Address,
    IPv6Interface,
    IPv6Network,
    collapse_addresses,
    ip_address,
    ip_network,
)
from typing import Any, Final, Generic, TypeVar

IPAddress = IPv4Address | IPv6Address
IPNetwork = IPv4Network | IPv6Network
IPInterface = IPv4Interface | IPv6Interface

T = TypeVar("T")

_OCTETS = {str(number): number for number in range(256)}


class _Either(Generic[T]):
    """A family's own of two things."""

    def __init__(self, of_ipv4: T, of_ipv6: T) -> None:
        self._of = {4: of_ipv4, 6: of_ipv6}

    def __get__(self, family: Any, owner: object) -> T:
        return self._of[family]


class _Words:
    """Others' words for a family. The kernel numbers families of sockets and of netfilter alike."""

    number = _Either(2, 10)
    """AF_INET or AF_INET6, NFPROTO_IPV4 or NFPROTO_IPV6: of sockets, netlink's messages, netfilter."""
    nft = _Either("ip", "ip6")
    """The family of an nftables table, which is also the prefix of its header fields."""
    iptables = _Either("iptables", "ip6tables")
    """The program."""
    icmp = _Either("icmp", "icmpv6")
    """The protocol that carries its errors, as nft and iptables call it."""
    address_type = _Either("ipv4_addr", "ipv6_addr")
    """nft's data type of an address."""
    ethertype = _Either(0x0800, 0x86DD)
    """What an Ethernet frame says that it carries (ETH_P_IP, ETH_P_IPV6)."""
    everywhere = _Either[IPNetwork](IPv4Network("0.0.0.0/0"), IPv6Network("::/0"))
    loopback = _Either[IPNetwork](IPv4Network("127.0.0.0/8"), IPv6Network("::1/128"))


class Family(_Words, enum.IntEnum):
    """An IP family; the value is what `ipaddress` calls an address's version."""

    IPV4 = 4
    IPV6 = 6

    def of(self, addresses: Iterable[IPAddress]) -> tuple[IPAddress, ...]:
        """Those of `addresses` that are of this family, in their order."""
        return tuple(each for each in addresses if each.version == self)


class Protocol(enum.StrEnum):
    """A transport protocol, spelled as in a Service."""

    TCP = "TCP"
    UDP = "UDP"
    SCTP = "SCTP"

    @property
    def number(self) -> int:
        """What an IP header calls it (IPPROTO_TCP …)."""
        return _NUMBERS[self]


_NUMBERS: Final = {Protocol.TCP: 6, Protocol.UDP: 17, Protocol.SCTP: 132}
_PROTOCOLS = {each.value: each for each in Protocol}


def parse_protocol(text: str | None) -> Protocol:
    """The protocol of a port, TCP where it names none. Raises ValueError when there is no such protocol."""
    text = text or Protocol.TCP
    return _PROTOCOLS.get(text) or Protocol(text)  # calling an enumeration is slow


def parse_address(text: str) -> IPAddress | None:
    """The address that `text` spells, or None when it spells none.

    An IPv6 address with a scope (RFC 4007, `%eth0`) is none: it means something on one machine alone, and
    Python lets anything stand behind the sign, which whoever writes it into rules or a configuration repeats.
    """
    try:
        one, two, three, four = text.split(".")
        return IPv4Address(_OCTETS[one] << 24 | _OCTETS[two] << 16 | _OCTETS[three] << 8 | _OCTETS[four])
    except (ValueError, KeyError, AttributeError):
        pass  # not IPv4 as it is always spelled, which a table reads in a third of the time
    try:
        return None if "%" in text else ip_address(text)
    except (ValueError, TypeError):
        return None


def parse_packed(text: str) -> bytes | None:
    """The address that `text` spells, as in a packet: what `parse_address` makes, for less."""
    try:
        one, two, three, four = text.split(".")
        return bytes((_OCTETS[one], _OCTETS[two], _OCTETS[three], _OCTETS[four]))
    except (ValueError, KeyError, AttributeError):
        address = parse_address(text)
        return address.packed if address is not None else None


def unpacked(address: bytes) -> IPAddress:
    """An address as in a packet, as what it is."""
    return IPv4Address(address) if len(address) == 4 else IPv6Address(address)


def bracketed(host: IPAddress | str) -> str:
    """A host as it stands before a port or in a URL: IPv6 in brackets (RFC 3986, section 3.2.2)."""
    text = str(host)
    return f"[{text}]" if ":" in text else text


def family_of(address: IPAddress) -> Family:
    """The family that an address is of."""
    return Family.IPV4 if address.version == 4 else Family.IPV6


def addresses_of(family: Family, texts: Iterable[str]) -> tuple[IPAddress, ...]:
    """The addresses of one family among `texts`, in their order, each once. Others are left out."""
    parsed = (parse_address(text) for text in texts)
    return tuple(dict.fromkeys(each for each in parsed if each is not None and each.version == family))


def networks_of(family: Family, texts: Iterable[str]) -> tuple[IPNetwork, ...]:
    """The networks of one family among `texts`, in their order, each once. Host bits may be set.

    None has a scope: see `parse_address`.
    """
    found: dict[IPNetwork, None] = {}
    for text in texts:
        if "%" in text:
            continue
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
