"""Who has to go for a pod of higher priority."""

from __future__ import annotations

import random
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tests.unit.scheduler.test_decide import cluster, node, pod
from wellhead.api.meta import Obj
from wellhead.scheduler.cluster import Cluster, NodeInfo
from wellhead.scheduler.decide import Filters, Placed, Unschedulable, decide
from wellhead.scheduler.pod import PodInfo
from wellhead.scheduler.preemption import Hopeless, Victims, preempt


def wanting(
    name: str, priority: int, cpu: str = "1", start: str = "2026-01-01T00:00:00Z", **more: Any
) -> PodInfo:
    made = pod(name, cpu=cpu, priority=priority, **more)
    made.obj["status"] = {"startTime": start}
    return made


def full(*pods: tuple[str, PodInfo], nodes: tuple[Obj, ...] = ()) -> Cluster:
    made = cluster(*(nodes or (node("node-1", "2"), node("node-2", "2"))))
    for name, each in pods:
        made.assume(each, name)
    return made


def outcome(made: Cluster, newcomer: PodInfo, *budgets: Obj) -> Victims | Hopeless:
    found = decide(newcomer, made, random.Random(0))
    assert isinstance(found, Unschedulable), found

    def fits(node: NodeInfo, view: Cluster) -> bool:
        return not Filters(newcomer, view, None).reasons(node)

    return preempt(newcomer, made, found.nodes, budgets, fits)


def victims(made: Cluster, newcomer: PodInfo, *budgets: Obj) -> tuple[str, list[str]]:
    found = outcome(made, newcomer, *budgets)
    assert isinstance(found, Victims), found
    return found.node, sorted(each.uid for each in found.pods)


def test_the_least_important_go_and_no_more_than_needed() -> None:
    made = full(
        ("node-1", wanting("a", 5)),
        ("node-1", wanting("b", 1)),
        ("node-2", wanting("c", 5)),
        ("node-2", wanting("d", 5)),
    )
    assert victims(made, wanting("new", 10)) == ("node-1", ["b"])
    assert victims(made, wanting("new", 10, cpu="2")) == ("node-1", ["a", "b"])


def test_of_equals_the_one_that_has_run_the_shortest_goes() -> None:
    made = full(
        ("node-1", wanting("old", 1)),
        ("node-1", wanting("young", 1, start="2026-01-02T00:00:00Z")),
        nodes=(node("node-1", "2"),),
    )
    assert victims(made, wanting("new", 10)) == ("node-1", ["young"])


def test_the_same_priority_is_never_pushed_away() -> None:
    made = full(("node-1", wanting("a", 5, "2")), ("node-2", wanting("b", 6, "2")))
    found = outcome(made, wanting("new", 5))
    assert found == Hopeless(
        "preemption: 0/2 nodes are available: 2 No preemption victims found for incoming pod."
    )


def test_what_no_preemption_would_mend() -> None:
    made = full(("node-1", wanting("a", 1, "2")), ("node-2", wanting("b", 1, "2")))
    why = Hopeless("preemption: 0/2 nodes are available: 2 Preemption is not helpful for scheduling.")
    assert outcome(made, wanting("new", 5, nodeSelector={"a": "b"})) == why
    assert outcome(made, wanting("new", 5, cpu="3")) == why  # more than any node has
    never = outcome(made, wanting("new", 5, preemptionPolicy="Never"))
    assert never == Hopeless("preemption: not eligible due to preemptionPolicy=Never.")


def budget(allowed: int, **labels: str) -> Obj:
    return {
        "metadata": {"name": "b", "namespace": "default"},
        "spec": {"selector": {"matchLabels": labels}},
        "status": {"disruptionsAllowed": allowed},
    }


def test_budgets_are_kept_where_that_is_possible() -> None:
    def made() -> Cluster:
        return full(
            ("node-1", wanting("a", 1, "2", labels={"app": "a"})),
            ("node-2", wanting("b", 2, "2")),
        )

    assert victims(made(), wanting("new", 5)) == ("node-1", ["a"])
    assert victims(made(), wanting("new", 5), budget(0, app="a")) == ("node-2", ["b"])
    assert victims(made(), wanting("new", 5), budget(1, app="a")) == ("node-1", ["a"])


def test_anti_affinity_is_resolved_too() -> None:
    term = {"labelSelector": {"matchLabels": {"app": "x"}}, "topologyKey": "kubernetes.io/hostname"}
    apart = {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [term]}}
    made = full(("node-1", wanting("a", 1, "1", labels={"app": "x"})), nodes=(node("node-1", "4"),))
    assert victims(made, wanting("new", 5, affinity=apart)) == ("node-1", ["a"])


def test_a_place_that_was_made_is_kept() -> None:
    made = full(("node-1", wanting("a", 1, "2")), nodes=(node("node-1", "2"),))
    newcomer = wanting("new", 5, "2")
    assert victims(made, newcomer) == ("node-1", ["a"])
    made.nominate(newcomer, "node-1")
    leaving = wanting("a", 1, "2")
    leaving.obj["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    made.assume(leaving, "node-1")
    waiting = outcome(made, newcomer)
    assert isinstance(waiting, Hopeless)
    assert waiting.waits
    made.remove_pod("a")
    assert isinstance(decide(wanting("late", 5, "1"), made, random.Random(0)), Unschedulable)
    assert decide(newcomer, made, random.Random(0)) == Placed("node-1")
    assert decide(wanting("more", 6, "1"), made, random.Random(0)) == Placed("node-1")
    assert made.lesser_claims("node-1", 6) == [newcomer]


@given(
    st.lists(st.tuples(st.integers(0, 9), st.integers(1, 3), st.integers(0, 2)), max_size=12),
    st.integers(0, 10),
    st.integers(1, 4),
)
def test_victims_are_lesser_and_their_going_is_enough_and_needed(
    there: list[tuple[int, int, int]], priority: int, cpu: int
) -> None:
    made = cluster(*(node(f"node-{number}", "4") for number in range(3)))
    for number, (each, size, place) in enumerate(there):
        name, one = f"node-{place}", wanting(f"p{number}", each, str(size))
        found = made.node(name)
        assert found is not None
        if found.requested.get("cpu", 0) + size * 1000 <= 4000:
            made.assume(one, name)
    newcomer = wanting("new", priority, str(cpu))
    decision = decide(newcomer, made, random.Random(0))
    if isinstance(decision, Placed):
        return
    found_victims = outcome(made, newcomer)
    if isinstance(found_victims, Hopeless):
        for each_node in made.nodes():
            kept = sum(p.requests["cpu"] for p in each_node.pods.values() if p.priority >= priority)
            assert kept + cpu * 1000 > 4000
        return
    chosen = made.node(found_victims.node)
    assert chosen is not None
    assert all(each.priority < priority for each in found_victims.pods)
    free = 4000 - chosen.requested["cpu"]
    given_up = [each.requests["cpu"] for each in found_victims.pods]
    assert free + sum(given_up) >= cpu * 1000
    assert all(free + sum(given_up) - one < cpu * 1000 for one in given_up)
