"""What a server sees, in words."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from wellhead.ip import bracketed
from wellhead.paths.codes import Code, Kind
from wellhead.paths.way import Disposition, Note, Outcome, SeenAs, Step, Way, What

_FRONTENDS = {
    "ClusterIP": "the ClusterIP",
    "NodePort": "a node port",
    "ExternalIP": "an external IP",
    "LoadBalancerIP": "the load balancer's address",
    "Hostname": "the load balancer's name",
    "Ingress": "an ingress",
    "PodIP": "the pod's address",
    "HostPort": "a host port",
    "NodeIP": "the node's address",
    "Address": "this address",
}


def frontend(way: Way) -> str:
    return _FRONTENDS.get(way.frontend, way.frontend)


def target(way: Way) -> str:
    """`192.0.2.50:80`."""
    return f"{bracketed(way.address)}:{way.port}"


def sees(outcome: Outcome) -> str:
    """What the server sees in one outcome."""
    if outcome.disposition is not Disposition.DELIVERED:
        return {
            Disposition.REFUSED: "nothing: the connection is refused",
            Disposition.DROPPED: "nothing: a time-out",
            Disposition.UNREACHABLE: "nothing: it doesn't get there",
            Disposition.ANSWERED: "nothing: somebody else answers",
            Disposition.UNKNOWN: "UNKNOWN",
        }[outcome.disposition]
    address = outcome.source
    if outcome.seen_as is SeenAs.CLIENT:
        return f"the client, {address}" if address else "the client"
    if outcome.seen_as is SeenAs.NODE and any(each.code is Code.ALIKE for each in outcome.notes):
        return "an address of the node that it comes in by"
    if outcome.seen_as is SeenAs.NODE:
        where = f"an address of {outcome.source_owner}"
        return f"{address}, {where}" if address else where
    return f"{address}, {outcome.source_note}" if address else outcome.source_note


def sees_all(outcomes: Sequence[Outcome]) -> str:
    """What the server sees in a way, with parts where it differs."""
    parts: dict[str, float] = {}
    for each in outcomes:
        parts[sees(each)] = parts.get(sees(each), 0.0) + each.share
    if len(parts) == 1:
        return next(iter(parts))
    merged = _by_node(outcomes)
    if merged is not None:
        return merged
    if len(parts) > 4:
        few = sorted(parts.items(), key=lambda item: -item[1])[:3]
        return "; ".join(f"{share:.0%} {text}" for text, share in few) + f"; and {len(parts) - 3} more"
    return "; ".join(f"{share:.0%} {text}" for text, share in parts.items())


def _by_node(outcomes: Sequence[Outcome]) -> str | None:
    """One sentence where all that differs is which of a node's addresses is taken."""
    first = outcomes[0]
    same = all(
        each.disposition is Disposition.DELIVERED
        and each.seen_as is SeenAs.NODE
        and each.source_owner == first.source_owner
        for each in outcomes
    )
    if not same:
        return None
    known = list(dict.fromkeys(each.source for each in outcomes if each.source))
    return (
        f"{' or '.join(known)}, addresses of {first.source_owner}"
        if known
        else f"an address of {first.source_owner}"
    )


def deciding(outcome: Outcome) -> Step | None:
    """The step that decided what the server sees."""
    stops = [each for each in outcome.steps if each.what in (What.DROP, What.REFUSE)]
    if stops:
        return stops[-1]
    if outcome.disposition is not Disposition.DELIVERED:
        return None
    rewrites = [each for each in outcome.steps if each.what in (What.SNAT, What.TERMINATE)]
    if rewrites:
        return rewrites[-1]
    keeps = [each for each in outcome.steps if each.what is What.FORWARD and each.code is not Code.ROUTED]
    return keeps[-1] if keeps else None


def why(outcome: Outcome) -> str:
    """Why, in one line, with the field that decided."""
    step = deciding(outcome)
    if step is None:
        open_notes = [each for each in outcome.notes if each.code.kind in (Kind.UNKNOWN, Kind.AMBIGUOUS)]
        if open_notes:
            return open_notes[-1].sentence
        return outcome.notes[-1].sentence if outcome.notes else "the packet goes to it as it is"
    text = f"{step.who}: {step.because}"
    if step.decided_by is not None and step.decided_by.field:
        text += f" ({step.decided_by.field} of {step.decided_by.object})"
    return text


def reason_codes(outcomes: Iterable[Outcome]) -> list[str]:
    """The codes that decided, each once."""
    found: list[str] = []
    for each in outcomes:
        step = deciding(each)
        code = step.code if step is not None else (each.notes[-1].code if each.notes else None)
        if code is not None and code.value not in found:
            found.append(code.value)
    return found


def open_questions(outcomes: Iterable[Outcome]) -> list[Note]:
    """Assumptions and open questions, each once."""
    return list(dict.fromkeys(each for outcome in outcomes for each in outcome.notes))


def group(ways: Sequence[Way]) -> list[Way]:
    """The ways that answer as the first one was asked: its client, its kind of address, its port and
    family."""
    if not ways:
        return []
    first = ways[0]
    return [
        each
        for each in ways
        if (each.client, each.frontend, each.port, each.protocol, each.family)
        == (first.client, first.frontend, first.port, first.protocol, first.family)
    ]


def headline(ways: Sequence[Way]) -> tuple[str, str]:
    """The answer and why, of the ways that were asked for."""
    asked = group(ways)
    if not asked:
        return "Nothing to dial: no address was found.", ""
    first = asked[0]
    by_answer: dict[str, list[Way]] = {}
    for each in asked:
        by_answer.setdefault(_shape(each), []).append(each)
    start = f"{first.client} → {frontend(first)}"
    if len(asked) == 1:
        start = f"{first.client} → {target(first)} ({frontend(first)})"
        return f"{start}: the server sees {sees_all(first.outcomes)}", why(first.outcomes[0])
    parts = []
    for members in by_answer.values():
        count = sum(1 + len(each.alike) for each in members)
        names = ", ".join(target(each) for each in members[:3]) + (" …" if count > 3 else "")
        answer = sees_all(members[0].outcomes) if len(members) == 1 else _general(members)
        parts.append(f"{answer} at {names}" if count <= 3 else f"{answer} at {count} addresses ({names})")
    answers = "; ".join(parts)
    return f"{start}: the server sees {answers}", why(asked[0].outcomes[0])


def _shape(way: Way) -> str:
    """What makes two addresses alike in a headline."""
    return "|".join(sorted({f"{each.disposition}{each.seen_as}" for each in way.outcomes}))


def _general(ways: Sequence[Way]) -> str:
    outcomes = [each for way in ways for each in way.outcomes]
    texts = {sees(each) for each in outcomes}
    if len(texts) == 1:
        return next(iter(texts))
    if all(each.seen_as is SeenAs.NODE for each in outcomes):
        return "an address of the node that was dialled"
    return sees_all(ways[0].outcomes)
