"""The VIPs that this machine answers for: local routes, so that they are its own without being any link's.

The router leads a VIP's packets here; what makes this machine take them is a route of type local on `lo`
(ip-route(8)). Routes are marked as ours, and found again after a restart. These functions block.
"""

from __future__ import annotations

import errno
from collections.abc import Collection
from ipaddress import ip_address
from socket import AF_INET, AF_INET6

from pyroute2 import IPRoute
from pyroute2.netlink.exceptions import NetlinkError

from wellhead.cloud.vips import IPAddress
from wellhead.linux.numbers import RouteOwner

_LOCAL_TABLE = 255
_LOOPBACK = 1


def held() -> frozenset[IPAddress]:
    """The addresses that an earlier call of `hold` left."""
    with IPRoute() as ip:
        return frozenset(
            ip_address(route.get("dst"))
            for family, length in ((AF_INET, 32), (AF_INET6, 128))
            for route in ip.get_routes(family=family, table=_LOCAL_TABLE)
            if route["proto"] == RouteOwner.VIPS and route["dst_len"] == length
        )


def hold(addresses: Collection[IPAddress]) -> None:
    """Answer for these too."""
    with IPRoute() as ip:
        for address in addresses:
            ip.route("replace", **_route(address))


def release(addresses: Collection[IPAddress]) -> None:
    """Don't answer for these any more."""
    with IPRoute() as ip:
        for address in addresses:
            try:
                ip.route("del", **_route(address))
            except NetlinkError as error:
                if error.code != errno.ESRCH:
                    raise


def _route(address: IPAddress) -> dict[str, str | int]:
    return {
        "dst": f"{address}/{address.max_prefixlen}",
        "oif": _LOOPBACK,
        "table": _LOCAL_TABLE,
        "type": "local",
        "scope": "host",
        "proto": RouteOwner.VIPS,
        "family": AF_INET if address.version == 4 else AF_INET6,
    }
