"""What differs between IPv4 and IPv6 in a router's tables and routes. Each has its own of both."""

from __future__ import annotations

import socket
from dataclasses import dataclass


@dataclass(frozen=True)
class Family:
    """An address family as nftables, netlink and sysctl name it."""

    version: int
    af: socket.AddressFamily
    nft: str
    """The family of nftables' table, which is also the prefix of its header fields."""
    address_type: str
    icmp: str
    redirect: str
    """How nftables matches an ICMP redirect."""
    forwarding: str
    """The sysctl that makes a machine a router."""


IPV4 = Family(4, socket.AF_INET, "ip", "ipv4_addr", "icmp", "icmp type redirect", "net/ipv4/ip_forward")
IPV6 = Family(
    6,
    socket.AF_INET6,
    "ip6",
    "ipv6_addr",
    "icmpv6",
    "icmpv6 type nd-redirect",
    "net/ipv6/conf/all/forwarding",
)
