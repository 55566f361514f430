"""Jobs: every ended pod counts once, whenever the controller dies; and each kind of end."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.examples import examples
from tests.unit.controllers.world import Killed, World
from wellhead.api.errors import Conflict
from wellhead.api.kinds.job.indexes import Indexes
from wellhead.api.kinds.job.status import is_finished
from wellhead.api.meta import Obj, format_time, is_condition_true, is_deleting
from wellhead.api.resources import JOBS, PODS
from wellhead.controllers.job.backoff import Failures
from wellhead.controllers.job.controller import JobController
from wellhead.controllers.job.expiry import seconds_left
from wellhead.controllers.job.pods import INDEX, is_tracked

KEY = ("default", "j")


class Cluster:
    """One Job, its controller, and pods that end as they are told."""

    def __init__(self, **spec: Any) -> None:
        self.world = World()
        container = {"name": "c", "image": "i"}
        template = {"spec": {"restartPolicy": "Never", "containers": [container]}}
        job: Obj = {"metadata": {"name": "j", "namespace": "default"}, "spec": {"template": template, **spec}}
        job |= {"apiVersion": "batch/v1", "kind": "Job"}
        self.world[JOBS].make(job)
        self.ended: dict[str, str] = {}
        """uid -> the phase in which the pod ended."""
        self.start()

    def start(self) -> None:
        world = cast(Any, self.world)
        self.controller = JobController(world, world, world, lambda: self.world.now)

    @property
    def job(self) -> Obj:
        return self.world[JOBS].objects[KEY]

    @property
    def status(self) -> Obj:
        return cast(Obj, self.job["status"])

    @property
    def pods(self) -> list[Obj]:
        return sorted(self.world[PODS].values(), key=lambda pod: int(pod["metadata"]["resourceVersion"]))

    def look(self) -> float | None:
        """One reconciliation; after a death, a new controller looks, too."""
        for _ in range(20):
            try:
                return asyncio.run(self._look())
            except Killed:
                self.start()
            except Conflict:
                continue
        raise AssertionError("it never gets through")

    async def _look(self) -> float | None:
        again = await self.controller.reconcile(KEY)
        for pod in self.pods:
            await self.controller._release((pod["metadata"]["namespace"], pod["metadata"]["name"]))
        return again

    def running(self) -> list[Obj]:
        """Pods that haven't ended; they all run from now on."""
        found = [pod for pod in self.pods if pod["metadata"]["uid"] not in self.ended]
        for pod in found:
            pod["status"]["phase"] = "Running"
        return found

    def end(self, pod: Obj, phase: str, code: int = 1) -> None:
        """The pod ends; one that was deleted is gone as soon as nothing holds it."""
        if phase == "Failed":
            terminated = {"exitCode": code, "finishedAt": format_time(self.world.now)}
            pod["status"]["containerStatuses"] = [{"name": "c", "state": {"terminated": terminated}}]
        pod["status"]["phase"] = phase
        if is_deleting(pod):
            pod["metadata"]["deletionGracePeriodSeconds"] = 0
        self.ended[pod["metadata"]["uid"]] = phase
        self.world[PODS].put(pod)

    def end_all(self, phase: str, code: int = 1) -> None:
        for pod in self.running():
            self.end(pod, phase, code)

    def count(self, phase: str) -> int:
        return sum(each == phase for each in self.ended.values())

    def conditions(self) -> list[tuple[str, str]]:
        return [(each["type"], each.get("reason", "")) for each in self.status.get("conditions") or ()]

    def until_idle(self) -> None:
        """Look until nothing changes any more, however long something has to wait."""
        for _ in range(60):
            before = self.world.writes
            for pod in self.running():
                if is_deleting(pod):
                    self.end(pod, "Failed", 137)
            again = self.look()
            if again is not None:
                self.world.pass_time(again)
            elif self.world.writes == before:
                return
        raise AssertionError("it is never at rest")


