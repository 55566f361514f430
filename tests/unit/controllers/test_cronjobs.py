"""CronJobs: a Job for each time, once, whatever happens to the controller and to the clock."""

from __future__ import annotations

import asyncio
from datetime import datetime
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.examples import examples
from tests.unit.api.objects import problems
from tests.unit.controllers.world import START, Killed, World
from wellhead.api.cron.parsing import parse_schedule
from wellhead.api.errors import Conflict, Invalid
from wellhead.api.meta import Obj, format_time
from wellhead.api.resources import CRONJOBS, JOBS
from wellhead.controllers.cronjob.controller import CronJobController
from wellhead.controllers.cronjob.plan import most_recent

KEY = ("default", "c")
MINUTE = 60.0


class Cluster:
    """One CronJob, its controller, and Jobs that end as they are told."""

    def __init__(self, schedule: str = "* * * * *", **spec: Any) -> None:
        self.world = World()
        container = {"name": "c", "image": "i"}
        template = {"spec": {"template": {"spec": {"restartPolicy": "Never", "containers": [container]}}}}
        cronjob: Obj = {
            "apiVersion": "batch/v1",
            "kind": "CronJob",
            "metadata": {"name": "c", "namespace": "default"},
            "spec": {"schedule": schedule, "jobTemplate": template, **spec},
        }
        self.world[CRONJOBS].make(cronjob)
        self.start()

    def start(self) -> None:
        world = cast(Any, self.world)
        self.controller = CronJobController(world, world, lambda: self.world.now)

    @property
    def status(self) -> Obj:
        return cast(Obj, self.world[CRONJOBS].objects[KEY]["status"])

    @property
    def jobs(self) -> list[str]:
        return sorted(job["metadata"]["name"] for job in self.world[JOBS].values())

    def active(self) -> list[str]:
        return [each["name"] for each in self.status.get("active") or ()]

    def look(self) -> float | None:
        for _ in range(20):
            try:
                return asyncio.run(self.controller.reconcile(KEY))
            except Killed:
                self.start()
            except Conflict:
                continue
        raise AssertionError("it never gets through")

    def change(self, **spec: Any) -> None:
        cronjob = self.world[CRONJOBS].objects[KEY]
        self.world[CRONJOBS].change({**cronjob, "spec": {**cronjob["spec"], **spec}})

    def end(self, name: str, condition: str = "Complete") -> None:
        job = self.world[JOBS].objects["default", name]
        time = format_time(self.world.now)
        before = "SuccessCriteriaMet" if condition == "Complete" else "FailureTarget"
        entries = [
            {"type": each, "status": "True", "lastTransitionTime": time} for each in (before, condition)
        ]
        status: Obj = {"startTime": time, "conditions": entries}
        if condition == "Complete":
            status["completionTime"] = time
        self.world[JOBS].change({**job, "status": status}, "status")


def name_for(time: datetime) -> str:
    return f"c-{int(time.timestamp()) // 60}"


def test_a_job_at_each_time() -> None:
    cluster = Cluster()
    assert cluster.look() == pytest.approx(MINUTE + 0.1)
    assert cluster.jobs == []
    cluster.world.pass_time(MINUTE + 0.1)
    time = START.replace(minute=1)
    assert cluster.look() == pytest.approx(MINUTE)
    assert cluster.jobs == [name_for(time)]
    job = cluster.world[JOBS].objects["default", name_for(time)]
    assert job["metadata"]["annotations"] == {
        "batch.kubernetes.io/cronjob-scheduled-timestamp": "2026-01-01T00:01:00Z"
    }
    assert cluster.active() == cluster.jobs
    assert cluster.status["lastScheduleTime"] == format_time(time)
    assert cluster.look() == pytest.approx(MINUTE)
    assert cluster.world.reasons() == ["SuccessfulCreate"]


def test_the_annotation_is_in_the_zone_of_the_schedule() -> None:
    cluster = Cluster("30 9 * * *", timeZone="Asia/Tokyo")
    assert cluster.look() == pytest.approx(30 * MINUTE + 0.1)
    cluster.world.pass_time(31 * MINUTE)
    cluster.look()
    [job] = cluster.world[JOBS].values()
    assert list(job["metadata"]["annotations"].values()) == ["2026-01-01T09:30:00+09:00"]


@pytest.mark.parametrize(("policy", "jobs"), [("Allow", 2), ("Forbid", 1), ("Replace", 1)])
def test_what_happens_while_the_last_one_still_runs(policy: str, jobs: int) -> None:
    cluster = Cluster(concurrencyPolicy=policy)
    for _ in range(2):
        cluster.world.pass_time(MINUTE)
        cluster.look()
    assert len(cluster.jobs) == jobs
    assert cluster.active() == cluster.jobs
    expected = {"Allow": "SuccessfulCreate", "Forbid": "JobAlreadyActive", "Replace": "SuccessfulDelete"}
    assert expected[policy] in cluster.world.reasons()
    assert (cluster.jobs[-1] == name_for(START.replace(minute=2))) == (policy != "Forbid")


def test_history_is_kept_within_limits() -> None:
    cluster = Cluster(successfulJobsHistoryLimit=2, failedJobsHistoryLimit=0)
    for number in range(5):
        cluster.world.pass_time(MINUTE)
        cluster.look()
        [active] = cluster.active()
        cluster.end(active, "Failed" if number == 4 else "Complete")
        cluster.look()
    assert cluster.jobs == [name_for(START.replace(minute=minute)) for minute in (3, 4)]
    assert cluster.status["lastSuccessfulTime"] == format_time(START.replace(minute=4))
    assert "active" not in cluster.status
    seen = [text for _, reason, text in cluster.world.events if reason == "SawCompletedJob"]
    assert seen[0] == f"Saw completed job: {name_for(START.replace(minute=1))}, condition: Complete"


