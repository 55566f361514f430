"""The rules of a table. None of them is of a single policy or pod.

A packet is judged where it is forwarded: behind destination NAT and before source NAT, so that a Service is
what it leads to. It meets two base chains, since it may leave one pod of the node and come to another. Every
packet of a connection is judged, a reply by what it replies to, so that what is no longer allowed stops.

A pod and its own node are never between these: what either sends to the other isn't forwarded.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

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
from wellhead.policies.cluster_policy import Action, Tier
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
_EVERYONE = Assign(PRIORITY, Number(layout.EVERYONE, types.CLASSID))


@cache
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
            rule(Is(CT_DIRECTION, _REPLY), Verdict(replies)),
            rule(Verdict(first)),
        ),
        _AT[direction],
    )


def _always(family: Family) -> Iterator[Rule]:
    errors = Is(L4PROTO, _ERRORS[family])
    yield rule(errors, Has(CT_STATE, _RELATED), ACCEPT, comment="errors about what passes")
    if family is Family.IPV6:
        yield rule(InSet(concat(L4PROTO, ICMPV6_TYPE), layout.NEIGHBOUR_DISCOVERY), ACCEPT)


def _judgement(direction: Direction, name: str, pod: Field, other: Field, port: Field) -> Iterator[Chain]:
    """Admin tier, NetworkPolicies, Baseline tier, of pods that they are about.

    `pod` and `port` are of the connection's first packet, wherever they stand in this one.
    """
    refused = f"{name}-refused"
    yield Chain(refused, (rule(InSet(concat(pod, other), layout.ITSELF), _UNMARKED, ACCEPT), rule(DROP)))
    for tier in Tier:
        yield from _tier(direction, tier, name, pod, other, port)
    yield from _policies(direction, name, pod, other, port)
    admin, baseline = (layout.judged(direction, tier) for tier in Tier)
    yield Chain(
        name,
        (
            rule(InSet(pod, admin), Verdict(f"{name}-{Tier.ADMIN.lower()}", returns=True)),
            rule(InSet(pod, layout.isolated(direction)), Verdict(f"{name}-policies")),
            rule(InSet(pod, baseline), Verdict(f"{name}-{Tier.BASELINE.lower()}")),
        ),
    )


def _policies(direction: Direction, name: str, pod: Field, other: Field, port: Field) -> Iterator[Chain]:
    """What any NetworkPolicy allows passes, all else is dropped."""
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
        f"{name}-policies",
        (
            rule(_class(other, layout.PEERS), to),
            rule(_EVERYONE, to, comment="everyone"),
            rule(_class(other, layout.BLOCKS), to),
            rule(Verdict(f"{name}-refused")),
        ),
    )


def _tier(
    direction: Direction, tier: Tier, name: str, pod: Field, other: Field, port: Field
) -> Iterator[Chain]:
    """What a tier accepts passes, what it denies is dropped, and all else goes on."""
    chain = f"{name}-{tier.lower()}"
    said: list[Rule] = []
    for each in layout.RULED:
        if (each.direction, each.tier) != (direction, tier):
            continue
        end = (_UNMARKED, ACCEPT) if each.action is Action.ACCEPT else (Verdict(f"{name}-refused"),)
        dialled = concat(NetworkOrder(PRIORITY), pod, L4PROTO, port)
        without_ports = InSet(L4PROTO, layout.WITH_PORTS, absent=True)
        said += (
            rule(InSet(concat(PRIORITY, pod), each.all), *end),
            rule(InSet(dialled, each.ports), *end),
            rule(without_ports, InSet(concat(PRIORITY, pod), each.other), *end),
        )
    yield Chain(f"{chain}-rules", (*said, rule(_UNMARKED)))
    to = Verdict(f"{chain}-rules")
    yield Chain(
        chain,
        (
            rule(_class(other, layout.CLUSTER_PEERS), to),
            rule(_class(other, layout.CLUSTER_BLOCKS), to),
            rule(_EVERYONE, to, comment="everyone"),
        ),
    )


def _class(other: Field, name: str) -> Assign:
    """Mark a packet with its other end's class, where the map has one."""
    return Assign(PRIORITY, Lookup(other, name, _NUMBER))
