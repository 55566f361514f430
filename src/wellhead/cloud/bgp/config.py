"""BIRD's configuration, written by us. Pure.

Source: the BIRD 2.0 user's guide.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address
from pathlib import Path

from wellhead.ip import Family, IPAddress, family_of

_CHANNEL = {Family.IPV4: "ipv4", Family.IPV6: "ipv6"}


@dataclass(frozen=True, order=True)
class Peer:
    """A router that is told. Of VIPs it hears those of its own address' family."""

    address: IPAddress
    asn: int

    @property
    def name(self) -> str:
        """What BIRD calls the session."""
        return "peer_" + "".join(each if each.isalnum() else "_" for each in str(self.address))


@dataclass(frozen=True)
class Session:
    """How to speak with peers, all alike.

    `asn` is our own autonomous system. `router_id` tells this node from others. After `hold_seconds` without
    a word from us a peer forgets what we said. `port` is where peers may call. `multihop`: peers need not be
    neighbours. `bfd`: a node that is cut off is noticed in less than a second. `password` is TCP MD5's.
    """

    asn: int
    router_id: IPv4Address
    hold_seconds: int = 9
    port: int = 179
    multihop: bool = False
    bfd: bool = False
    password: str = ""


def router_id(node_name: str, addresses: Iterable[IPAddress]) -> IPv4Address:
    """The node's first IPv4 address; without any, a number out of its name."""
    for each in addresses:
        if isinstance(each, IPv4Address):
            return each
    return IPv4Address(hashlib.sha256(node_name.encode()).digest()[:4])


def config(session: Session, peers: Iterable[Peer], vips: Iterable[IPAddress]) -> str:
    """The whole configuration: VIPs as routes that are in BIRD alone, for every peer of their family.

    The kernel's routes are neither read nor written, and nothing that a peer says is taken in.
    """
    found = sorted(vips, key=lambda each: (each.version, int(each)))
    lines = [
        "# Written by wellhead; changes are overwritten.",
        f"router id {session.router_id};",
        "log stderr all;",
        "protocol device {}",
    ]
    if session.bfd:
        lines.append("protocol bfd {}")
    for family in Family:
        routes = [f"  route {each}/{each.max_prefixlen} unreachable;" for each in family.of(found)]
        lines += [f"protocol static vips{family} {{", f"  {_CHANNEL[family]};", *routes, "}"]
    for peer in sorted(peers, key=lambda each: (each.address.version, int(each.address))):
        lines += _peer(session, peer)
    return "\n".join([*lines, ""])


def _peer(session: Session, peer: Peer) -> list[str]:
    family = family_of(peer.address)
    options = ["  graceful restart off;", "  connect retry time 5;", f"  hold time {session.hold_seconds};"]
    if session.multihop:
        options.append("  multihop;")
    if session.bfd:
        options.append("  bfd on;")
    if session.password:
        options.append(f'  password "{session.password}";')
    return [
        f"protocol bgp {peer.name} {{",
        f"  local port {session.port} as {session.asn};",
        f"  neighbor {peer.address} as {peer.asn};",
        *options,
        f"  {_CHANNEL[family]} {{",
        "    import none;",
        f'    export where proto = "vips{family}";',
        "    next hop self;",
        "  };",
        "}",
    ]


def config_file(directory: Path) -> Path:
    """Where BIRD finds it."""
    return directory / "bird.conf"
