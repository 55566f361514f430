"""The steps of a way that was observed: who did what to the packet, and why. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from wellhead.paths.codes import Code
from wellhead.paths.way import Decision, Disposition, Step, What
from wellhead.trace.hops import Hop
from wellhead.trace.names import Names
from wellhead.trace.request import Answer
from wellhead.trace.rules import Rule
from wellhead.trace.seen import Seen
from wellhead.trace.values import HopView


def steps(
    seen: Seen, names: Names, views: Sequence[HopView], disposition: Disposition, answer: Answer
) -> Iterable[Step]:
    for leg in seen.legs:
        asking = [view for view in views if view.leg == leg.number and view.direction == "request"]
        if not asking:
            continue
        first = asking[0]
        yield Step(
            who=first.place,
            what=What.SEND if leg.number == 1 else What.TERMINATE,
            from_=first.source,
            to=first.destination,
            code=Code.SENT if leg.number == 1 else Code.BALANCER_TERMINATES,
            because=f"{first.place} sends from {first.source} to {first.destination}."
            if leg.number == 1
            else f"{first.place} ends the client's connection and opens its own from {first.source}.",
            evidence=" ".join(first.evidence),
            seconds=first.microseconds / 1e6,
        )
        yield from (step for view in asking for step in _changes(view, names))
        last = asking[-1]
        if last.dropped:
            yield _ended(last, leg.request[-1], names)
    if disposition is Disposition.DELIVERED and seen.legs[-1].request:
        end, last = seen.legs[-1].request[-1], [v for v in views if v.direction == "request"][-1]
        yield Step(
            who=last.place,
            what=What.DELIVER,
            from_=str(end.left[0]),
            to=str(end.left[1]),
            code=Code.DELIVERED,
            because=f"The server sees {end.left[0].ip}.",
            evidence=" ".join(last.evidence),
            seconds=last.microseconds / 1e6,
        )
    elif disposition is not Disposition.DELIVERED and not any(view.dropped for view in views):
        asking = [view for view in views if view.direction == "request"]
        if asking:
            yield Step(
                who=asking[-1].place,
                what=What.REFUSE if disposition is Disposition.REFUSED else What.DROP,
                from_=asking[-1].source,
                to=asking[-1].destination,
                code=Code.LAST_SEEN,
                because=f"It was last seen at {asking[-1].place}; "
                f"the client got: {answer.said or answer.ended}.",
                evidence=" ".join(asking[-1].evidence),
                seconds=asking[-1].microseconds / 1e6,
            )
    for view in views:
        if view.direction == "reply":
            yield from (
                Step(
                    who=f"{change.who} on {view.place}",
                    what=What.REPLY,
                    from_=change.from_,
                    to=change.to,
                    code=Code.REPLY_RESTORED,
                    because=f"On the way back, {view.place} restores the {change.what}.",
                    node=view.place if view.place in names.nodes else "",
                    evidence=" ".join(view.evidence),
                    seconds=view.microseconds / 1e6,
                )
                for change in view.rewrites
            )


def _changes(view: HopView, names: Names) -> Iterable[Step]:
    for change in view.rewrites:
        what = What.DNAT if change.what == "destination" else What.SNAT
        because = f"A rule of {change.who} rewrites the {change.what}: {change.rule}"
        if not change.rule:
            because = f"The {change.what} is rewritten; which rule did it was not seen."
        elif change.reason:
            because += f" (asked for by: {change.reason})"
        yield Step(
            who=f"{change.who} on {view.place}",
            what=what,
            from_=change.from_,
            to=change.to,
            code=Code.REWRITTEN_BY_RULE,
            because=because,
            decided_by=Decision(object=f"Service {change.service}") if change.service else None,
            node=view.place if view.place in names.nodes else "",
            evidence=" ".join(view.evidence),
            seconds=view.microseconds / 1e6,
        )


def _ended(view: HopView, hop: Hop, names: Names) -> Step:
    rule = view.rules[-1] if view.rules else None
    refused = rule is not None and Rule(rule.table, rule.chain, rule.text).refuses
    words = (rule.text or f"the policy of chain {rule.chain} in table {rule.table}") if rule else "a rule"
    return Step(
        who=f"{rule.owner if rule else 'netfilter'} on {view.place}",
        what=What.REFUSE if refused else What.DROP,
        from_=str(hop.left[0]),
        to=str(hop.left[1]),
        code=Code.REFUSED_BY_RULE if refused else Code.DROPPED_BY_RULE,
        because=f"{'Refused' if refused else 'Dropped'} on {view.place} by: {words}",
        decided_by=Decision(object=f"Service {rule.service}") if rule and rule.service else None,
        node=view.place if view.place in names.nodes else "",
        evidence=" ".join(view.evidence),
        seconds=view.microseconds / 1e6,
    )
