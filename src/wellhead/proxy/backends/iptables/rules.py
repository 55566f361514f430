"""Rules as text, in the very form in which iptables-save prints them."""

from __future__ import annotations

import re

from wellhead.ip import Family, IPAddress, IPNetwork, Protocol
from wellhead.services.node import Detector, FromBridge, FromInterfacePrefix, FromNetwork

_PLAIN = re.compile(r"[0-9A-Za-z_-]+")


def rule(
    chain: str,
    *matches: str,
    jump: str = "",
    goto: str = "",
    source: str = "",
    destination: str = "",
    interface: str = "",
    protocol: str = "",
) -> str:
    """One `-A` line. The address options come first and in this order, as iptables-save has them."""
    parts = (
        "-A " + chain,
        source,
        destination,
        interface,
        protocol,
        *matches,
        jump and "-j " + jump,
        goto and "-g " + goto,
    )
    return " ".join(part for part in parts if part)


def comment(text: str) -> str:
    """A comment match, quoted exactly when iptables-save quotes it."""
    return f"-m comment --comment {text}" if _PLAIN.fullmatch(text) else f'-m comment --comment "{text}"'


def host(address: IPAddress) -> str:
    """A single address with its prefix length."""
    return f"{address!s}/{address.max_prefixlen}"


def to(destination: IPAddress | IPNetwork) -> str:
    """-d, with prefix length; empty for a whole family, where iptables prints nothing."""
    return _address("-d", destination)


def coming_from(source: IPAddress | IPNetwork) -> str:
    """-s, with prefix length; empty for a whole family, where iptables prints nothing."""
    return _address("-s", source)


def _address(option: str, what: IPAddress | IPNetwork) -> str:
    if isinstance(what, IPNetwork):
        return f"{option} {what}" if what.prefixlen else ""
    return f"{option} {host(what)}"


def transport(protocol: Protocol) -> str:
    """-p, in lower case."""
    return f"-p {protocol.lower()}"


def port_match(protocol: Protocol, port: int) -> str:
    """A destination port."""
    return f"-m {protocol.lower()} --dport {port}"


def from_local_pods(detector: Detector, *, negated: bool = False) -> tuple[str, str]:
    """(source, interface) arguments of `rule` that match local pods' packets, or all but those."""
    sign = "! " if negated else ""
    match detector:
        case FromNetwork(network):
            return f"{sign}-s {network}", ""
        case FromBridge(interface):
            return "", f"{sign}-i {interface}"
        case FromInterfacePrefix(prefix):
            return "", f"{sign}-i {prefix}+"


def one_in(count: int) -> str:
    """A random match of one packet in `count`. The kernel keeps the probability as a 31-bit fraction."""
    fraction = round(0x80000000 / count) / 0x80000000
    return f"-m statistic --mode random --probability {fraction:.11f}"


def reject(family: Family) -> str:
    """The target that refuses a connection at once."""
    return "REJECT --reject-with " + (
        "icmp-port-unreachable" if family is Family.IPV4 else "icmp6-port-unreachable"
    )


def recent(family: Family, name: str, action: str) -> str:
    """A match on a list of recent clients: `action` is `--set`, or `--rcheck` with its options."""
    mask = "255.255.255.255" if family is Family.IPV4 else "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"
    return f"-m recent {action} --name {name} --mask {mask} --rsource"
