"""A trace as text for people: first the answer, then hop by hop. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from wellhead.ip import bracketed
from wellhead.paths.rendering.drawing import draw
from wellhead.paths.way import Disposition, Outcome, Report, SeenAs, Way, What
from wellhead.trace.compare import describe, policy_of
from wellhead.trace.values import HopView, RewriteView, Trace

_SEEN = {
    SeenAs.CLIENT: "the client's own address",
    SeenAs.NODE: "an address of {}, not the client's",
    SeenAs.POD: "the address of pod {}, not the client's",
    SeenAs.BALANCER: "the load balancer's address, not the client's",
    SeenAs.OTHER: "neither the client's nor anybody's that is known",
}
_ENDED = {
    Disposition.REFUSED: "Nobody sees it: refused at once.",
    Disposition.DROPPED: "Nobody sees it: dropped without a word.",
    Disposition.UNREACHABLE: "Nobody sees it: no way leads there.",
}


def lines(trace: Trace, *, wide: bool = False) -> Iterator[str]:
    """All of it. `wide` adds every rule that the packet met."""
    yield from summary(trace)
    yield ""
    if drawing := draw(Report(target=trace.way.service, ways=(trace.way,))):
        yield from (f"    {line}".rstrip() for line in drawing.splitlines())
        yield ""
    for leg in sorted({hop.leg for hop in trace.hops}):
        for direction, title in (("request", "Request"), ("reply", "Reply")):
            passed = [hop for hop in trace.hops if (hop.leg, hop.direction) == (leg, direction)]
            if passed:
                yield f"{title}{' behind the load balancer' if leg > 1 else ''}"
                yield from _hops(passed, wide=wide)
                yield ""
    if wide:
        yield "conntrack"
        yield from (f"  {flow.place}: {flow.original}, answered {flow.reply}" for flow in trace.flows)
        yield ""
    for counter in trace.counted:
        yield f"Grew meanwhile (others' packets count, too): {counter}"
    for place in trace.incomplete:
        yield f"Incomplete: more came at {place} than there was room for. Try again."
    yield "Times are the instrument's: packets that are traced take longer. -o wide shows every rule."


def comparison(predicted: Way | None, differences: Sequence[str]) -> Iterator[str]:
    """What `wellhead explain` had said, and whether it was so."""
    if predicted is None:
        yield "Nothing was predicted: the cluster's objects don't know this address."
        return
    outcomes = predicted.outcomes
    yield f"Predicted ({len(outcomes)} outcome{'s' * (len(outcomes) != 1)}):"
    for each in outcomes:
        yield f"  {each.share:6.1%}  {describe(each)}"
        if policy_of(each):
            yield f"{'':10}{each.steps[-1].because}"
    yield from (f"✗ {each}" for each in differences)
    if not differences:
        yield "✓ What was seen is one of them."


def summary(trace: Trace) -> Iterator[str]:
    """The first lines: what was asked, what the server sees, why."""
    way = trace.way
    outcome = way.outcomes[0]
    what = f" ({way.frontend} of {way.service})" if way.service else ""
    target = bracketed(way.address)
    yield f"{way.client} {way.client_address or ''} → {target}:{way.port}/{way.protocol}{what}"
    yield _answer(outcome)
    yield from _why(outcome)


def _answer(outcome: Outcome) -> str:
    if outcome.disposition is not Disposition.DELIVERED:
        return _ENDED.get(outcome.disposition, str(outcome.disposition))
    seen = _SEEN.get(outcome.seen_as, "unknown").format(outcome.source_owner)
    where = outcome.endpoint_pod and f" by pod {outcome.endpoint_pod} on {outcome.endpoint_node}"
    return f"The server sees {outcome.source}: {seen}. Answered{where or f' by {outcome.endpoint}'}."


def _why(outcome: Outcome) -> Iterator[str]:
    ending = [step for step in outcome.steps if step.what in (What.DROP, What.REFUSE)]
    rewriting = [step for step in outcome.steps if step.what in (What.SNAT, What.TERMINATE)]
    if outcome.seen_as is SeenAs.CLIENT:
        yield "Because: nobody on the way put another address in its place."
    for step in ending or (rewriting if outcome.seen_as is not SeenAs.CLIENT else ()):
        yield f"Because: {step.because}"


def _hops(passed: Sequence[HopView], *, wide: bool) -> Iterator[str]:
    width = max(len(hop.place) for hop in passed)
    addresses = None
    for hop in passed:
        interfaces = f"{hop.interface_in or '·'} → {hop.interface_out or '·'}"
        tunnel = "  in a tunnel" if hop.tunnelled else ""
        yield f"  {hop.microseconds:8.0f} µs  {hop.place:{width}}  {interfaces}{tunnel}"
        if (hop.source, hop.destination) != addresses:
            yield f"{'':14}{hop.source} → {hop.destination}"
        addresses = (hop.source, hop.destination)
        if wide:
            for rule in hop.rules:
                yield f"{'':16}{rule.table} {rule.chain}: {rule.text or '(end of chain)'}  [{rule.verdict}]"
        for change in hop.rewrites:
            yield f"{'':14}{change.what} {change.from_} ⇒ {change.to}  {_who(change)}"
            addresses = _changed(addresses, change)
        if hop.dropped and hop.rules:
            last = hop.rules[-1]
            yield f"{'':14}ended by {last.owner}: {last.text or f'policy of {last.chain}'}"


def _who(change: RewriteView) -> str:
    return f"by {change.who}" + (f", {change.service}" if change.service else "")


def _changed(addresses: tuple[str, str], change: RewriteView) -> tuple[str, str]:
    source, destination = addresses
    return (change.to, destination) if change.what == "source" else (source, change.to)
