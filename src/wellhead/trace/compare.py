"""Holding a prediction against a packet: whether what was seen is among what was said could happen. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from wellhead.paths.codes import Code
from wellhead.paths.way import Disposition, Outcome, SeenAs, Way


def differences(predicted: Way, observed: Way) -> tuple[str, ...]:
    """What was seen and not foreseen; nothing where one of the predicted outcomes is what happened.

    An outcome that says it doesn't know contradicts nothing.
    """
    [seen] = observed.outcomes
    if any(agrees(each, seen) for each in predicted.outcomes):
        return ()
    foreseen = "; or ".join(dict.fromkeys(describe(each) for each in predicted.outcomes)) or "nothing"
    return (f"predicted: {foreseen}; seen: {describe(seen)}",)


def agrees(predicted: Outcome, seen: Outcome) -> bool:
    """Whether the one may have been the other."""
    if predicted.disposition is Disposition.UNKNOWN:
        return True
    if predicted.disposition is Disposition.UNREACHABLE and seen.disposition is Disposition.DROPPED:
        return True  # whoever has no way there may say so, or be silent
    if predicted.disposition is not seen.disposition:
        return False
    if predicted.disposition is not Disposition.DELIVERED:
        return True
    if predicted.endpoint is not None and predicted.endpoint != seen.endpoint:
        return False
    if predicted.seen_as is SeenAs.CLIENT and seen.seen_as is SeenAs.CLIENT:
        return True  # of its own addresses, a client takes the one on the way
    if predicted.source is not None:
        return predicted.source == seen.source
    if predicted.seen_as not in (SeenAs.UNKNOWN, seen.seen_as):
        return False
    # A balancer's name is the provider's in the one, the machine's in the other.
    return predicted.seen_as is SeenAs.BALANCER or predicted.source_owner in ("", seen.source_owner)


def matching(ways: Iterable[Way], observed: Way) -> Way | None:
    """The way that was predicted for what was dialled."""
    asked = (observed.address, observed.port, observed.protocol)
    found = [each for each in ways if (each.address, each.port, each.protocol) == asked]
    return found[0] if found else None


def policy_of(outcome: Outcome) -> str:
    """The policy that a prediction says drops it; "" for none."""
    last = outcome.steps[-1] if outcome.steps else None
    if last is None or last.code not in (Code.POLICY_DROPS, Code.CLUSTER_POLICY_DENIES):
        return ""
    return last.decided_by.object if last.decided_by is not None else ""


def describe(outcome: Outcome) -> str:
    """`198.51.100.79 (client) at 10.244.1.2:8080`, `dropped`."""
    if outcome.disposition is not Disposition.DELIVERED:
        by = policy_of(outcome)
        return f"{outcome.disposition} by {by}" if by else str(outcome.disposition)
    whose = outcome.source_owner or str(outcome.seen_as)
    source = outcome.source or f"an address of {whose}"
    return f"{source} ({outcome.seen_as}) at {outcome.endpoint or 'an endpoint'}"