def test_a_missed_time_is_made_up_for_but_not_after_the_deadline() -> None:
    for deadline, jobs, reason in ((None, 1, "SuccessfulCreate"), (200, 1, "SuccessfulCreate")):
        cluster = Cluster("0 * * * *", **({"startingDeadlineSeconds": deadline} if deadline else {}))
        cluster.world.pass_time(63 * MINUTE)
        cluster.look()
        assert len(cluster.jobs) == jobs
        assert reason in cluster.world.reasons()
    cluster = Cluster("0 * * * *", startingDeadlineSeconds=60)
    cluster.world.pass_time(63 * MINUTE)
    assert cluster.look() == pytest.approx(57 * MINUTE + 0.1)
    assert cluster.jobs == []


def test_too_many_missed_times_are_told_and_the_last_one_counts() -> None:
    cluster = Cluster()
    cluster.world.pass_time(200 * MINUTE)
    cluster.look()
    assert cluster.world.events[0] == (
        "Warning",
        "TooManyMissedTimes",
        "too many missed start times. Set or decrease .spec.startingDeadlineSeconds or check clock skew",
    )
    assert cluster.jobs == [name_for(START.replace(hour=3, minute=20))]


def test_a_clock_that_is_set_back_starts_nothing_twice() -> None:
    cluster = Cluster()
    cluster.world.pass_time(10 * MINUTE)
    cluster.look()
    cluster.world.pass_time(-5 * MINUTE)
    assert cluster.look() == pytest.approx(6 * MINUTE + 0.1)
    assert len(cluster.jobs) == 1


def test_a_suspended_one_starts_nothing() -> None:
    cluster = Cluster(suspend=True)
    cluster.world.pass_time(10 * MINUTE)
    assert cluster.look() is None
    cluster.change(suspend=False)
    cluster.look()
    assert len(cluster.jobs) == 1


def test_a_job_that_is_gone_is_active_no_more() -> None:
    cluster = Cluster("0 0 1 1 *")
    cluster.world.pass_time(366 * 24 * 60 * MINUTE)
    cluster.look()
    cluster.world[JOBS].objects.clear()
    cluster.look()
    assert cluster.active() == []
    assert cluster.world.events[-1][1] == "MissingJob"


def test_a_job_from_elsewhere_is_told_of() -> None:
    cluster = Cluster(suspend=True)
    cronjob = cluster.world[CRONJOBS].objects[KEY]
    reference = {"apiVersion": "batch/v1", "kind": "CronJob", "name": "c", "controller": True}
    reference["uid"] = cronjob["metadata"]["uid"]
    metadata = {"name": "by-hand", "namespace": "default", "ownerReferences": [reference]}
    spec = cronjob["spec"]["jobTemplate"]["spec"]
    cluster.world[JOBS].make({"apiVersion": "batch/v1", "kind": "Job", "metadata": metadata, "spec": spec})
    cluster.look()
    text = "Saw a job that the controller did not create or forgot: by-hand"
    assert cluster.world.events == [("Warning", "UnexpectedJob", text)]


@settings(max_examples=examples(80))
@given(
    st.lists(st.integers(-3, 10), min_size=1, max_size=15),
    st.dictionaries(st.integers(1, 40), st.booleans(), max_size=8),
)
def test_no_time_has_two_jobs_whenever_the_controller_dies(
    minutes: list[int], deadly: dict[int, bool]
) -> None:
    cluster = Cluster(successfulJobsHistoryLimit=1000)
    cluster.world.deadly = deadly
    wanted = set()
    latest = START
    for each in minutes:
        cluster.world.pass_time(each * MINUTE)
        cluster.look()
        if cluster.world.now > latest:
            latest = cluster.world.now
            wanted.add(name_for(latest))
        assert set(cluster.jobs) == wanted
        for name in cluster.active():
            cluster.end(name)
    cluster.look()
    assert cluster.active() == []


@given(st.integers(1, 59), st.integers(0, 100_000))
def test_the_last_time_that_was_missed(step: int, minutes: int) -> None:
    schedule = parse_schedule(f"*/{step} * * * *")
    now = START.fromtimestamp(START.timestamp() + minutes * 60, START.tzinfo)
    found, _ = most_recent(schedule, START, now)
    expected = now.replace(minute=now.minute - now.minute % step)
    assert found == (expected if expected > START else None)


@pytest.mark.parametrize(
    ("spec", "problem"),
    [
        ({"schedule": "0 0 * * 7"}, "end of range (7) above maximum (6): 7"),
        (
            {"schedule": "TZ=UTC 0 0 * * *"},
            "cannot use TZ or CRON_TZ in schedule, use timeZone field instead",
        ),
        ({"timeZone": ""}, "timeZone must be nil or non-empty string"),
        ({"timeZone": "No/Where"}, 'spec.timeZone: Invalid value: "No/Where": unknown time zone No/Where'),
        ({"timeZone": "local"}, "timeZone must be an explicit time zone"),
        ({"timeZone": "../../etc/passwd"}, "unknown time zone ../../etc/passwd"),
        ({"concurrencyPolicy": "No"}, 'supported values: "Allow", "Forbid", "Replace"'),
        ({"startingDeadlineSeconds": -1}, "must be greater than or equal to 0"),
    ],
)
def test_what_a_cronjob_may_not_be(spec: Obj, problem: str) -> None:
    with pytest.raises(Invalid) as error:
        Cluster(**spec)
    assert any(problem in each for each in problems(error.value)), problems(error.value)
