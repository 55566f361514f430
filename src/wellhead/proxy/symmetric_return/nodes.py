"""What Node objects say that matters to symmetric returns, and what follows from it. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from hashlib import sha256
from ipaddress import IPv6Address, ip_network

from wellhead.api.meta import Obj
from wellhead.ip import Family, IPAddress, IPNetwork, addresses_of, parse_address
from wellhead.linux.numbers import TUNNEL_DEVICE
from wellhead.linux.routes import Interface
from wellhead.proxy.marks import Marks
from wellhead.proxy.symmetric_return.announcement import ANNOTATION, Announcement, TunnelEnd, parse
from wellhead.proxy.symmetric_return.numbers import Numbers
from wellhead.proxy.symmetric_return.plan import (
    Peer,
    Plan,
    Sender,
    Tunnel,
    TunnelPeer,
    Way,
    networks,
)
from wellhead.proxy.symmetric_return.settings import ReturnSettings
from wellhead.services.node import parse_node

_VXLAN_OVERHEAD = {4: 50, 6: 70}
_LEAST_IPV6_MTU = 1280
_LINK_LOCAL, _OURS = 0xFE80 << 112, 0x5748


@dataclass(frozen=True, slots=True)
class NodeFacts:
    """One node."""

    name: str
    addresses: tuple[IPAddress, ...]
    """Its InternalIPs, the primary ones of their families first."""
    other_addresses: tuple[IPAddress, ...]
    pod_networks: tuple[IPNetwork, ...]
    announced: Announcement | None
    text: str
    """The annotation as it is."""

    @property
    def networks(self) -> tuple[IPNetwork, ...]:
        """Where its endpoints are."""
        return tuple(
            net for family in Family for net in networks(family, (*self.addresses, *self.pod_networks))
        )

    def address(self, family: Family) -> IPAddress | None:
        return next((each for each in self.addresses if each.version == family), None)


def facts(node: Obj) -> NodeFacts:
    """What a Node object says."""
    parsed = parse_node(node)
    texts = [str(each.get("address")) for each in node.get("status", {}).get("addresses") or ()]
    found = [address for family in Family for address in addresses_of(family, texts)]
    text = (node["metadata"].get("annotations") or {}).get(ANNOTATION) or ""
    return NodeFacts(
        parsed.name,
        parsed.addresses,
        tuple(each for each in found if each not in parsed.addresses),
        parsed.pod_networks,
        parse(text),
        text,
    )


def inside(nodes: Iterable[NodeFacts], cluster_networks: Iterable[IPNetwork]) -> tuple[IPNetwork, ...]:
    """Where connections come from that are not a client's from outside."""
    known = [each for node in nodes for each in (*node.addresses, *node.other_addresses, *node.pod_networks)]
    return tuple(net for family in Family for net in networks(family, (*known, *cluster_networks)))


def with_blocks(
    me: NodeFacts, blocks: Iterable[IPNetwork], others: Iterable[NodeFacts]
) -> tuple[NodeFacts, list[NodeFacts]]:
    """The nodes with the blocks of addresses that pod networks have given them, besides their podCIDRs.

    This node's are given, others' are announced. A block counts for one node: not if any part of it is
    another's by its Node object, or by what this node or one with an earlier name says.
    """
    others = list(others)
    taken = [net for each in (me, *others) for net in each.networks]
    found: list[NodeFacts] = []
    for node in (me, *sorted(others, key=lambda each: each.name)):
        said = blocks if node is me else map(ip_network, node.announced.networks if node.announced else ())
        more = [each for each in said if _is_for_pods(each) and not any(_overlap(each, net) for net in taken)]
        taken += more
        found.append(replace(node, pod_networks=(*node.pod_networks, *more)) if more else node)
    mine, *rest = found
    return mine, rest


def _is_for_pods(network: IPNetwork) -> bool:
    return not (network.is_loopback or network.is_link_local or network.is_multicast)


def _overlap(one: IPNetwork, other: IPNetwork) -> bool:
    return one.version == other.version and one.overlaps(other)


Links = Mapping[IPAddress, Interface]
OnLink = Callable[[NodeFacts], tuple[Way, ...]]
"""The ways to a node on shared links: one a family, or none if any family has none."""


def tunnel_of(me: NodeFacts, links: Links, settings: ReturnSettings) -> Tunnel | None:
    """This node's end of the tunnel; None if it has no address to end at."""
    local = next((each for each in me.addresses if each in links), None)
    if local is None:
        return None
    mtu = links[local].mtu - _VXLAN_OVERHEAD[local.version]
    return Tunnel(local, hardware_address_for(local), max(mtu, _LEAST_IPV6_MTU), settings.vni, settings.port)


