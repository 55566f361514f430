"""The nftables table of symmetric returns, as the text that `nft -f -` reads.

The table is written whole each time, in one transaction: it is small, changes only when nodes come and go,
and holds no state of its own. A peer is an element in a few verdict maps, with chains of constants behind it:
before Linux 6.13 nothing else changes some bits of a mark and leaves the rest alone.

On the endpoint's node, a packet that a peer sends on for a client:

- gets a conntrack zone of its peer's in the original direction. One client port that comes to one endpoint
  by two nodes is two connections then. Their replies look the same, so the kernel moves the later one's
  source port before it confirms it (null binding, nf_nat_core.c: get_unique_tuple), as for any other clash.
- has its connection marked with the peer, which marks the replies, which a routing rule sends to the peer.

On the ingress node only tunnelled peers need anything: their packets, and those that follow on the
connection, are marked for the peer's route, once the destination has been chosen.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from hashlib import sha256

from wellhead.ip import Family, IPNetwork
from wellhead.linux import nft
from wellhead.linux.numbers import RETURN_ZONES, TUNNEL_DEVICE, HookPriority, Table
from wellhead.proxy.symmetric_return.plan import Peer, Plan, Tunnel, networks

TABLE = Table.RETURN
FAMILY = "inet"

BY_TUNNEL, BY_LINK = 1, 2
"""In place of a peer's number on packets that are marked as arrived: how."""

VALIDATED = "validated"
"""The set of interfaces whose src_valid_mark was turned on for this: to be turned off again."""

_LONGEST_COMMENT = 120
_LINK_LOCAL = "fe80::/10"


def removal() -> str:
    """Remove the table, whether it is there or not."""
    return nft.replacement(FAMILY, TABLE)


def table(plan: Plan, validated: Iterable[str] = ()) -> str:
    """Put the whole of a plan in force in place of what is there.

    `validated`: what the set of that name is to hold.
    """
    names = map(_quoted, sorted(validated))
    lines = _filled(f"set {VALIDATED} {{ type ifname;", names)
    for block in _blocks(plan):
        lines += block
    return nft.replacement(FAMILY, TABLE, "".join(f"\t{each}\n" for each in lines))


def _blocks(plan: Plan) -> Iterator[list[str]]:
    words = _Words(plan)
    for family in Family:
        yield _set(f"inside{family.value}", family, words.inside(family))
        yield _set(f"local{family.value}", family, map(str, networks(family, plan.local)))
        yield _set(f"returnable{family.value}", family, map(str, networks(family, plan.returnable)))
        onward = _disjoint((net, peer) for peer in plan.tunnelled for net in networks(family, peer.networks))
        yield _map(
            f"onward{family.value}",
            f"type {family.address_type} : verdict; flags interval;",
            (f"{net} : goto onward-{peer.index}" for net, peer in onward),
        )
    # A machine may have two Node objects: an old one, under another name. Either number leads to it.
    senders = {f'"{by.device}" . {by.hardware_address}': peer for peer in plan.peers for by in peer.senders}
    key = "type ifname . ether_addr : verdict;"
    yield _map("zones", key, (f"{sender} : goto zone-{peer.index}" for sender, peer in senders.items()))
    yield _map("origins", key, (f"{sender} : goto origin-{peer.index}" for sender, peer in senders.items()))
    key = "type mark : verdict;"
    yield _map("returns", key, (f"{words.came_by(p):#x} : goto to-{p.index}" for p in plan.peers))
    yield _map("sendings", key, (f"{words.goes_to(p):#x} : goto to-{p.index}" for p in plan.tunnelled))
    for peer in plan.peers:
        yield from words.of_peer(peer)
    yield from words.common()


def _disjoint(found: Iterable[tuple[IPNetwork, Peer]]) -> Iterator[tuple[IPNetwork, Peer]]:
    """Without networks that overlap one before: nft takes none of a set's elements then."""
    end = -1
    for network, peer in sorted(found, key=lambda each: (int(each[0][0]), each[0].prefixlen, each[1].index)):
        if int(network[0]) > end:
            end = int(network[-1])
            yield network, peer


