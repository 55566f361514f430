"""The chains that claim sources: the same few for any number of Services.

They see a connection's first packet when its destination has been chosen. By then the mark says whether it is
to be masqueraded; what was dialled, which says whose connection it is, conntrack remembers.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from wellhead.ip import Family, Protocol
from wellhead.linux.nftables import types
from wellhead.linux.nftables.expressions import (
    CT_STATUS,
    DADDR,
    IIFNAME,
    L4PROTO,
    MARK,
    OIFNAME,
    ORIGINAL_DADDR,
    ORIGINAL_DPORT,
    PRIORITY,
    SADDR,
    TH_DPORT,
    Bits,
    Number,
    concat,
)
from wellhead.linux.nftables.objects import Chain, Hook, Rule, rule
from wellhead.linux.nftables.statements import (
    ACCEPT,
    Assign,
    Has,
    InSet,
    Is,
    Snat,
    Verdict,
)
from wellhead.linux.numbers import HookPriority
from wellhead.proxy.claims import sets
from wellhead.proxy.claims.settings import SourceClaims
from wellhead.proxy.marks import Marks

BASE: Final = "nat-claims"
CLAIM: Final = "claim"
_OF_SERVICE, _ARRIVING, _TRANSLATED = "claim-of-service", "claim-arriving", "claim-translated"

_DNAT = 0x20  # of ct status


def claim_chains(
    family: Family, claims: SourceClaims, marks: Marks, *, detects: bool, clears_priority: bool
) -> Iterator[Chain]:
    """The chains, callees first.

    `detects`: whether this node's pods are told from everybody else. `clears_priority`: whether packets carry
    something in their priority that has to go.
    """
    if claims == "none":
        return
    source, destination = SADDR[family], DADDR[family]
    here = InSet(concat(destination, L4PROTO, TH_DPORT), sets.ENDPOINTS_HERE)
    claim = Verdict(CLAIM)
    tidy = [rule(Assign(MARK, Bits(MARK, ~marks.preserve)))]
    if clears_priority:
        tidy.append(rule(Assign(PRIORITY, Number(0, types.CLASSID))))
    yield Chain(CLAIM, (*tidy, rule(Snat(family, source))))
    preserved = Has(MARK, marks.preserve)
    of_service = [
        rule(preserved, InSet(destination, sets.RETURNING), claim),
        rule(preserved, ACCEPT, comment="its replies would not come back"),
    ]
    if claims == "all":
        of_service.append(rule(claim))
    else:
        of_service.append(rule(here, claim))
        if detects:  # so only this node's pods come here without a mark
            of_service += _to_others(family, claim)
    yield Chain(_OF_SERVICE, tuple(of_service))
    yield Chain(
        _TRANSLATED,
        (
            rule(
                InSet(concat(source, destination), sets.HAIRPINS),
                ACCEPT,
                comment="a pod that reaches itself must see another source than its own",
            ),
            *_of_services(family),
        ),
    )
    yield Chain(
        _ARRIVING,
        (
            rule(InSet(source, sets.ROUTED), claim),
            rule(InSet(source, sets.PODS), InSet(source, sets.OWN_PODS, absent=True), claim),
        ),
    )
    yield Chain(
        BASE,
        (
            rule(Has(MARK, marks.masquerade), ACCEPT),
            rule(
                InSet(concat(IIFNAME, OIFNAME), sets.BRIDGES),
                ACCEPT,
                comment="the reply would not pass by here",
            ),
            rule(Has(CT_STATUS, _DNAT), Verdict(_TRANSLATED)),
            rule(here, Verdict(_ARRIVING), comment="from another node, which has chosen this endpoint"),
        ),
        Hook("nat", "postrouting", HookPriority.PROXY_CLAIMS),
    )


def _to_others(family: Family, claim: Verdict) -> Iterator[Rule]:
    """Towards endpoints of other nodes: those that are where pods are, which can all reach each other."""
    destination = DADDR[family]
    yield rule(InSet(SADDR[family], sets.ROUTED), ACCEPT, comment="another node's pod")
    yield rule(InSet(destination, sets.NODELESS), ACCEPT, comment="nobody knows where it is")
    yield rule(InSet(destination, sets.PODS), claim)
    yield rule(InSet(destination, sets.ROUTED), claim)


def _of_services(family: Family) -> Iterator[Rule]:
    """By what was dialled. An address and a port apart: nft can't read the two in one key."""
    dialled, found = ORIGINAL_DADDR[family], Verdict(_OF_SERVICE)
    yield rule(InSet(dialled, sets.CLUSTER_IPS), found)
    for addresses, ports in (
        (sets.EXTERNAL_IPS, sets.EXTERNAL_PORTS),
        (sets.NODE_PORT_ADDRESSES, sets.NODE_PORT_NUMBERS),
    ):
        for protocol in Protocol:
            of = Is(L4PROTO, bytes([protocol.number]))
            yield rule(InSet(dialled, addresses), of, InSet(ORIGINAL_DPORT, ports), found)
