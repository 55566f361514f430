"""Where a packet left the way that was predicted for it: the place that is shown in red. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from wellhead.page.values import Diverges
from wellhead.paths.way import Outcome, Step, Way, What
from wellhead.trace.values import HopView, Trace

_EFFECTS = (What.DNAT, What.SNAT, What.TERMINATE, What.DROP, What.REFUSE, What.DELIVER)
"""What a packet shows. What somebody merely passes on is a step of a prediction, and none of a trace."""


def divergence(predicted: Way | None, trace: Trace, differences: Sequence[str]) -> Diverges | None:
    """The first thing that happened otherwise than in the outcome that was most like it."""
    if predicted is None or not predicted.outcomes or not differences:
        return None
    seen = _effects(trace.way.outcomes[0])
    outcome, alike = max(
        ((number, _alike(_effects(each), seen)) for number, each in enumerate(predicted.outcomes)),
        key=lambda found: (found[1], -found[0]),
    )
    foreseen = _effects(predicted.outcomes[outcome])
    expected = foreseen[alike] if alike < len(foreseen) else None
    step = seen[alike] if alike < len(seen) else (seen[-1] if seen else None)
    return Diverges(
        step=step[0] if step is not None else None,
        hop=_hop(trace.hops, step[1]) if step is not None else None,
        outcome=outcome,
        predicted_step=expected[0] if expected is not None else None,
        expected=_words(expected[1]) if expected is not None else "nothing more was expected to happen to it",
    )


def _effects(outcome: Outcome) -> list[tuple[int, Step]]:
    return [(number, step) for number, step in enumerate(outcome.steps) if step.what in _EFFECTS]


def _alike(foreseen: Sequence[tuple[int, Step]], seen: Sequence[tuple[int, Step]]) -> int:
    """How many of the first things that happened had been predicted."""
    for number, ((_, expected), (_, happened)) in enumerate(zip(foreseen, seen, strict=False)):
        if not _agree(expected, happened):
            return number
    return min(len(foreseen), len(seen))


def _agree(expected: Step, happened: Step) -> bool:
    if expected.what is not happened.what:
        return False
    if expected.node and happened.node and expected.node != happened.node:
        return False
    if expected.to is None or happened.to is None:
        return True
    if expected.what in (What.SNAT, What.TERMINATE):
        return expected.what is What.TERMINATE or _host(expected.to) == _host(happened.to)
    return expected.what not in (What.DNAT, What.DELIVER) or expected.to == happened.to


def _host(end: str) -> str:
    """The address of an end, which may have a port."""
    if end.startswith("["):
        return end[1:].partition("]")[0]
    return end.partition(":")[0] if end.count(":") == 1 else end


def _hop(hops: Sequence[HopView], step: Step) -> int | None:
    """The place at which a step was seen."""
    asking = [(number, hop) for number, hop in enumerate(hops) if hop.direction == "request"]
    if step.what in (What.DNAT, What.SNAT):
        for number, hop in asking:
            if any((each.from_, each.to) == (step.from_, step.to) for each in hop.rewrites):
                return number
    if step.what in (What.DROP, What.REFUSE):
        for number, hop in asking:
            if hop.dropped:
                return number
    if step.what is What.TERMINATE:
        return next((number for number, hop in asking if hop.leg > 1), None)
    return asking[-1][0] if asking else None


def _words(step: Step) -> str:
    match step.what:
        case What.DNAT | What.SNAT:
            end = "destination" if step.what is What.DNAT else "source"
            return f"{step.who} makes the {end} {step.to or 'another one'}: {step.because}"
        case What.DELIVER:
            return f"{step.to or 'the endpoint'} receives it: {step.because}"
    return f"{step.who}: {step.because}"
