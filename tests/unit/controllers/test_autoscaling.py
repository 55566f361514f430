"""HorizontalPodAutoscalers: what metrics ask for, and how fast it is done."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.api.objects import create, named, problems
from tests.unit.controllers.world import START, World
from wellhead.api.errors import Invalid, NotFound
from wellhead.api.kinds.horizontalpodautoscaler.conversion import to_v1, to_v2
from wellhead.api.meta import Obj, format_time
from wellhead.api.resources import HORIZONTALPODAUTOSCALERS, HORIZONTALPODAUTOSCALERS_V1, PODS
from wellhead.controllers.podautoscaler.controller import HorizontalPodAutoscalerController
from wellhead.controllers.podautoscaler.limits import Memory, limit
from wellhead.controllers.podautoscaler.proposal import (
    Incalculable,
    PodMetric,
    Tolerance,
    by_average,
    by_share,
    by_utilization,
)

MINUTE = timedelta(minutes=1)
OLD = START - timedelta(hours=1)


def pod(name: str, *, ready: bool = True, phase: str = "Running", request: str = "100m") -> Any:
    entry = {"type": "Ready", "status": str(ready), "lastTransitionTime": format_time(OLD)}
    container = {"name": "c", "image": "i", "resources": {"requests": {"cpu": request}}}
    return {
        "metadata": {"name": name, "namespace": "default", "labels": {"a": "b"}},
        "spec": {"containers": [container]},
        "status": {"phase": phase, "startTime": format_time(OLD), "conditions": [entry]},
    }


def metrics(**values: int) -> dict[str, PodMetric]:
    return {name: PodMetric(value, START, MINUTE) for name, value in values.items()}


def utilization(pods: list[Any], found: dict[str, PodMetric], target: int, current: int) -> tuple[int, int]:
    proposal = by_utilization(pods, found, target, "cpu", "", current, Tolerance(), START)
    assert proposal.utilization is not None
    return proposal.replicas, proposal.utilization


def test_use_in_relation_to_requests() -> None:
    pods = [pod("a"), pod("b")]
    assert utilization(pods, metrics(a=100, b=100), 50, 2) == (4, 100)
    assert utilization(pods, metrics(a=10, b=10), 50, 2) == (1, 10)
    assert utilization(pods, metrics(a=52, b=52), 50, 2) == (2, 52)  # near enough


def test_pods_without_metrics_speak_against_the_change() -> None:
    pods = [pod("a"), pod("b"), pod("c")]
    assert utilization(pods, metrics(a=100, b=100), 50, 3) == (4, 100)  # c as if it used nothing
    assert utilization(pods, metrics(a=10, b=10), 50, 3) == (3, 10)  # c as if it used all


def test_pods_that_begin_count_as_idle_when_it_goes_up() -> None:
    pods = [pod("a"), pod("b", phase="Pending")]
    assert utilization(pods, metrics(a=150), 50, 2) == (3, 150)
    # One that has never been ready since it started uses CPU for that.
    starting = pod("b", ready=False)
    assert utilization([pod("a"), starting], metrics(a=50, b=1000), 50, 2) == (2, 50)


def test_what_cannot_be_calculated_says_why() -> None:
    with pytest.raises(Incalculable, match="did not receive metrics for targeted pods"):
        utilization([pod("a")], {}, 50, 1)
    with pytest.raises(Incalculable, match="no pods returned by selector"):
        utilization([], metrics(a=1), 50, 1)
    bare = pod("a")
    bare["spec"]["containers"][0]["resources"] = {}
    with pytest.raises(Incalculable, match="missing request for cpu in container c of Pod a"):
        utilization([bare], metrics(a=1), 50, 1)


@given(st.lists(st.integers(0, 10_000), min_size=1, max_size=20), st.integers(1, 5000))
def test_an_average_asks_for_what_brings_it_to_its_target(values: list[int], target: int) -> None:
    pods = [pod(f"p{number}") for number in range(len(values))]
    found = {f"p{number}": PodMetric(value, START, MINUTE) for number, value in enumerate(values)}
    proposal = by_average(pods, found, target, "", len(values), Tolerance(), START)
    total = sum(values)
    if proposal.replicas != len(values):
        assert proposal.replicas <= -(-total // target)
        assert proposal.replicas * target >= total - len(values) or proposal.replicas == 0


@given(st.integers(0, 10**9), st.integers(1, 10**6), st.integers(1, 100))
def test_a_share_is_enough_for_all(used: int, target: int, replicas: int) -> None:
    proposal = by_share(used, target, replicas, Tolerance())
    assert proposal.replicas * target * 1.1 >= used * 0.999 or proposal.replicas == 2**31 - 1


SPEC: Obj = {"minReplicas": 1, "maxReplicas": 100}


def test_without_a_behavior_it_doubles_at_most_and_comes_down_late() -> None:
    memory = Memory()
    up = limit(SPEC, memory, 5, 50, START)
    assert (up.replicas, up.conditions[1].reason) == (10, "ScaleUpLimit")
    assert limit(SPEC, memory, 1, 50, START).replicas == 4
    later = limit(SPEC, up.memory, 10, 2, START + MINUTE)
    assert (later.replicas, later.conditions[0].reason) == (20, "ScaleDownStabilized")
    assert limit(SPEC, Memory(), 10, 2, START).replicas == 2
    few = limit({**SPEC, "minReplicas": 3}, Memory(), 10, 2, START)
    assert (few.replicas, few.conditions[1].reason, few.conditions[1].status) == (3, "TooFewReplicas", True)


def behavior(up: Obj | None = None, down: Obj | None = None) -> Obj:
    obj = named(spec={"scaleTargetRef": {"kind": "Deployment", "name": "d", "apiVersion": "apps/v1"}})
    obj["spec"] |= {"maxReplicas": 100, "behavior": {"scaleUp": up or {}, "scaleDown": down or {}}}
    return cast(Obj, create(HORIZONTALPODAUTOSCALERS, obj)["spec"])


def test_policies_limit_what_changes_within_their_period() -> None:
    spec = behavior(up={"policies": [{"type": "Pods", "value": 3, "periodSeconds": 60}]})
    first = limit(spec, Memory(), 5, 50, START)
    assert first.replicas == 8
    memory = first.memory.scaled(5, 8, START)
    assert limit(spec, memory, 8, 50, START + MINUTE / 2).replicas == 8
    assert limit(spec, memory, 8, 50, START + 2 * MINUTE).replicas == 11


def test_the_greatest_or_the_least_change_is_chosen() -> None:
    policies = [
        {"type": "Pods", "value": 1, "periodSeconds": 60},
        {"type": "Percent", "value": 50, "periodSeconds": 60},
    ]
    for select, replicas in (("Max", 5), ("Min", 9), ("Disabled", 10)):
        down = {"policies": policies, "selectPolicy": select, "stabilizationWindowSeconds": 0}
        assert limit(behavior(down=down), Memory(), 10, 1, START).replicas == replicas


def test_a_window_going_up_waits_for_what_lasts() -> None:
    spec = behavior(up={"stabilizationWindowSeconds": 120})
    memory = limit(spec, Memory(), 5, 5, START).memory
    early = limit(spec, memory, 5, 9, START + MINUTE)
    assert (early.replicas, early.conditions[0].reason) == (5, "ScaleUpStabilized")
    assert limit(spec, early.memory, 5, 9, START + 3 * MINUTE).replicas == 9


@given(
    st.lists(st.tuples(st.integers(0, 120), st.integers(0, 60)), min_size=1, max_size=30),
    st.booleans(),
)
def test_limits_hold_whatever_is_recommended_and_however_the_clock_goes(
    steps: list[tuple[int, int]], with_behavior: bool
) -> None:
    spec = (behavior() if with_behavior else {}) | {"minReplicas": 2, "maxReplicas": 40}
    memory, current, now = Memory(), 10, START
    most = current  # pods that went within a period count as there at its start
    for wanted, seconds in steps:
        now += timedelta(seconds=seconds - 10)
        found = limit(spec, memory, current, wanted, now)
        assert 2 <= found.replicas <= 40
        assert found.replicas <= max(2 * most, most + 4)
        memory = found.memory
        if found.replicas != current:
            memory = memory.scaled(current, found.replicas, now)
        current = found.replicas
        most = max(most, current)


class Target:
    """The APIs that an autoscaler's controller asks: a Deployment's scale, and metrics."""

    def __init__(self) -> None:
        self.replicas = 2
        self.usage: dict[str, str] = {}

    async def read(self, path: str, query: object = None) -> Obj:
        if not path.endswith("/deployments/d/scale"):
            raise NotFound.path()
        metadata = {"name": "d", "namespace": "default", "uid": "u"}
        status = {"replicas": self.replicas, "selector": "a=b"}
        return {"metadata": metadata, "spec": {"replicas": self.replicas}, "status": status}

    async def list(self, *_: object, **__: object) -> Obj:
        items = [
            {
                "metadata": {"name": name},
                "timestamp": format_time(START),
                "window": "15s",
                "containers": [{"name": "c", "usage": {"cpu": cpu}}],
            }
            for name, cpu in self.usage.items()
        ]
        return {"items": items}

    async def patch(self, _: object, name: str, change: Obj, *__: object, **___: object) -> Obj:
        self.replicas = change["spec"]["replicas"]
        return {}


class Cluster:
    def __init__(self, **spec: Any) -> None:
        self.world, self.target = World(), Target()
        target = {"kind": "Deployment", "name": "d", "apiVersion": "apps/v1"}
        metadata = {"name": "h", "namespace": "default"}
        obj: Obj = {"metadata": metadata, "spec": {"scaleTargetRef": target, "maxReplicas": 10, **spec}}
        obj |= {"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler"}
        self.world[HORIZONTALPODAUTOSCALERS].make(obj)
        world = cast(Any, self.world)
        self.controller = HorizontalPodAutoscalerController(
            cast(Any, self.target), world, world, lambda: self.world.now
        )
        for name in ("p", "q"):
            self.world[PODS].put({**pod(name), "apiVersion": "v1", "kind": "Pod"})

    def look(self) -> Obj:
        assert asyncio.run(self.controller.reconcile(("default", "h"))) == 15
        [autoscaler] = self.world[HORIZONTALPODAUTOSCALERS].values()
        return cast(Obj, autoscaler["status"])


def conditions(status: Obj) -> dict[str, tuple[str, str]]:
    return {each["type"]: (each["status"], each["reason"]) for each in status["conditions"]}


def test_the_scale_is_set_and_told_of() -> None:
    cluster = Cluster()
    cluster.target.usage = {"p": "160m", "q": "160m"}
    status = cluster.look()
    assert cluster.target.replicas == 4
    assert (status["currentReplicas"], status["desiredReplicas"]) == (2, 4)
    current = {"averageUtilization": 160, "averageValue": "160m"}
    assert status["currentMetrics"] == [{"type": "Resource", "resource": {"name": "cpu", "current": current}}]
    assert conditions(status) == {
        "AbleToScale": ("True", "SucceededRescale"),
        "ScalingActive": ("True", "ValidMetricFound"),
        "ScalingLimited": ("False", "DesiredWithinRange"),
    }
    text = "New size: 4; reason: cpu resource utilization (percentage of request) above target"
    assert cluster.world.events == [("Normal", "SuccessfulRescale", text)]


def test_metrics_that_are_missing_are_told_of() -> None:
    cluster = Cluster()
    status = cluster.look()
    assert conditions(status)["ScalingActive"] == ("False", "FailedGetResourceMetric")
    why = (
        "failed to get cpu utilization: unable to get metrics for resource cpu: "
        "no metrics returned from resource metrics API"
    )
    assert cluster.world.events == [
        ("Warning", "FailedGetResourceMetric", why),
        (
            "Warning",
            "FailedComputeMetricsReplicas",
            "invalid metrics (1 invalid out of 1), first error is: "
            f"failed to get cpu resource metric value: {why}",
        ),
    ]


def test_other_metrics_need_somebody_who_serves_them() -> None:
    target = {"type": "AverageValue", "averageValue": "10"}
    for kind, source in (
        ("Pods", {"metric": {"name": "m"}, "target": target}),
        ("External", {"metric": {"name": "m"}, "target": target}),
    ):
        cluster = Cluster(metrics=[{"type": kind, kind.lower(): source}])
        assert conditions(cluster.look())["ScalingActive"] == ("False", f"FailedGet{kind}Metric")


def test_a_target_that_is_not_there() -> None:
    cluster = Cluster(scaleTargetRef={"kind": "Deployment", "name": "x", "apiVersion": "apps/v1"})
    assert conditions(cluster.look()) == {"AbleToScale": ("False", "FailedGetScale")}
    cluster = Cluster(scaleTargetRef={"kind": "Nothing", "name": "x", "apiVersion": "example.com/v1"})
    cluster.look()
    assert cluster.world.events[0][2] == 'no matches for kind "Nothing" in group "example.com"'


def test_a_target_outside_of_the_limits_is_brought_in() -> None:
    cluster = Cluster(minReplicas=3)
    cluster.look()
    assert cluster.target.replicas == 3
    assert (
        cluster.world.events[0][2] == "New size: 3; reason: Current number of replicas below Spec.MinReplicas"
    )
    cluster.target.replicas = 0
    assert conditions(cluster.look())["ScalingActive"] == ("False", "ScalingDisabled")
    assert cluster.target.replicas == 0


def test_both_versions_are_one_object() -> None:
    target = {"kind": "Deployment", "name": "d", "apiVersion": "apps/v1"}
    spec = {"scaleTargetRef": target, "maxReplicas": 3}
    v1 = create(HORIZONTALPODAUTOSCALERS_V1, named(spec={**spec, "targetCPUUtilizationPercentage": 60}))
    v2 = to_v2(v1)
    assert v2["spec"]["metrics"][0]["resource"]["target"]["averageUtilization"] == 60
    pods = {"metric": {"name": "m"}, "target": {"type": "AverageValue", "averageValue": "1"}}
    v2["spec"]["metrics"].append({"type": "Pods", "pods": pods})
    back = to_v1(v2)
    assert back["spec"]["targetCPUUtilizationPercentage"] == 60
    assert to_v2(back) == v2


@pytest.mark.parametrize(
    ("spec", "problem"),
    [
        ({"maxReplicas": 0}, "spec.maxReplicas: Required value: must be set and greater than 0"),
        ({"minReplicas": 4}, "must be greater than or equal to `minReplicas`"),
        ({"scaleTargetRef": {}}, "spec.scaleTargetRef.kind: Required value"),
        ({"metrics": [{"type": "X"}]}, 'spec.metrics[0].type: Unsupported value: "X"'),
        ({"metrics": [{"type": "Pods"}]}, "must populate information for the given metric source"),
        (
            {"behavior": {"scaleUp": {"policies": [{"type": "Pods", "value": 0, "periodSeconds": 1}]}}},
            "spec.behavior.scaleUp.policies[0].value: Invalid value: 0: must be greater than zero",
        ),
    ],
)
def test_what_an_autoscaler_may_not_be(spec: Obj, problem: str) -> None:
    target = {"kind": "Deployment", "name": "d", "apiVersion": "apps/v1"}
    obj = named(spec={"scaleTargetRef": target, "maxReplicas": 3, **spec})
    with pytest.raises(Invalid) as error:
        create(HORIZONTALPODAUTOSCALERS, obj)
    assert any(problem in each for each in problems(error.value)), problems(error.value)