@settings(max_examples=examples(80))
@given(
    completions=st.integers(1, 6),
    parallelism=st.integers(1, 4),
    indexed=st.booleans(),
    per_index=st.booleans(),
    outcomes=st.lists(st.sampled_from(["Succeeded", "Succeeded", "Failed", "wait"]), max_size=40),
    deadly=st.dictionaries(st.integers(1, 120), st.booleans(), max_size=12),
)
def test_every_pod_counts_once_whenever_the_controller_dies(
    completions: int,
    parallelism: int,
    indexed: bool,
    per_index: bool,
    outcomes: list[str],
    deadly: dict[int, bool],
) -> None:
    spec: Obj = {"completions": completions, "parallelism": parallelism, "backoffLimit": 4}
    if indexed:
        spec["completionMode"] = "Indexed"
        if per_index:
            spec["backoffLimitPerIndex"] = 1
    cluster = Cluster(**spec)
    cluster.world.deadly = deadly
    remaining = iter(outcomes)
    for _ in range(80):
        again = cluster.look()
        if is_finished(cluster.job):
            break
        for pod in cluster.running():
            outcome = "Failed" if is_deleting(pod) else next(remaining, "Succeeded")
            if outcome != "wait":
                cluster.end(pod, outcome)
        cluster.world.pass_time(again or 1)
        assert len([pod for pod in cluster.running() if not is_deleting(pod)]) <= parallelism
    status = cluster.status
    assert is_finished(cluster.job), cluster.conditions()
    assert status.get("failed", 0) == cluster.count("Failed")
    if indexed:
        done = Indexes.parse(status.get("completedIndexes", ""), completions)
        ends = [pod for pod in cluster.pods if pod["status"]["phase"] == "Succeeded"]
        assert set(done) == {int(pod["metadata"]["annotations"][INDEX]) for pod in ends}
        assert status.get("succeeded", 0) == len(done)
    else:
        assert status.get("succeeded", 0) == cluster.count("Succeeded")
    if is_condition_true(cluster.job, "Complete"):
        assert status["succeeded"] >= completions
    cluster.world.deadly = {}
    cluster.until_idle()
    assert not any(map(is_tracked, cast(Any, cluster.pods)))
    assert not status["uncountedTerminatedPods"]


def test_a_job_that_succeeds() -> None:
    cluster = Cluster(completions=2, parallelism=1)
    cluster.look()
    assert len(cluster.pods) == 1
    assert cluster.status["startTime"] == format_time(cluster.world.now)
    for _ in range(2):
        cluster.end_all("Succeeded")
        cluster.look()
        cluster.look()
    assert cluster.conditions() == [
        ("SuccessCriteriaMet", "CompletionsReached"),
        ("Complete", "CompletionsReached"),
    ]
    assert cluster.status["succeeded"] == 2
    assert cluster.status["completionTime"]
    assert "active" not in cluster.status
    assert cluster.world.reasons() == ["SuccessfulCreate", "SuccessfulCreate", "Completed"]


def test_failures_are_waited_out_longer_and_longer_and_end_at_the_limit() -> None:
    cluster = Cluster(backoffLimit=3)
    waits = []
    for _ in range(3):
        cluster.look()
        cluster.end_all("Failed")
        again = cluster.look()
        assert again is not None
        waits.append(again)
        cluster.world.pass_time(again)
    assert waits == [10, 20, 40]
    cluster.look()
    cluster.end_all("Failed")
    cluster.until_idle()
    assert cluster.conditions() == [
        ("FailureTarget", "BackoffLimitExceeded"),
        ("Failed", "BackoffLimitExceeded"),
    ]
    assert cluster.status["failed"] == 4
    assert cluster.world.events[-1] == (
        "Warning",
        "BackoffLimitExceeded",
        "Job has reached the specified backoff limit",
    )


def test_a_clock_that_was_set_back_makes_no_wait_longer() -> None:
    cluster = Cluster()
    cluster.look()
    cluster.end_all("Failed")
    cluster.world.pass_time(-3600)
    assert cluster.look() == 10


