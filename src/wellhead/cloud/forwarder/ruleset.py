"""The constant rules of the forwarder's table, as text for nft. No I/O.

A router on the way of both directions sees whether a flow is answered: a flow that is stays where it is, one
that isn't is decided anew, so that a retry finds another node.

One that announces VIPs on the nodes' own network sees the clients' half of a connection only, since nodes
answer through their own gateway. What begins a TCP connection passes it untracked, by the hash alone; what
comes next is a connection picked up in the middle, to conntrack, whose mark remembers the node. If conntrack
remembers an earlier connection from the same port, perhaps to another node, it is told the new one then; so
what has begun is known until something comes next. Such a router may be a node itself: the service proxy's
rules must not get to see what is for other nodes, and what other nodes have forwarded is for this one.
"""

from __future__ import annotations

from wellhead.cloud.forwarder.hashing import BUCKETS
from wellhead.ip import Family
from wellhead.linux.numbers import FORWARDER_MARK_MASK, FORWARDER_MARKS, FORWARDER_ZONE, HookPriority

HERE = FORWARDER_MARKS.start
"""The mark that stands for the machine itself, where it is a node: its packets stay. No packet carries it."""

_REDIRECT = {Family.IPV4: "icmp type redirect", Family.IPV6: "icmpv6 type nd-redirect"}
_SEED = 0x57484C42  # any constant: the same flow must hash the same after a restart, and on another machine
_FLOWS = 65536
_BEGUN_SECONDS = 30  # by then a client has answered, or begun again
_APART_SECONDS = 300  # as conntrack keeps a connection of which it sees one half
_NODE = f"and {FORWARDER_MARK_MASK:#x} == {HERE:#x}"  # group numbers and buckets are below


def group_chain(family: Family, table: str, number: int) -> str:
    """The commands that make the chain which spreads flows over one group's buckets."""
    ip = family.nft
    modulo = f"mod {BUCKETS} seed {_SEED:#x} offset {number * BUCKETS}"
    dialled = f"{ip} daddr . meta l4proto . th dport"
    flow = f"{ip} saddr . {ip} daddr . meta l4proto . th sport . th dport"
    rule = f"add rule {ip} {table} group-{number}"
    return f"""\
add chain {ip} {table} group-{number}
{rule} {dialled} @client-affinity meta mark set jhash {ip} saddr {modulo} goto bucket
{rule} meta mark set jhash {flow} {modulo} goto bucket
add element {ip} {table} groups {{ {number} : goto group-{number} }}
"""


def rules(family: Family, *, announced: bool) -> str:
    """All chains but those of groups. `announced`: the table of a machine that announces VIPs."""
    ip = family.nft
    dialled = f"{ip} daddr . meta l4proto . th dport"
    return _CHOICE.format(dialled=dialled) + (
        _announced(family, dialled) if announced else _between(family, dialled)
    )


def flows(family: Family) -> str:
    """The sets of TCP flows that packets fill themselves, of a machine that announces VIPs.

    They don't say the node: nft 1.0.6 can't write a rule that puts a value into a map by a key this long.
    """
    key = f"{family.address_type} . {family.address_type} . inet_service . inet_service"
    return "".join(
        f"  set {name} {{ type {key}; flags dynamic,timeout; size {_FLOWS}; timeout {seconds}s; }}\n"
        for name, seconds in (("begun", _BEGUN_SECONDS), ("apart", _APART_SECONDS))
    )


# Leaves the node's mark on the packet, or what is no node's mark.
_CHOICE = """\
  chain bucket {{
    meta mark set meta mark map @buckets
  }}
  chain choose {{
    meta mark set {dialled} map @frontends
    meta mark vmap @groups
  }}
"""


