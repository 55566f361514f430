"""Disruption budgets: what is counted, and what an eviction is told."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wellhead.api.disruption import Leave, is_unprotected, leave, take
from wellhead.api.errors import ApiError, Forbidden, TooManyRequests
from wellhead.api.meta import Obj
from wellhead.controllers.disruption.counting import (
    Disrupted,
    Expected,
    disrupted,
    expected,
    failed,
    needs_scale,
    status_of,
)

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
TIME = "2026-01-01T12:00:00Z"


def budget(status: Obj | None = None, **spec: Any) -> Obj:
    return {
        "metadata": {"name": "b", "namespace": "default", "generation": 1},
        "spec": {"selector": {"matchLabels": {"app": "x"}}, **spec},
        "status": {"observedGeneration": 1, **(status or {})},
    }


def pod(name: str = "p", *, ready: bool = True, phase: str = "Running", **metadata: Any) -> Any:
    condition = {"type": "Ready", "status": str(ready), "lastTransitionTime": TIME}
    return {
        "metadata": {"name": name, "labels": {"app": "x"}, **metadata},
        "spec": {},
        "status": {"phase": phase, "conditions": [condition]},
    }


@pytest.mark.parametrize(
    ("spec", "wanted", "by_scale"),
    [
        ({"minAvailable": 2}, Expected(4, 2), False),
        ({"minAvailable": "50%"}, Expected(5, 3), True),
        ({"maxUnavailable": 1}, Expected(5, 4), True),
        ({"maxUnavailable": "30%"}, Expected(5, 3), True),
        ({"maxUnavailable": 9}, Expected(5, 0), True),
        ({}, Expected(0, 0), False),
    ],
)
def test_shares_are_of_what_there_is_to_be(spec: Obj, wanted: Expected, by_scale: bool) -> None:
    assert expected(budget(**spec), there=4, scale=5) == wanted
    assert needs_scale(budget(**spec)) == by_scale


def test_counts_leave_out_who_is_unready_or_on_the_way_out() -> None:
    pods = [pod("a"), pod("b"), pod("c", ready=False), pod("d", deletionTimestamp=TIME), pod("e")]
    status = status_of(budget(), pods, Expected(5, 1), Disrupted({"e": TIME}, (), 120), NOW)
    [condition] = status.pop("conditions")
    assert status == {
        "currentHealthy": 2,
        "desiredHealthy": 1,
        "expectedPods": 5,
        "disruptionsAllowed": 1,
        "disruptedPods": {"e": TIME},
        "observedGeneration": 1,
    }
    assert (condition["status"], condition["reason"]) == ("True", "SufficientPods")


def test_nothing_may_be_disrupted_where_nothing_is_expected_or_counting_failed() -> None:
    status = status_of(budget(), [pod()], Expected(0, 0), Disrupted({}, (), None), NOW)
    assert status["disruptionsAllowed"] == 0
    broken = failed({**budget(), "status": status}, "no such controller", NOW)
    assert broken["conditions"][0] == status["conditions"][0] | {
        "reason": "SyncFailed",
        "message": "no such controller",
    }


def test_an_eviction_that_was_not_carried_out_counts_for_two_minutes() -> None:
    since = {"old": "2026-01-01T11:57:00Z", "new": "2026-01-01T11:59:00Z", "gone": TIME, "going": TIME}
    found = disrupted(
        budget({"disruptedPods": since}),
        [pod("old"), pod("new"), pod("going", deletionTimestamp=TIME), pod("other")],
        NOW,
    )
    assert found.pods == {"new": since["new"]}
    assert [each["metadata"]["name"] for each in found.overdue] == ["old"]
    assert found.seconds == 60


@pytest.mark.parametrize("phase", ["Pending", "Succeeded", "Failed"])
def test_who_serves_nobody_is_not_protected(phase: str) -> None:
    assert is_unprotected(pod(phase=phase))
    assert is_unprotected(pod(deletionTimestamp=TIME))
    assert not is_unprotected(pod(ready=False))


@pytest.mark.parametrize(
    ("policy", "status", "allowed"),
    [
        (None, {"currentHealthy": 2, "desiredHealthy": 2}, Leave(as_it_is="b")),
        ("IfHealthyBudget", {"currentHealthy": 1, "desiredHealthy": 2}, Leave(budget="b")),
        ("IfHealthyBudget", {"currentHealthy": 0, "desiredHealthy": 0}, Leave(budget="b")),
        ("AlwaysAllow", {"currentHealthy": 1, "desiredHealthy": 2}, Leave(as_it_is="b")),
    ],
)
def test_an_unhealthy_pod_may_go_if_enough_others_are_healthy(
    policy: str | None, status: Obj, allowed: Leave
) -> None:
    spec = {"unhealthyPodEvictionPolicy": policy} if policy else {}
    assert leave(pod(ready=False), [budget(status, **spec)]) == allowed
    assert leave(pod(), [budget(status, **spec)]) == Leave(budget="b")


def test_without_a_budget_a_pod_may_go_and_with_two_nobody_knows() -> None:
    other = budget()
    other["spec"]["selector"] = {"matchLabels": {"app": "y"}}
    assert leave(pod(), [other]) == Leave()
    assert leave(pod(), [{**budget(), "spec": {}}]) == Leave()
    with pytest.raises(ApiError, match="more than one PodDisruptionBudget") as refused:
        leave(pod(), [budget(), budget()])
    assert refused.value.code == 500


@pytest.mark.parametrize(
    ("status", "said", "seconds"),
    [
        ({"observedGeneration": 0}, "The disruption budget b is still being processed by the server.", 10),
        (
            {"currentHealthy": 2, "desiredHealthy": 2},
            "The disruption budget b needs 2 healthy pods and has 2 currently",
            None,
        ),
        (
            {
                "conditions": [
                    {"type": "DisruptionAllowed", "status": "False", "reason": "SyncFailed", "message": "x"}
                ]
            },
            "The disruption budget b does not allow evicting pods currently because it failed sync: x",
            None,
        ),
        (
            {"currentHealthy": 3, "desiredHealthy": 2},
            "The disruption budget b does not allow evicting pods currently",
            None,
        ),
    ],
)
def test_a_refusal_says_why(status: Obj, said: str, seconds: int | None) -> None:
    with pytest.raises(TooManyRequests, match="as it would violate the pod's disruption budget") as refused:
        take(budget(status), "p", TIME)
    assert [(each.reason, each.message) for each in refused.value.causes] == [("DisruptionBudget", said)]
    assert refused.value.retry_after == seconds


@given(st.integers(1, 5), st.integers(0, 8))
def test_no_more_evictions_than_allowed(allowed: int, asked: int) -> None:
    one, granted = budget({"disruptionsAllowed": allowed}), 0
    for number in range(asked):
        try:
            take(one, f"p{number}", TIME)
        except TooManyRequests:
            continue
        granted += 1
    assert granted == min(allowed, asked) == len(one["status"].get("disruptedPods", {}))
    if granted == allowed:
        assert one["status"]["conditions"][0]["reason"] == "InsufficientPods"


def test_a_budget_that_is_out_of_hand_is_refused_outright() -> None:
    many = {f"p{number}": TIME for number in range(2001)}
    for status in ({"disruptionsAllowed": -1}, {"disruptionsAllowed": 1, "disruptedPods": many}):
        with pytest.raises(Forbidden):
            take(budget(status), "p", TIME)
