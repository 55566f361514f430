"""What a node announces on its Node object: that it returns symmetrically, and how its packets are known."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import ip_address, ip_network

import msgspec

from wellhead.api.names import SYMMETRIC_RETURN_ANNOTATION
from wellhead.ip import IPAddress, IPNetwork

ANNOTATION = SYMMETRIC_RETURN_ANNOTATION
_VERSION = 1


class TunnelEnd(msgspec.Struct, frozen=True, forbid_unknown_fields=False):
    """A node's end of the tunnel."""

    address: str
    mac: str
    vni: int
    port: int


class Announcement(msgspec.Struct, frozen=True, omit_defaults=True):
    """The annotation's value. Fields may be added; a reader of another version takes the node for silent."""

    version: int
    links: dict[str, str] = {}
    """The hardware addresses of the interfaces that hold the node's addresses, by these."""
    tunnel: TunnelEnd | None = None
    networks: tuple[str, ...] = ()
    """Where pods of the node are besides its `podCIDRs`: the blocks that the pod network has given it."""

    def link(self, address: IPAddress) -> str | None:
        """What comes over a shared link from the node with this address of its."""
        return self.links.get(str(address))


def only_loses(before: Announcement, after: Announcement | None) -> bool:
    """Whether `after` says less than `before`, and nothing else: as while an interface is being reset."""
    if after is None:
        return True
    if after.networks != before.networks:
        return False
    fewer_links = after.links.items() < before.links.items()
    tunnel_lost = after.tunnel is None and before.tunnel is not None
    return (fewer_links and (tunnel_lost or after.tunnel == before.tunnel)) or (
        tunnel_lost and after.links == before.links
    )


def announcement(
    links: dict[IPAddress, str], tunnel: TunnelEnd | None, networks: Iterable[IPNetwork] = ()
) -> Announcement:
    """This version's announcement."""
    return Announcement(
        _VERSION,
        {str(each): mac for each, mac in sorted(links.items(), key=_by_text)},
        tunnel,
        tuple(sorted(map(str, networks))),
    )


def _by_text(item: tuple[IPAddress, str]) -> str:
    return str(item[0])


def encode(value: Announcement) -> str:
    """As the annotation holds it. Equal announcements are equal texts."""
    return msgspec.json.encode(value).decode()


def parse(text: str | None) -> Announcement | None:
    """What the annotation says; None when it says nothing that this version understands."""
    if not text:
        return None
    try:
        found = msgspec.json.decode(text, type=Announcement)
        for each in found.links:
            ip_address(each)
        if found.tunnel is not None:
            ip_address(found.tunnel.address)
        for network in found.networks:
            ip_network(network)
    except (msgspec.DecodeError, ValueError, RecursionError):
        return None
    macs = [*found.links.values(), *([found.tunnel.mac] if found.tunnel else [])]
    return found if found.version == _VERSION and all(map(_is_hardware_address, macs)) else None


def _is_hardware_address(text: str) -> bool:
    octets = text.split(":")
    return len(octets) == 6 and all(
        len(each) == 2 and set(each) <= set("0123456789abcdef") for each in octets
    )