def test_the_deadline_ends_what_runs() -> None:
    cluster = Cluster(activeDeadlineSeconds=30)
    assert cluster.look() == 30
    assert len(cluster.running()) == 1
    cluster.world.pass_time(30)
    cluster.look()
    assert cluster.conditions() == [("FailureTarget", "DeadlineExceeded")]
    assert cluster.status["terminating"] == 1
    cluster.until_idle()
    assert cluster.conditions()[-1] == ("Failed", "DeadlineExceeded")
    assert cluster.status["failed"] == 1


def test_a_suspended_job_has_no_pods_and_its_time_begins_anew() -> None:
    cluster = Cluster(parallelism=2, completions=2, activeDeadlineSeconds=60)
    cluster.look()
    cluster.running()
    job = {**cluster.job, "spec": {**cluster.job["spec"], "suspend": True}}
    cluster.world[JOBS].change(job)
    cluster.until_idle()
    assert "startTime" not in cluster.status
    assert cluster.conditions() == [("Suspended", "JobSuspended")]
    assert not cluster.pods
    assert cluster.status.get("failed", 0) == 0
    cluster.world.pass_time(1000)
    job = {**cluster.job, "spec": {**cluster.job["spec"], "suspend": False}}
    job["spec"]["template"]["spec"]["nodeSelector"] = {"a": "b"}
    cluster.world[JOBS].change(job)
    assert cluster.look() == 60
    assert cluster.conditions() == [("Suspended", "JobResumed")]
    assert [pod["spec"]["nodeSelector"] for pod in cluster.pods] == [{"a": "b"}] * 2
    assert {"Suspended", "Resumed"} <= set(cluster.world.reasons())


def rule(action: str, *codes: int) -> Obj:
    return {"action": action, "onExitCodes": {"operator": "In", "values": list(codes)}}


@pytest.mark.parametrize(
    ("code", "condition", "failed"),
    [
        (42, ("FailureTarget", "PodFailurePolicy"), 1),
        (7, None, 0),
        (8, None, 1),
        (9, None, 1),
    ],
)
def test_a_failure_policy_decides_by_exit_code(
    code: int, condition: tuple[str, str] | None, failed: int
) -> None:
    policy = {"rules": [rule("FailJob", 42), rule("Ignore", 7), rule("Count", 8)]}
    cluster = Cluster(podFailurePolicy=policy)
    cluster.look()
    cluster.end_all("Failed", code)
    cluster.look()
    assert cluster.conditions()[:1] == ([condition] if condition else [])
    assert cluster.status.get("failed", 0) == failed
    if condition:
        message = cluster.status["conditions"][0]["message"]
        assert "failed with exit code 42 matching FailJob rule at index 0" in message


def test_an_index_fails_alone_and_its_failures_are_handed_on() -> None:
    cluster = Cluster(
        completionMode="Indexed", completions=2, parallelism=2, backoffLimitPerIndex=1, maxFailedIndexes=1
    )
    cluster.look()
    for pod in cluster.running():
        first = pod["metadata"]["annotations"][INDEX] == "0"
        cluster.end(pod, "Failed" if first else "Succeeded")
    again = cluster.look()
    assert cluster.status["completedIndexes"] == "1"
    assert cluster.status["failedIndexes"] == ""
    cluster.world.pass_time(again or 0)
    cluster.look()
    [pod] = cluster.running()
    annotations = pod["metadata"]["annotations"]
    assert annotations["batch.kubernetes.io/job-index-failure-count"] == "1"
    assert pod["metadata"]["labels"][INDEX] == annotations[INDEX] == "0"
    assert pod["spec"]["hostname"] == "j-0"
    assert pod["spec"]["containers"][0]["env"][0]["name"] == "JOB_COMPLETION_INDEX"
    cluster.end(pod, "Failed")
    cluster.until_idle()
    assert cluster.conditions() == [("FailureTarget", "FailedIndexes"), ("Failed", "FailedIndexes")]
    assert cluster.status["failedIndexes"] == "0"
    assert cluster.status["failed"] == 2