class _Words:
    """The rules' recurring parts."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        marks = plan.marks
        self._marks = marks
        self._which = marks.arrived | marks.index_mask

    def inside(self, family: Family) -> list[str]:
        found = [str(each) for each in networks(family, self._plan.inside)]
        return [*found, _LINK_LOCAL] if family is Family.IPV6 else found

    def came_by(self, peer: Peer) -> int:
        """On a connection that a peer has sent on to here."""
        return self._marks.arrived | self._marks.of(peer.index)

    def goes_to(self, peer: Peer) -> int:
        """On a connection that is sent on from here, and on every packet that takes the peer's route."""
        return self._marks.of(peer.index)

    def of_peer(self, peer: Peer) -> Iterator[list[str]]:
        """A peer's chains. The comments tell people, and the next process, whose number it is."""
        n = peer.index
        by_link = self._set_bits("meta", self._marks.arrived | self._marks.of(BY_LINK))
        yield _chain(
            f"zone-{n}",
            f'iifname != "{TUNNEL_DEVICE}" {by_link}',
            f'ct original zone set {RETURN_ZONES[n - 1]} comment "{comment(peer.name)}"',
        )
        yield _chain(f"origin-{n}", self._set_bits("ct", self.came_by(peer)))
        yield _chain(f"to-{n}", self._set_bits("meta", self.goes_to(peer)))
        if peer.tunnelled:
            yield _chain(f"onward-{n}", self._set_bits("ct", self.goes_to(peer)), f"goto to-{n}")

    def common(self) -> Iterator[list[str]]:
        """The chains that don't depend on the peers."""
        arrived = f"{self._marks.arrived:#x}"
        preserve = f"{self._marks.preserve:#x}"
        yield _chain("from-peer", "iifname . ether saddr vmap @zones")
        yield _chain("for-endpoint", *self._to_local("goto from-peer"))
        yield _chain("origin-of", "iifname . ether saddr vmap @origins")
        yield _chain("new-for-endpoint", *self._to_local("goto origin-of"))
        keep = 0xFFFFFFFF & ~self._marks.preserve
        masqueraded = f"meta mark set meta mark & {keep:#x} | {self._marks.masquerade:#x}"
        fresh = f"ct mark & {self._which:#x} == 0"
        # The ingress side goes by endpoints' nodes. Where pods have other addresses than the Node objects
        # say, no peer would recognise these packets.
        yield _chain(
            "preserved",
            f"ip daddr != @returnable4 {masqueraded} return",
            f"ip6 daddr != @returnable6 {masqueraded} return",
            f"{fresh} ip daddr vmap @onward4",
            f"{fresh} ip6 daddr vmap @onward6",
        )
        yield _base("arriving", "filter", "prerouting", HookPriority.RETURN_RAW, *self._arriving())
        yield _base(
            "returning",
            "filter",
            "prerouting",
            HookPriority.RETURN_MANGLE,
            f"ct direction reply ct mark & {self._which:#x} vmap @returns",
            f"ct direction original ct mark & {self._which:#x} vmap @sendings",
            f"ct state new meta mark & {arrived} == {arrived} goto new-for-endpoint",
        )
        yield _base(
            "returning-own",
            "route",
            "output",
            HookPriority.RETURN_MANGLE,
            f"ct direction reply ct mark & {self._which:#x} vmap @returns",
        )
        yield _base(
            "sending",
            "filter",
            "prerouting",
            HookPriority.RETURN_BEHIND_DSTNAT,
            f"meta mark & {preserve} == {preserve} goto preserved",
        )
        # A packet that is encapsulated comes by again, and must not take the peer's route then.
        yield _base(
            "leaving",
            "filter",
            "postrouting",
            HookPriority.RETURN_LAST,
            f"meta mark & {self._which:#x} != 0 {self._clear_bits()}",
        )
        # Nobody's masquerading on the endpoint's node takes the client's address away either.
        yield _base(
            "kept",
            "nat",
            "postrouting",
            HookPriority.RETURN_CLAIMS,
            *(
                f"ct mark & {arrived} == {arrived} snat {family.nft} to {family.nft} saddr"
                for family in Family
            ),
        )
        # Has the kernel give each confirmed connection a reply of its own, whatever others' rules are.
        yield _base("apart", "nat", "postrouting", HookPriority.RETURN_SRCNAT)
        if self._plan.tunnel is not None:
            yield from self._tunnel(self._plan.tunnel)

    def _arriving(self) -> Iterator[str]:
        if self._plan.tunnel is not None:
            by_tunnel = self._set_bits("meta", self._marks.arrived | self._marks.of(BY_TUNNEL))
            yield f'iifname "{TUNNEL_DEVICE}" {by_tunnel}'
        if devices := self._plan.devices:
            yield f"iifname {_braced(map(_quoted, devices))} goto for-endpoint"

    def _to_local(self, verdict: str) -> Iterator[str]:
        for family in Family:
            ip = family.nft
            yield f"{ip} daddr @local{family.value} {ip} saddr != @inside{family.value} {verdict}"

    def _tunnel(self, tunnel: Tunnel) -> Iterator[list[str]]:
        family = Family(tunnel.local.version)
        ends = sorted({str(each.end) for each in tunnel.peers})
        yield _set("ends", family, ends, interval=False)
        # The device takes what is sent to any of this node's addresses. From others than peers it is forged.
        yield _base(
            "tunnel-port",  # "tunnel" is a word of nft's since 1.1.4
            "filter",
            "input",
            HookPriority.RETURN_RAW,
            f"meta nfproto != ipv{family.value} udp dport {tunnel.port} drop",
            f"udp dport {tunnel.port} {family.nft} saddr != @ends drop",
        )
        yield _base(
            "fitting",
            "filter",
            "postrouting",
            HookPriority.RETURN_MANGLE,
            f'oifname "{TUNNEL_DEVICE}" tcp flags & (syn | rst) == syn tcp option maxseg size set rt mtu',
        )

    def _set_bits(self, mark: str, bits: int) -> str:
        keep = 0xFFFFFFFF & ~self._which
        return f"{mark} mark set {mark} mark & {keep:#x} | {bits:#x}"

    def _clear_bits(self) -> str:
        return f"meta mark set meta mark & {0xFFFFFFFF & ~self._which:#x}"


