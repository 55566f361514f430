"""IP addresses and networks of either family."""

from __future__ import annotations

from ipaddress import (
    IPv4Address,
    IPv4Interface,
    IPv4Network,
    IPv6Address,
    IPv6Interface,
    IPv6Network,
    ip_interface,
)

IPAddress = IPv4Address | IPv6Address
IPNetwork = IPv4Network | IPv6Network
IPInterface = IPv4Interface | IPv6Interface


def within(address: IPAddress, network: IPNetwork) -> IPInterface:
    """A pod's address with the prefix length of its node's pod CIDR."""
    return ip_interface(f"{address}/{network.prefixlen}")


def gateway(network: IPNetwork) -> IPAddress:
    """The node's own address in its pod CIDR: the first one."""
    return network[1]
