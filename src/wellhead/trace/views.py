"""Hops as they are shown: with the rules that the packet met, and who changed its addresses. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from wellhead.linux.numbers import Table
from wellhead.trace.hops import ACCEPT, DROP, Hop, Rewrite
from wellhead.trace.names import Names
from wellhead.trace.rules import Key, Rule
from wellhead.trace.sightings import RuleSeen
from wellhead.trace.values import HopView, RewriteView, RuleView

_VERDICTS = {0: "drop", 1: "accept", -1: "continue", -2: "break", -3: "jump", -4: "goto", -5: "return"}
_TRANSLATING = ("dnat", "snat", "masquerade", "redirect", "DNAT", "SNAT", "MASQUERADE", "REDIRECT", "NETMAP")
_PORT_UNREACHABLE = ((3, 3), (1, 4))
"""Type and code in ICMP and in ICMPv6."""
_MARKING = ("MARK-MASQ", "mark set")


def hop_view(
    hop: Hop, leg: int, direction: str, names: Names, rules: Mapping[tuple[str, Key], Rule], start: int
) -> HopView:
    found = [(met.seen, _rule(hop.place, met.seen, rules)) for met in hop.met]
    evidence = [*(["packet"] if hop.frames else []), *(["trace"] if hop.met else [])]
    source, destination = hop.arrived
    return HopView(
        place=names.place(hop.place),
        leg=leg,
        direction=direction,
        microseconds=round((hop.time - start) / 1000, 1) if hop.time and start else 0.0,
        interface_in=hop.interface_in,
        interface_out=hop.interface_out,
        source=str(source),
        destination=str(destination),
        rewrites=tuple(
            view for rewrite in hop.rewrites for view in _rewrite_views(hop, rewrite, found, rules)
        ),
        rules=tuple(
            RuleView(
                table=rule.table,
                chain=rule.chain,
                text=rule.text,
                verdict=_VERDICTS.get(seen.verdict, str(seen.verdict))
                + (f" {seen.target}" if seen.target else ""),
                owner=rule.owner,
                service=rule.service,
            )
            for seen, rule in found
            if seen.table != Table.TRACE and (seen.handle or seen.verdict in (ACCEPT, DROP))
        ),
        dropped=hop.dropped_by is not None,
        tunnelled=any(frame.tunnelled for frame in hop.frames),
        evidence=tuple(evidence),
    )


def _rule(place: str, seen: RuleSeen, rules: Mapping[tuple[str, Key], Rule]) -> Rule:
    key = (seen.family, seen.table, seen.chain, seen.handle)
    family = {1: "inet", 2: "ip", 10: "ip6"}.get(seen.family, "inet")
    return rules.get((place, key)) or Rule(f"{family} {seen.table}", seen.chain, seen.legacy)


def _rewrite_views(
    hop: Hop,
    rewrite: Rewrite,
    found: Sequence[tuple[RuleSeen, Rule]],
    rules: Mapping[tuple[str, Key], Rule],
) -> Iterable[RewriteView]:
    rule = _rule(hop.place, rewrite.rule, rules) if rewrite.rule is not None else None
    if rule is not None and rule.text and not any(verb in rule.text for verb in _TRANSLATING):
        rule = None  # it only let the packet pass: conntrack undid a translation
    service = rule.service if rule is not None else ""
    marking = next((each for _, each in found if any(word in each.text for word in _MARKING)), None)
    asking = next((each for seen, each in found if seen.target.endswith("MARK-MASQ")), marking)
    for what, before, after in zip(("source", "destination"), rewrite.before, rewrite.after, strict=True):
        if before == after:
            continue
        reason = asking.text if asking is not None and what == "source" and rule is not None else ""
        yield RewriteView(
            what=what,
            from_=str(before),
            to=str(after),
            who=rule.owner if rule is not None else "conntrack",
            rule=rule.text if rule is not None else "",
            reason=reason,
            service=service or (asking.service if reason and asking is not None else ""),
        )