def comment(name: str) -> str:
    """A node's name as a comment: nft takes 128 bytes of it, names have up to 253."""
    if len(name) <= _LONGEST_COMMENT:
        return name
    return f"{name[:60]} {sha256(name.encode()).hexdigest()[:32]}"


def _quoted(text: str) -> str:
    return f'"{text}"'


def _braced(elements: Iterable[str]) -> str:
    return "{ " + ", ".join(elements) + " }"


def _set(name: str, family: Family, elements: Iterable[str], *, interval: bool = True) -> list[str]:
    flags = "flags interval;" if interval else ""
    return _filled(f"set {name} {{ type {family.address_type}; {flags}", elements)


def _map(name: str, what: str, elements: Iterable[str]) -> list[str]:
    return _filled(f"map {name} {{ {what}", elements)


def _filled(head: str, elements: Iterable[str]) -> list[str]:
    found = list(elements)
    return [f"{head} elements = {_braced(found)} }}" if found else f"{head} }}"]


def _chain(name: str, *rules: str) -> list[str]:
    return [f"chain {name} {{", *(f"\t{each}" for each in rules), "}"]


def _base(name: str, kind: str, hook: str, priority: int, *rules: str) -> list[str]:
    return _chain(name, f"type {kind} hook {hook} priority {priority}; policy accept;", *rules)
