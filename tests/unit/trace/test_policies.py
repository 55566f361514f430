"""A request that policies dropped is said to be dropped by the one that the prediction names."""

from __future__ import annotations

from msgspec.structs import replace

from tests.unit.trace.test_compare import DROPPED, way
from wellhead.paths.codes import Code
from wellhead.paths.way import Decision, Outcome, Step, What
from wellhead.trace.compare import describe
from wellhead.trace.policies import is_dropped_by_policies, named
from wellhead.trace.text import comparison
from wellhead.trace.values import AnswerView, HopView, RuleView, Trace

MASQUERADED = Step(
    who="proxy on node-1",
    what=What.SNAT,
    from_="a",
    to="b",
    code=Code.CLUSTER_POLICY,
    because="-",
    node="node-1",
)
BY_POLICY = Step(
    who="NetworkPolicy on node-2",
    what=What.DROP,
    from_="10.240.0.11",
    to=None,
    code=Code.POLICY_DROPS,
    because="NetworkPolicy shop/allow-office selects shop/web, and nothing in it lets this in.",
    decided_by=Decision(object="NetworkPolicy shop/allow-office", field="spec.ingress"),
    node="node-2",
)
FORESEEN = replace(DROPPED, steps=(MASQUERADED, BY_POLICY))


def trace(table: str = "ip wellhead-policy") -> Trace:
    rule = RuleView(table=table, chain="ingress-first-refused", text="drop", verdict="drop", owner="-")
    hop = HopView(
        place="node-2", leg=1, direction="request", microseconds=1.0, interface_in="eth0", interface_out="",
        source="a", destination="b", rewrites=(), rules=(rule,), dropped=True, tunnelled=False, evidence=(),
    )  # fmt: skip
    step = replace(
        BY_POLICY, code=Code.DROPPED_BY_RULE, because="Dropped on node-2 by: drop", decided_by=None
    )
    ended = replace(DROPPED, steps=(step,))
    answer = AnswerView(ended="silent", status=0, said="", body="")
    return Trace(way=way(ended), hops=(hop,), flows=(), answer=answer, counted=(), incomplete=())


def last(found: Trace) -> Step:
    [outcome] = found.way.outcomes
    return outcome.steps[-1]


def test_the_policy_is_named_and_what_would_help() -> None:
    found = last(named(trace(), way(FORESEEN)))
    assert found.because == (
        f"Dropped on node-2: {BY_POLICY.because} "
        "Set externalTrafficPolicy: Local, or let the nodes' addresses in."
    )
    assert found.decided_by == BY_POLICY.decided_by
    assert found.code is Code.DROPPED_BY_RULE


def test_other_drops_are_left_as_they_are() -> None:
    elsewhere = trace("ip filter")
    assert not is_dropped_by_policies(elsewhere)
    assert named(elsewhere, way(FORESEEN)) == elsewhere
    for foreseen in (None, way(DROPPED), way(replace(FORESEEN, steps=(replace(BY_POLICY, node="node-3"),)))):
        assert named(trace(), foreseen) == trace()


def test_a_comparison_names_it_too() -> None:
    def foreseen(outcome: Outcome) -> str:
        return "\n".join(comparison(way(outcome), ()))

    assert describe(FORESEEN) == "dropped by NetworkPolicy shop/allow-office"
    assert BY_POLICY.because in foreseen(FORESEEN)
    assert "by" not in describe(DROPPED)
