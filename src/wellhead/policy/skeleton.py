"""The rules of a table. None of them is of a single policy or pod.

A packet is judged where it is forwarded: behind destination NAT and before source NAT, so that a Service is
what it leads to. It meets two base chains, since it may leave one pod of the node and come to another. Every
packet of a connection is judged, a reply by what it replies to, so that what is no longer allowed stops.

A pod and its own node are never between these: what either sends to the other isn't forwarded.
"""

from __future__ import annotations

from collections.abc import Iterator

from wellhead.ip import Family
from wellhead.linux.nftables import types
from wellhead.linux.nftables.expressions import (
    CT_DIRECTION,
    CT_STATE,
    DADDR,
    ICMPV6_TYPE,
    L4PROTO,
    PRIORITY,
    SADDR,
    TH_DPORT,
    TH_SPORT,
    Field,
    Lookup,
    NetworkOrder,
    Number,
    concat,
)
from wellhead.linux.nftables.objects import Chain, Hook, Rule, rule
from wellhead.linux.nftables.statements import ACCEPT, DROP, Assign, Has, InSet, Is, Verdict
from wellhead.linux.numbers import HookPriority
from wellhead.policies.policy import Direction
from wellhead.policy import layout

_NUMBER = (types.CLASSID,)
_RELATED = 4
_REPLY = types.CT_DIR.pack(1)
_ERRORS = {Family.IPV4: types.INET_PROTO.pack(1), Family.IPV6: types.INET_PROTO.pack(58)}
"""The protocols of ICMP and ICMPv6."""
_AT = {
    Direction.EGRESS: Hook("filter", "forward", HookPriority.POLICY_EGRESS),
    Direction.INGRESS: Hook("filter", "forward", HookPriority.POLICY_INGRESS),
}
_UNMARKED = Assign(PRIORITY, Number(0, types.CLASSID))


def chains(family: Family) -> tuple[Chain, ...]:
    """All of a family's, callees before callers."""
    return tuple(chain for direction in Direction for chain in _of_direction(family, direction))


def _of_direction(family: Family, direction: Direction) -> Iterator[Chain]:
    source, destination = SADDR[family], DADDR[family]
    ingress = direction is Direction.INGRESS
    pod, other = (destination, source) if ingress else (source, destination)
    first, replies = f"{direction.lower()}-first", f"{direction.lower()}-replies"
    yield from _judgement(direction, first, pod, other, TH_DPORT)
    yield from _judgement(direction, replies, other, pod, TH_SPORT)
    isolated = layout.isolated(direction)
    # What has no connection is judged as if it began one.
    yield Chain(
        direction.lower(),
        (
            *_always(family),
            rule(
                InSet(pod, layout.POD_NETWORKS),
                InSet(pod, layout.KNOWN, absent=True),
                DROP,
                comment="a pod that nobody has judged yet",
            ),
            rule(Is(CT_DIRECTION, _REPLY), InSet(other, isolated), Verdict(replies)),
            rule(Is(CT_DIRECTION, _REPLY), ACCEPT),
            rule(InSet(pod, isolated), Verdict(first)),
        ),
        _AT[direction],
    )


def _always(family: Family) -> Iterator[Rule]:
    errors = Is(L4PROTO, _ERRORS[family])
    yield rule(errors, Has(CT_STATE, _RELATED), ACCEPT, comment="errors about what passes")
    if family is Family.IPV6:
        yield rule(InSet(concat(L4PROTO, ICMPV6_TYPE), layout.NEIGHBOUR_DISCOVERY), ACCEPT)


def _judgement(direction: Direction, name: str, pod: Field, other: Field, port: Field) -> Iterator[Chain]:
    """`pod` and `port` are of the connection's first packet, wherever they stand in this one."""
    passes = f"{name}-allowed"
    dialled = (pod, L4PROTO, port)
    yield Chain(
        passes,
        (
            rule(InSet(concat(PRIORITY, *dialled), layout.ports(direction)), _UNMARKED, ACCEPT),
            rule(InSet(concat(PRIORITY, pod), layout.all_traffic(direction)), _UNMARKED, ACCEPT),
            rule(
                InSet(concat(NetworkOrder(PRIORITY), *dialled), layout.port_ranges(direction)),
                _UNMARKED,
                ACCEPT,
            ),
        ),
    )
    to = Verdict(passes, returns=True)
    yield Chain(
        name,
        (
            rule(Assign(PRIORITY, Lookup(other, layout.PEERS, _NUMBER)), to),
            rule(Assign(PRIORITY, Number(layout.EVERYONE, types.CLASSID)), to, comment="everyone"),
            rule(Assign(PRIORITY, Lookup(other, layout.BLOCKS, _NUMBER)), to),
            rule(InSet(concat(pod, other), layout.ITSELF), _UNMARKED, ACCEPT),
            rule(DROP),
        ),
    )
