"""The forwarder's nftables table: constant rules, and the elements that say everything else. No I/O.

    map  frontends        VIP . protocol . port → a node's mark, a group's number, or 0: nobody to send it to
    map  buckets          group's number . bucket → a node's mark
    set  client-affinity  frontends whose flows are spread by the client's address alone
    set  terminated       frontends that a proxy answers: their one "node" is the proxy's machine
    set  pools            the networks that VIPs come from
    set  node-links       the interfaces towards the nodes: VIP traffic from there is a routing loop,
                          unless a proxy answers it

A group with one node needs no buckets. nft 1.0.6 crashes on listing a map with a hash in its key, so the
rules pass group and bucket through the connection's mark and the packet's.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Network

from wellhead.cloud.forwarder.elements import TABLE, Elements
from wellhead.cloud.forwarder.hashing import BUCKETS, Node, assign

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
    ip daddr . meta l4proto . th dport @terminated goto terminated
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
  # Nodes and pods may dial a proxy too. It answers them directly, so the router sees half of such a
  # connection and can't track it; nor need it, since there is but one way. A packet that the proxy's machine
  # sends back, because it doesn't know the VIP any more, has a source that doesn't belong where it came from.
  chain terminated {{
    iifname @node-links fib saddr . iif oif missing drop
    meta mark set ip daddr . meta l4proto . th dport map @frontends
    meta mark 0 drop
    ct mark set meta mark accept
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
    """Where a frontend's flows go: to a node of the group, chosen by the flow or by the client alone.

    `terminated`: the group's one member is the machine of a proxy.
    """

    group: str
    client_affinity: bool = False
    terminated: bool = False


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
    # What the elements say: the nodes that have buckets, or are the only one, and what frontends map to.
    rendered: frozenset[Node] = frozenset()
    value: int = 0


class Tables:
    """What the table should hold, what it does hold, and the nft commands from here to there."""

    def __init__(self, pools: Iterable[IPv4Network]) -> None:
        self._pools = tuple(pools)
        self._targets: dict[Frontend, Target] = {}
        self._groups: dict[str, _Group] = {}
        self._free_numbers: list[int] = []
        self._marks: dict[Node, int] = {}
        self._values: Elements[Frontend] = Elements("frontends")
        self._buckets: Elements[str] = Elements("buckets")
        self._affinity: Elements[Frontend] = Elements("client-affinity")
        self._terminated: Elements[Frontend] = Elements("terminated")
        self._links: Elements[str] = Elements("node-links")
        self._everything = (self._values, self._buckets, self._affinity, self._terminated, self._links)

    @property
    def frontends(self) -> Collection[Frontend]:
        """Everything that is forwarded."""
        return self._targets.keys()

    def route(self, marks: Mapping[Node, int], links: frozenset[str]) -> str:
        """Take these nodes' marks, and no other node, from now on. Returns nft commands."""
        wanted = {f'"{name}"' for name in links}
        for link in self._links.held.keys() - wanted:
            self._links.drop(link)
        for link in wanted:
            self._links.put(link)
        changed = {node for node, _ in marks.items() ^ self._marks.items()}
        self._marks = dict(marks)
        for group in self._groups.values():
            if group.nodes & changed:
                self._render(group)
        return self._commands()

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
            self._render(group)
            if not group.frontends:
                del self._groups[name]
                self._free_numbers.append(group.number)
        for frontend in change.frontends:
            self._render_frontend(frontend)
        return self._commands()

    def replace(self) -> str:
        """nft commands that replace the table, if there is one, by all that it should hold."""
        pools = ", ".join(map(str, self._pools))
        head = f"""\
add table ip {TABLE}
delete table ip {TABLE}
table ip {TABLE} {{
  set pools {{ type ipv4_addr; flags interval; auto-merge; elements = {{ {pools} }} }}
  set node-links {{ type ifname; }}
  set client-affinity {{ type ipv4_addr . inet_proto . inet_service; }}
  set terminated {{ type ipv4_addr . inet_proto . inet_service; }}
  map frontends {{ type ipv4_addr . inet_proto . inet_service : mark; }}
  map buckets {{ type mark . mark : mark; }}
{_RULES}}}
"""
        return head + "".join(elements.all() for elements in self._everything)

    def _group(self, name: str) -> _Group:
        group = self._groups.get(name)
        if group is None:
            number = self._free_numbers.pop() if self._free_numbers else len(self._groups) + 1
            group = self._groups[name] = _Group(number)
        return group

    def _render(self, group: _Group) -> None:
        """Bring the group's buckets up to date and, if where they map to changed, all of its frontends."""
        nodes = frozenset(group.nodes & self._marks.keys()) if group.frontends else frozenset()
        marks = [self._marks[node] for node in assign(nodes)] if len(nodes) > 1 else []
        for bucket, mark in enumerate(marks):
            self._buckets.put(f"{group.number} . {bucket}", mark)
        if not marks and len(group.rendered) > 1:
            for bucket in range(BUCKETS):
                self._buckets.drop(f"{group.number} . {bucket}")
        value = group.number if marks else self._marks[next(iter(nodes))] if nodes else 0
        group.rendered = nodes
        if value != group.value:
            group.value = value
            for frontend in group.frontends:
                self._values.put(frontend, value)

    def _render_frontend(self, frontend: Frontend) -> None:
        target = self._targets.get(frontend)
        if target is None:
            self._values.drop(frontend)
            self._affinity.drop(frontend)
            self._terminated.drop(frontend)
            return
        self._values.put(frontend, self._groups[target.group].value)
        if target.client_affinity:
            self._affinity.put(frontend)
        else:
            self._affinity.drop(frontend)
        if target.terminated:
            self._terminated.put(frontend)
        else:
            self._terminated.drop(frontend)

    def _commands(self) -> str:
        return "".join(elements.changes() for elements in self._everything)
