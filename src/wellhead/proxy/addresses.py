"""The addresses that this network namespace has."""

from __future__ import annotations

import socket
from ipaddress import ip_address

from pyroute2 import IPRoute

from wellhead.ip import Family, IPAddress

_AF = {Family.IPV4: socket.AF_INET, Family.IPV6: socket.AF_INET6}


def local_addresses(family: Family) -> frozenset[IPAddress]:
    """The addresses of one family. Blocks for the time of a netlink dump."""
    with IPRoute() as route:
        return frozenset(
            ip_address(each.get("local") or each.get("address"))
            for each in route.get_addr(family=_AF[family])
        )
