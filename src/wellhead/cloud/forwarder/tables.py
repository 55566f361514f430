"""The forwarder's nftables table: constant rules, and the elements that say everything else. No I/O.

    map  frontends        VIP . protocol . port → a node's mark, a group's number, or 0: nobody to send it to
    map  buckets          group's number . bucket → a node's mark
    set  client-affinity  frontends whose flows are spread by the client's address alone
    set  pools            the networks that VIPs come from
    set  node-links       the interfaces towards the nodes: VIP traffic from there is a routing loop

A group with one node needs no buckets. nft 1.0.6 crashes on listing a map with a hash in its key, so the
rules pass group and bucket through the connection's mark and the packet's.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Network

from wellhead.cloud.forwarder.hashing import BUCKETS, Node, assign

TABLE = "wellhead-forwarder"

MARK_TAG = 0x57480000
"""The upper half of every node's mark. Group numbers and buckets have it empty."""
MARK_TAG_MASK = 0xFFFF0000

_SEED = 0x57484C42  # any constant: the same flow must hash the same after a restart

_RULES = f"""\
  chain prerouting {{
    type filter hook prerouting priority mangle; policy accept;
    ip daddr @pools goto vip
  }}
  chain vip {{
    iifname @node-links drop
    # An ICMP error about an answer (fragmentation needed, say) goes where the flow went.
    meta l4proto icmp ct state related ct direction original ct mark and {MARK_TAG_MASK:#x} == {MARK_TAG:#x} \
meta mark set ct mark accept
    ip daddr . meta l4proto . th dport != @frontends drop
    # Answered, so established: it stays. One that isn't is decided anew, so that a retry finds another node.
    ct status seen-reply ct direction original ct mark and {MARK_TAG_MASK:#x} == {MARK_TAG:#x} \
meta mark set ct mark accept
    ct mark set ip daddr . meta l4proto . th dport map @frontends
    ct mark 0 drop
    ct mark and {MARK_TAG_MASK:#x} == {MARK_TAG:#x} meta mark set ct mark accept
    meta mark set jhash ip saddr . ip daddr . meta l4proto . th sport . th dport mod {BUCKETS} seed {_SEED:#x}
    ip daddr . meta l4proto . th dport @client-affinity \
meta mark set jhash ip saddr mod {BUCKETS} seed {_SEED:#x}
    meta mark set ct mark . meta mark map @buckets
    meta mark and {MARK_TAG_MASK:#x} == {MARK_TAG:#x} ct mark set meta mark accept
    drop
  }}
  # The router's own ICMP errors about answers that it can't pass on.
  chain own {{
    type route hook output priority mangle; policy accept;
    ip daddr != @pools accept
    ct state related ct direction original ct mark and {MARK_TAG_MASK:#x} == {MARK_TAG:#x} \
meta mark set ct mark accept
    drop
  }}
"""


@dataclass(frozen=True)
class Frontend:
    """What a client dials. `protocol` is "tcp" or "udp"."""

    vip: IPv4Address
    protocol: str
    port: int

    def __str__(self) -> str:
        return f"{self.vip} . {self.protocol} . {self.port}"


@dataclass(frozen=True)
class Target:
    """Where a frontend's flows go: to a node of the group, chosen by the flow or by the client alone."""

    group: str
    client_affinity: bool = False


@dataclass
class Change:
    """New targets of frontends (None: the frontend goes) and new members of groups.

    A change of a frontend's target brings its group's members along; a group without frontends is forgotten.
    """

    frontends: dict[Frontend, Target | None] = field(default_factory=dict)
    groups: dict[str, frozenset[Node]] = field(default_factory=dict)


@dataclass
class _Group:
    number: int
    nodes: frozenset[Node] = frozenset()
    frontends: set[Frontend] = field(default_factory=set)