def test_a_success_policy_ends_the_other_pods() -> None:
    cluster = Cluster(
        completionMode="Indexed",
        completions=3,
        parallelism=3,
        successPolicy={"rules": [{"succeededIndexes": "0"}]},
    )
    cluster.look()
    for pod in cluster.running():
        if pod["metadata"]["annotations"][INDEX] == "0":
            cluster.end(pod, "Succeeded")
    cluster.until_idle()
    assert cluster.conditions() == [("SuccessCriteriaMet", "SuccessPolicy"), ("Complete", "SuccessPolicy")]
    assert cluster.status["succeeded"] == 1
    assert cluster.status["conditions"][0]["message"] == "Matched rules at index 0"


def test_only_failed_pods_are_replaced_if_so_wanted() -> None:
    for policy, pods in (("Failed", 1), ("TerminatingOrFailed", 2)):
        cluster = Cluster(podReplacementPolicy=policy)
        cluster.look()
        [pod] = cluster.running()
        cluster.world[PODS].remove(pod)
        cluster.world.pass_time(30)
        again = cluster.look()
        cluster.world.pass_time(again or 0)
        cluster.look()
        assert len(cluster.running()) == pods


def test_an_elastic_job_shrinks_and_grows() -> None:
    cluster = Cluster(completionMode="Indexed", completions=3, parallelism=3)
    cluster.look()
    for pod in cluster.running():
        if pod["metadata"]["annotations"][INDEX] == "2":
            cluster.end(pod, "Succeeded")
    cluster.look()
    assert cluster.status["completedIndexes"] == "2"
    size = {"completions": 2, "parallelism": 2}
    cluster.world[JOBS].change({**cluster.job, "spec": {**cluster.job["spec"], **size}})
    cluster.look()
    assert "completedIndexes" not in cluster.status
    assert "succeeded" not in cluster.status
    cluster.end_all("Succeeded")
    cluster.until_idle()
    assert cluster.status["completedIndexes"] == "0,1"
    assert cluster.conditions()[-1][0] == "Complete"


def test_a_job_that_somebody_else_manages_is_left_alone() -> None:
    cluster = Cluster(managedBy="example.com/other")
    cluster.until_idle()
    assert not cluster.pods
    assert cluster.status == {}


def test_a_finished_job_goes_after_its_time() -> None:
    cluster = Cluster(ttlSecondsAfterFinished=100)
    assert seconds_left(cluster.job, cluster.world.now) is None
    cluster.look()
    cluster.end_all("Succeeded")
    cluster.until_idle()
    assert seconds_left(cluster.job, cluster.world.now) == 100
    cluster.world.pass_time(101)
    assert seconds_left(cluster.job, cluster.world.now) == 0


@given(st.sets(st.integers(0, 30)), st.sets(st.integers(0, 30)), st.integers(0, 10), st.integers(0, 31))
def test_sets_of_indexes_are_sets(first: set[int], second: set[int], count: int, completions: int) -> None:
    a, b = Indexes.of(first), Indexes.of(second)
    assert set(a) == first
    assert len(a) == len(first)
    assert set(a | b) == first | second
    assert a.common(b) == len(first & second)
    assert Indexes.parse(str(a), 100) == a
    assert set(Indexes.parse(str(a), completions)) == {each for each in first if each < completions}
    assert all((each in a) == (each in first) for each in range(-1, 32))
    assert a.missing(count, completions) == missing(range(completions), first)[:count]


def missing(candidates: Iterable[int], there: set[int]) -> list[int]:
    return [each for each in candidates if each not in there]


def test_delays_double_up_to_ten_minutes() -> None:
    world = World()
    waits = [Failures(count, world.now).wait(world.now) for count in (0, 1, 2, 3, 6, 7, 100)]
    assert waits == [0, 10, 20, 40, 320, 600, 600]
