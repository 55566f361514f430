"""Which policy dropped a request: the kernel knows a table, the prediction knows the policy. Pure."""

from __future__ import annotations

import msgspec

from wellhead.linux.numbers import Table
from wellhead.paths.codes import Code
from wellhead.paths.way import Outcome, Way
from wellhead.trace.compare import policy_of
from wellhead.trace.values import Trace

_HELP = "Set externalTrafficPolicy: Local, or let the nodes' addresses in."


def is_dropped_by_policies(found: Trace) -> bool:
    """Whether a request ended in the table that policies are in."""
    ended = [hop for hop in found.hops if hop.direction == "request" and hop.dropped and hop.rules]
    return bool(ended) and ended[-1].rules[-1].table.partition(" ")[2] == Table.POLICY


def named(found: Trace, predicted: Way | None) -> Trace:
    """The same, with the policy that the prediction says it was, and what would help."""
    if predicted is None or not is_dropped_by_policies(found):
        return found
    [outcome] = found.way.outcomes
    dropped = outcome.steps[-1]
    foreseen = next((each for each in predicted.outcomes if _is_it(each, dropped.node)), None)
    if foreseen is None:
        return found
    last = foreseen.steps[-1]
    because = f"Dropped on {dropped.node}: {last.because}"
    if any(each.code is Code.CLUSTER_POLICY for each in foreseen.steps):
        because += f" {_HELP}"
    step = msgspec.structs.replace(dropped, because=because, decided_by=last.decided_by)
    ended = msgspec.structs.replace(outcome, steps=(*outcome.steps[:-1], step))
    return msgspec.structs.replace(found, way=msgspec.structs.replace(found.way, outcomes=(ended,)))


def _is_it(outcome: Outcome, node: str) -> bool:
    return bool(policy_of(outcome)) and outcome.steps[-1].node in (node, "")