def _between(family: Family, dialled: str) -> str:
    ip = family.nft
    return f"""\
  chain prerouting {{
    type filter hook prerouting priority {HookPriority.FORWARDER_MANGLE}; policy accept;
    {ip} daddr @pools goto vip
  }}
  chain vip {{
    {dialled} @terminated goto terminated
    iifname @node-links drop
    # An ICMP error about an answer (fragmentation needed, say) goes where the flow went.
    meta l4proto {family.icmp} ct state related ct direction original ct mark {_NODE} \
meta mark set ct mark accept
    {dialled} != @frontends drop
    ct status seen-reply ct direction original ct mark {_NODE} meta mark set ct mark accept
    jump choose
    meta mark {_NODE} ct mark set meta mark accept
    drop
  }}
  # Nodes and pods may dial a proxy too. It answers them directly, so the router sees half of such a
  # connection and can't track it; nor need it, since there is but one way. A packet that the proxy's machine
  # sends back, because it doesn't know the VIP any more, has a source that doesn't belong where it came from.
  chain terminated {{
    iifname @node-links fib saddr . iif oif missing drop
    meta mark set {dialled} map @frontends
    meta mark 0 drop
    ct mark set meta mark accept
  }}
  # The router's own ICMP errors about answers that it can't pass on.
  chain own {{
    type route hook output priority {HookPriority.FORWARDER_MANGLE}; policy accept;
    {ip} daddr != @pools accept
    ct state related ct direction original ct mark {_NODE} meta mark set ct mark accept
    drop
  }}
"""


def _announced(family: Family, dialled: str) -> str:
    ip = family.nft
    flow = f"{ip} saddr . {ip} daddr . th sport . th dport"
    return f"""\
  chain raw {{
    type filter hook prerouting priority {HookPriority.FORWARDER_RAW}; policy accept;
    iifname @node-links goto arrival
  }}
  chain arrival {{
    {ip} daddr != @pools accept
    {dialled} @terminated goto terminated
    ether saddr @node-macs goto relayed
    meta l4proto != tcp accept
    tcp flags & (fin | syn | rst | ack) != syn goto later
    {dialled} != @frontends drop
    delete @begun {{ {flow} }}
    delete @apart {{ {flow} }}
    jump choose
    meta mark {HERE:#x} meta mark set 0 accept
    meta mark {_NODE} add @begun {{ {flow} }}
    meta mark {_NODE} notrack accept
    drop
  }}
  chain later {{
    {flow} != @apart accept
    update @apart {{ {flow} }}
    ct zone set {FORWARDER_ZONE} accept
  }}
  # What a node has forwarded is for this one, if it is a node; else it goes no further.
  chain relayed {{
    iifname @here accept
    drop
  }}
  chain terminated {{
    meta mark set {dialled} map @frontends
    meta mark {_NODE} notrack accept
    drop
  }}
  chain prerouting {{
    type filter hook prerouting priority {HookPriority.FORWARDER_MANGLE}; policy accept;
    iifname @node-links {ip} daddr @pools meta mark 0 goto vip
  }}
  chain vip {{
    ether saddr @node-macs accept
    meta l4proto {family.icmp} ct state related ct direction original ct mark {_NODE} \
meta mark set ct mark accept
    meta l4proto {family.icmp} ct state related accept
    {dialled} != @frontends drop
    meta l4proto tcp {flow} @begun goto second
    ct direction original ct mark {_NODE} meta mark set ct mark accept
    # Its own service proxy has it.
    ct status dnat accept
    jump choose
    meta mark {HERE:#x} meta mark set 0 accept
    meta mark {_NODE} ct mark set meta mark accept
    drop
  }}
  # What comes second of a connection: conntrack picks it up here, or goes on with an earlier one. If that was
  # this machine's own, its packets would be translated: the next ones get a zone apart. What is lost here is
  # sent again.
  chain second {{
    delete @begun {{ {flow} }}
    jump choose
    meta mark {_NODE} ct direction original ct status ! dnat ct mark set meta mark accept
    meta mark {_NODE} add @apart {{ {flow} }}
    drop
  }}
  # A flow has its destination decided once: to what it is, before a service proxy's own chains are asked.
  chain undecided {{
    type nat hook prerouting priority {HookPriority.FORWARDER_UNDECIDED}; policy accept;
    iifname @node-links {ip} daddr @pools meta mark {_NODE} dnat to {ip} daddr
  }}
  # A client on this network must not learn to send to a node directly.
  chain own {{
    type filter hook output priority {HookPriority.FORWARDER_MANGLE}; policy accept;
    oifname @node-links {_REDIRECT[family]} drop
  }}
"""  # noqa: S608 (nft's words, not SQL's)
