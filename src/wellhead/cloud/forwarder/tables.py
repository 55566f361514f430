"""The forwarder's nftables tables, one a family: constant rules, and the elements that say the rest. No I/O.

    map  frontends        VIP . protocol . port → a node's mark, a group's number, or 0: nobody to send it to
    map  groups           group's number → the chain that hashes its flows
    map  buckets          1024 · group's number + bucket → a node's mark
    set  client-affinity  frontends whose flows are spread by the client's address alone
    set  terminated       frontends that a proxy answers: their one "node" is the proxy's machine
    set  pools            the networks that VIPs come from
    set  node-links       the interfaces towards the nodes: VIP traffic from there is a routing loop,
                          unless a proxy answers it; where VIPs are announced, the interfaces they arrive at
    set  node-macs, here  where VIPs are announced: the nodes' hardware addresses, and the interfaces of a
                          machine that is a node itself
    set  begun, apart     where VIPs are announced: TCP flows that conntrack doesn't know yet, or takes for
                          another one; packets fill them themselves

A group with one node needs no buckets. nft 1.0.6 crashes on listing a map with a hash in its key, so the
hash takes a detour by the packet's mark.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

from wellhead.cloud.forwarder.elements import TABLE, Elements
from wellhead.cloud.forwarder.hashing import BUCKETS, Node, assign
from wellhead.cloud.forwarder.held import Held
from wellhead.cloud.forwarder.ruleset import HERE, flows, group_chain, rules
from wellhead.ip import Family, IPAddress, IPNetwork, collapse
from wellhead.linux import nft

_HOOK = re.compile(r"chain (\S+) \{\s+type (\w+) hook (\w+) priority (-?\d+);")


@dataclass(frozen=True)
class Frontend:
    """What a client dials. `protocol` is "tcp" or "udp"."""

    vip: IPAddress
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
    """What the table should hold, what it does hold, and the nft commands from here to there.

    `announced` are the interfaces where VIPs are announced; none on a router between clients and nodes.
    """

    def __init__(
        self, pools: Iterable[IPNetwork], family: Family = Family.IPV4, announced: Collection[str] = ()
    ) -> None:
        self._pools = tuple(pools)
        self._family = family
        self._announced = frozenset(announced)
        self._targets: dict[Frontend, Target] = {}
        self._groups: dict[str, _Group] = {}
        self._free_numbers: list[int] = []
        self._marks: dict[Node, int] = {}
        self._values: Elements[Frontend] = Elements("frontends", family)
        self._buckets: Elements[int] = Elements("buckets", family)
        self._affinity: Elements[Frontend] = Elements("client-affinity", family)
        self._terminated: Elements[Frontend] = Elements("terminated", family)
        self._links: Elements[str] = Elements("node-links", family)
        self._everything: list[Elements[Frontend] | Elements[int] | Elements[str]] = [
            self._values,
            self._buckets,
            self._affinity,
            self._terminated,
            self._links,
        ]
        self._macs: Elements[str] = Elements("node-macs", family)
        self._here: Elements[str] = Elements("here", family)
        if announced:
            self._everything += [self._macs, self._here]
        self._chains = 0  # groups with a number up to this have a chain

    @property
    def frontends(self) -> Collection[Frontend]:
        """Everything that is forwarded."""
        return self._targets.keys()

    def route(self, marks: Mapping[Node, int], links: frozenset[str]) -> str:
        """Take these nodes' marks, and no other node, from now on. Returns nft commands."""
        wanted = {f'"{name}"' for name in self._announced or links}
        self._links.become(wanted)
        self._here.become(wanted if HERE in marks.values() else ())
        changed = {node for node, _ in marks.items() ^ self._marks.items()}
        self._marks = dict(marks)
        for group in self._groups.values():
            if group.nodes & changed:
                self._render(group)
        return self._commands()

    def neighbours(self, macs: Collection[str]) -> str:
        """Take these for the nodes' hardware addresses from now on. Returns nft commands."""
        self._macs.become(macs if self._announced else ())
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
        return "".join(
            [
                nft.replacement(self._family.nft, TABLE),
                self._frame(),
                *(elements.all() for elements in self._everything),
            ]
        )

    def mend(self, there: Held) -> str | None:
        """nft commands that make of the table that is there what it should be; None: only replacing it does.

        What is right stays. A replaced table's chains, old and new, are asked one after the other, and a
        packet that passes just then may meet neither's rules; those of a chain that stays change at once.
        """
        frame = self._frame()
        hooks = {name: (kind, hook, int(priority)) for name, kind, hook, priority in _HOOK.findall(frame)}
        if there.hooks != hooks or there.pools != frozenset(collapse(self._pools)):
            return None
        table = f"{self._family.nft} {TABLE}"
        superfluous = there.groups - set(range(1, self._chains + 1))
        return "".join(
            [
                *(f"flush chain {table} {name}\n" for name in sorted(there.chains)),
                frame,
                *(
                    f"delete element {table} groups {{ {number} }}\ndelete chain {table} group-{number}\n"
                    for number in sorted(superfluous)
                ),
                *(elements.mend(there.elements.get(elements.name, {})) for elements in self._everything),
            ]
        )

    def _frame(self) -> str:
        """The commands that make all of the table but its elements."""
        address, pools = self._family.address_type, ", ".join(map(str, self._pools))
        neighbours = """\
  set here { type ifname; }
  set node-macs { type ether_addr; }
"""
        head = f"""\
table {self._family.nft} {TABLE} {{
  set pools {{ type {address}; flags interval; auto-merge; elements = {{ {pools} }} }}
  set node-links {{ type ifname; }}
{neighbours + flows(self._family) if self._announced else ""}\
  set client-affinity {{ type {address} . inet_proto . inet_service; }}
  set terminated {{ type {address} . inet_proto . inet_service; }}
  map frontends {{ type {address} . inet_proto . inet_service : mark; }}
  map buckets {{ type mark : mark; }}
  map groups {{ type mark : verdict; }}
{rules(self._family, announced=bool(self._announced))}}}
"""
        return head + "".join(
            group_chain(self._family, TABLE, number) for number in range(1, self._chains + 1)
        )

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
            self._buckets.put(group.number * BUCKETS + bucket, mark)
        if not marks and len(group.rendered) > 1:
            for bucket in range(BUCKETS):
                self._buckets.drop(group.number * BUCKETS + bucket)
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
        highest = max((group.number for group in self._groups.values()), default=0)
        chains = [group_chain(self._family, TABLE, number) for number in range(self._chains + 1, highest + 1)]
        self._chains = max(self._chains, highest)
        return "".join([*chains, *(elements.changes() for elements in self._everything)])