class Tables:
    """What the table should hold, what it does hold, and the nft commands from here to there."""

    def __init__(self, pools: Iterable[IPv4Network]) -> None:
        self._pools = tuple(pools)
        self._targets: dict[Frontend, Target] = {}
        self._groups: dict[str, _Group] = {}
        self._free_numbers: list[int] = []
        self._marks: dict[Node, int] = {}
        self._links: frozenset[str] = frozenset()
        # The kernel's elements, as of the commands given out.
        self._values: dict[Frontend, int] = {}
        self._affinity: set[Frontend] = set()
        self._buckets: dict[int, list[int]] = {}

    @property
    def frontends(self) -> Collection[Frontend]:
        """Everything that is forwarded."""
        return self._targets.keys()

    def route(self, marks: Mapping[Node, int], links: frozenset[str]) -> str:
        """Take these nodes' marks, and no other node, from now on. Returns nft commands."""
        commands: list[str] = []
        if links != self._links:
            commands += _difference("node-links", _quoted(self._links - links), _quoted(links - self._links))
            self._links = links
        changed = {node for node, _ in marks.items() ^ self._marks.items()}
        self._marks = dict(marks)
        touched = [group for group in self._groups.values() if group.nodes & changed]
        return "\n".join(commands + self._render(touched, ()))

    def change(self, change: Change) -> str:
        """Make the change. Returns nft commands."""
        touched: dict[str, _Group] = {}
        for frontend, target in change.frontends.items():
            old = self._targets.pop(frontend, None)
            if old is not None:
                touched[old.group] = self._groups[old.group]
                self._groups[old.group].frontends.discard(frontend)
            if target is not None:
                self._targets[frontend] = target
                group = touched[target.group] = self._group(target.group)
                group.frontends.add(frontend)
        for name, nodes in change.groups.items():
            known = self._groups.get(name)
            if known is not None and known.nodes != nodes:
                known.nodes = nodes
                touched[name] = known
        for name, group in touched.items():
            if not group.frontends:
                del self._groups[name]
                self._free_numbers.append(group.number)
        return "\n".join(self._render(touched.values(), change.frontends))

    def replace(self) -> str:
        """nft commands that replace the table, if there is one, by all that it should hold."""
        self._values, self._affinity, self._buckets = {}, set(), {}
        pools = ", ".join(map(str, self._pools))
        head = f"""\
add table ip {TABLE}
delete table ip {TABLE}
table ip {TABLE} {{
  set pools {{ type ipv4_addr; flags interval; auto-merge; elements = {{ {pools} }} }}
  set node-links {{ type ifname; }}
  set client-affinity {{ type ipv4_addr . inet_proto . inet_service; }}
  map frontends {{ type ipv4_addr . inet_proto . inet_service : mark; }}
  map buckets {{ type mark . mark : mark; }}
{_RULES}}}"""
        links = _difference("node-links", (), _quoted(self._links))
        return "\n".join([head, *links, *self._render(self._groups.values(), ())])

    def _group(self, name: str) -> _Group:
        group = self._groups.get(name)
        if group is None:
            number = self._free_numbers.pop() if self._free_numbers else len(self._groups) + 1
            group = self._groups[name] = _Group(number)
        return group

    def _render(self, touched: Iterable[_Group], frontends: Iterable[Frontend]) -> list[str]:
        """Commands that bring the elements of these groups and frontends to what they should be."""
        old_values: list[str] = []
        new_values: list[str] = []
        old_buckets: list[str] = []
        new_buckets: list[str] = []
        stale = set(frontends) - self._targets.keys()
        affinity_before = set(self._affinity)
        for group in touched:
            marks = self._marks_of(group) if group.frontends else []
            old = self._buckets.pop(group.number, [])
            if marks:
                self._buckets[group.number] = marks
            for bucket in range(BUCKETS if old or marks else 0):
                before = old[bucket] if old else None
                after = marks[bucket] if marks else None
                if before == after:
                    continue
                if before is not None:
                    old_buckets.append(f"{group.number} . {bucket} : {before:#x}")
                if after is not None:
                    new_buckets.append(f"{group.number} . {bucket} : {after:#x}")
            value = self._value(group)
            for frontend in group.frontends:
                known = self._values.get(frontend)
                if known != value:
                    if known is not None:
                        old_values.append(f"{frontend} : {known:#x}")
                    new_values.append(f"{frontend} : {value:#x}")
                    self._values[frontend] = value
                if self._targets[frontend].client_affinity:
                    self._affinity.add(frontend)
                else:
                    self._affinity.discard(frontend)
        for frontend in stale:
            if (known := self._values.pop(frontend, None)) is not None:
                old_values.append(f"{frontend} : {known:#x}")
            self._affinity.discard(frontend)
        return [
            *_difference("frontends", old_values, new_values),
            *_difference("buckets", old_buckets, new_buckets),
            *_difference(
                "client-affinity",
                map(str, affinity_before - self._affinity),
                map(str, self._affinity - affinity_before),
            ),
        ]

    def _reachable(self, group: _Group) -> list[Node]:
        return [node for node in group.nodes if node in self._marks]

    def _marks_of(self, group: _Group) -> list[int]:
        """The mark of each bucket; none for a group of fewer than two nodes."""
        nodes = self._reachable(group)
        return [self._marks[node] for node in assign(nodes)] if len(nodes) > 1 else []

    def _value(self, group: _Group) -> int:
        nodes = self._reachable(group)
        if len(nodes) == 1:
            return self._marks[nodes[0]]
        return group.number if nodes else 0


def _quoted(names: Iterable[str]) -> list[str]:
    return [f'"{name}"' for name in sorted(names)]


def _difference(name: str, old: Iterable[str], new: Iterable[str]) -> list[str]:
    """Commands that take these elements out of a set or map, and put those in."""
    commands = []
    for verb, elements in (("delete", ", ".join(old)), ("add", ", ".join(new))):
        if elements:
            commands.append(f"{verb} element ip {TABLE} {name} {{ {elements} }}")
    return commands