def hardware_address_for(address: IPAddress) -> str:
    """The tunnel device's at a node: its own, the same after every restart."""
    digest = sha256(address.packed).digest()
    return ":".join(f"{each:02x}" for each in (0x0A, *digest[:5]))  # a local, unicast one


def end_of(tunnel: Tunnel) -> TunnelEnd:
    """As it is announced."""
    return TunnelEnd(str(tunnel.local), tunnel.hardware_address, tunnel.vni, tunnel.port)


def make_plan(
    me: NodeFacts,
    others: Iterable[NodeFacts],
    settings: ReturnSettings,
    marks: Marks,
    numbers: Numbers,
    inside_networks: tuple[IPNetwork, ...],
    on_link: OnLink,
    tunnel: Tunnel | None,
) -> Plan:
    """The plan for node `me`. Those of `others` that can be peers, are.

    `inside_networks` is for the sources of packets, see `inside`.
    """
    others = list(others)
    peers: list[Peer] = []
    ends: list[TunnelPeer] = []
    for other in sorted(others, key=lambda each: each.name):
        if set(other.addresses) & set(me.addresses):
            continue  # this machine, under a name that it had before
        end = _tunnel_peer(other, tunnel)
        direct = direct_ways(other, settings, on_link)
        ways = direct or (_through(end) if end is not None else ())
        senders = _senders(other, direct, end)
        if not senders or (number := numbers.of(other.name)) is None:
            continue
        peers.append(Peer(number, other.name, other.networks, ways, senders))
        if end is not None:
            ends.append(end)
    if tunnel is not None:
        tunnel = Tunnel(
            tunnel.local, tunnel.hardware_address, tunnel.mtu, tunnel.vni, tunnel.port, tuple(ends)
        )
    pods = [each for node in (me, *others) for each in node.pod_networks]
    return Plan(
        marks,
        own=me.networks,
        local=(*me.networks, *pods),
        inside=inside_networks,
        peers=tuple(peers),
        tunnel=tunnel,
    )


def _through(end: TunnelPeer) -> tuple[Way, ...]:
    return tuple(Way(each, TUNNEL_DEVICE) for each in end.addresses)


def _tunnel_peer(other: NodeFacts, mine: Tunnel | None) -> TunnelPeer | None:
    announced = other.announced.tunnel if other.announced else None
    if mine is None or announced is None or (announced.vni, announced.port) != (mine.vni, mine.port):
        return None
    end = parse_address(announced.address)
    if end is None or end.version != mine.local.version or end not in other.addresses:
        return None
    versions = {each.version for each in (*other.addresses, *other.pod_networks)}
    gateways = [other.address(Family.IPV4), _link_local(announced.mac) if 6 in versions else None]
    return TunnelPeer(end, announced.mac, tuple(each for each in gateways if each is not None))


def _link_local(hardware_address: str) -> IPAddress:
    """A gateway for IPv6 that is nowhere but in the tunnel: one that has a route elsewhere is refused."""
    return IPv6Address(_LINK_LOCAL | _OURS << 48 | int(hardware_address.replace(":", ""), 16))


def _senders(other: NodeFacts, direct: tuple[Way, ...], end: TunnelPeer | None) -> tuple[Sender, ...]:
    found = [Sender(way.device, mac) for way in direct if (mac := _link(other, way))]
    if end is not None:
        found.append(Sender(TUNNEL_DEVICE, end.hardware_address))
    return tuple(dict.fromkeys(found))


def direct_ways(other: NodeFacts, settings: ReturnSettings, on_link: OnLink) -> tuple[Way, ...]:
    """The ways to a node without the tunnel; none if it can't be reached and recognised so."""
    if settings.path == "tunnel":
        return ()
    ways = on_link(other)
    return ways if all(_link(other, each) for each in ways) else ()


def needs_tunnel(others: Iterable[NodeFacts], settings: ReturnSettings, on_link: OnLink) -> bool:
    """Whether there is a node that takes part and that only a tunnel leads to."""
    if settings.path != "auto":
        return settings.path == "tunnel"
    return any(each.announced and not direct_ways(each, settings, on_link) for each in others)


def _link(other: NodeFacts, way: Way) -> str | None:
    return other.announced.link(way.address) if other.announced else None
