"""What one node has to do for symmetric returns, as a value. Pure; the kernel is brought there elsewhere."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import ip_network
from typing import NamedTuple

from wellhead.ip import Family, IPAddress, IPNetwork, collapse
from wellhead.linux.numbers import RETURN_ZONES, TUNNEL_DEVICE
from wellhead.proxy.marks import Marks

LAST_INDEX = len(RETURN_ZONES)
"""However many bits there are: zones and routing tables need room too."""


class Way(NamedTuple):
    """How packets of one family get to a peer: to its address, on an interface of this node."""

    address: IPAddress
    device: str


class Sender(NamedTuple):
    """What a peer's packets are recognised by."""

    device: str
    hardware_address: str


@dataclass(frozen=True, slots=True)
class Peer:
    """Another node that connections may come from and go to with their clients' addresses."""

    index: int
    """This node's own number for it: in marks, zones and routing tables."""
    name: str
    networks: tuple[IPNetwork, ...]
    """Where its endpoints are: its pod networks, and its addresses for those of the host network."""
    ways: tuple[Way, ...]
    """One a family."""
    senders: tuple[Sender, ...]
    """By the link and by the tunnel alike, where both are possible: the peer may choose otherwise."""

    @property
    def tunnelled(self) -> bool:
        """Whether packets go to it through the tunnel."""
        return any(each.device == TUNNEL_DEVICE for each in self.ways)


@dataclass(frozen=True, slots=True)
class TunnelPeer:
    """The other end of the tunnel at a peer, where frames for its hardware address go."""

    end: IPAddress
    hardware_address: str
    addresses: tuple[IPAddress, ...]
    """The addresses that routes through the tunnel lead to."""


@dataclass(frozen=True, slots=True)
class Tunnel:
    """The VXLAN device of this node."""

    local: IPAddress
    hardware_address: str
    mtu: int
    vni: int
    port: int
    peers: tuple[TunnelPeer, ...] = ()


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything that this node's kernel is to hold."""

    marks: Marks
    own: tuple[IPNetwork, ...] = ()
    """This node's addresses and pod networks."""
    local: tuple[IPNetwork, ...] = ()
    """Where peers' packets may be recognised to go: pods may have another node's addresses, and move."""
    inside: tuple[IPNetwork, ...] = ()
    """Sources that are no clients from outside: all nodes' addresses and pod networks."""
    peers: tuple[Peer, ...] = ()
    tunnel: Tunnel | None = None

    @property
    def tunnelled(self) -> tuple[Peer, ...]:
        return tuple(each for each in self.peers if each.tunnelled)

    @property
    def returnable(self) -> tuple[IPNetwork, ...]:
        """The only destinations that may see their client: by these peers' networks, and this node's."""
        return (*self.own, *(network for peer in self.peers for network in peer.networks))

    @property
    def link_devices(self) -> tuple[str, ...]:
        """The interfaces, but for the tunnel, that peers' packets come by."""
        devices = {sender.device for peer in self.peers for sender in peer.senders}
        return tuple(sorted(devices - {TUNNEL_DEVICE}))

    @property
    def devices(self) -> tuple[str, ...]:
        """All that peers' packets come by."""
        return (*self.link_devices, *((TUNNEL_DEVICE,) if self.tunnel is not None else ()))


def networks(family: Family, of: Iterable[IPAddress | IPNetwork]) -> tuple[IPNetwork, ...]:
    """Addresses and networks of one family as the fewest networks, in order."""
    return tuple(collapse(ip_network(each) for each in of if each.version == family))
