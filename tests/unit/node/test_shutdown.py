"""A node that shuts down: the order in which pods end, and how long each has."""

from __future__ import annotations

import asyncio
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.patience import settled
from tests.unit.node import pods
from tests.unit.node.world import Recorder
from wellhead.node.configuration import ShutdownGracePeriod
from wellhead.node.pods.record import End, PodRecord
from wellhead.node.pods.status import compute
from wellhead.node.shutdown import manager, plan
from wellhead.node.shutdown.manager import ShutdownManager

Obj = dict[str, Any]
PERIODS = (
    ShutdownGracePeriod(0, 20),
    ShutdownGracePeriod(1000, 5),
    ShutdownGracePeriod(2_000_000_000, 10),
)


def pod(name: str, priority: int = 0, **spec: Any) -> Obj:
    made = pods.pod(priority=priority, **spec)
    made["metadata"] |= {"name": name, "uid": name}
    return made


def test_pods_are_with_the_highest_priority_that_they_reach() -> None:
    priorities = {"low": -5, "none": 0, "some": 999, "more": 1000, "system": 2_000_001_000}
    found = plan.groups(PERIODS, [pod(name, priority) for name, priority in priorities.items()])
    assert [(each.seconds, [one["metadata"]["name"] for one in each.pods]) for each in found] == [
        (20, ["low", "none", "some"]),
        (5, ["more"]),
        (10, ["system"]),
    ]


def test_nobody_waits_for_a_group_without_pods() -> None:
    assert [each.seconds for each in plan.groups(PERIODS, [pod("x", 5000)])] == [5]


@pytest.mark.parametrize(("asked", "seconds"), [(3, 3), (30, 20), (None, 20), (0, 1)])
def test_a_pod_has_what_it_asks_for_within_its_groups_time(asked: int | None, seconds: float) -> None:
    one = pod("x", **({} if asked is None else {"terminationGracePeriodSeconds": asked}))
    assert plan.grace(one, plan.Group(20, (one,))) == seconds


class Worker:
    """A pod that takes its time to end."""

    def __init__(self, order: list[str], name: str, priority: int = 0) -> None:
        self.uid, self._order = name, order
        self.counts = True
        self.ended: End | None = None
        self.over, self.told_to = asyncio.Event(), asyncio.Event()
        self.state: Any = SimpleNamespace(pod=pod(name, priority))

    async def end(self, end: End) -> None:
        self.ended = end
        self._order.append(self.uid)
        self.told_to.set()

    async def gone(self) -> None:
        await self.over.wait()

    async def told(self) -> None:
        pass


class Case:
    def __init__(self, root: Path, *workers: Worker, periods: Any = PERIODS) -> None:
        self.recorder = Recorder()
        recorder: Any = self.recorder
        listed: Any = list(workers)
        self.manager = ShutdownManager("node-1", root, periods, recorder, lambda: listed)
        self.changes: list[bool] = []
        self.manager.changed = lambda: self.changes.append(self.manager.shutting_down)


async def test_the_least_important_end_first_and_the_others_when_they_have(tmp_path: Path) -> None:
    order: list[str] = []
    low, high = Worker(order, "low"), Worker(order, "high", 5000)
    case = Case(tmp_path, high, low)
    case.manager.begin()
    case.manager.begin()
    ending = asyncio.ensure_future(case.manager.end_pods())
    await low.told_to.wait()
    await settled()
    assert order == ["low"]
    assert manager.read(tmp_path).start_time
    low.over.set()
    await high.told_to.wait()
    high.over.set()
    await ending
    assert manager.read(tmp_path).end_time
    assert high.ended is not None
    assert (high.ended.reason, high.ended.grace) == ("Terminated", 5)


async def test_meanwhile_the_node_takes_no_pod_until_it_is_off(tmp_path: Path) -> None:
    case = Case(tmp_path)
    assert case.manager.refusal({}) is None
    case.manager.begin()
    case.manager.begin()
    refused = case.manager.refusal({})
    assert refused is not None
    assert (refused.reason, refused.message) == (
        "NodeShutdown",
        "Pod was rejected as the node is shutting down.",
    )
    case.manager.cancel()
    assert case.manager.refusal({}) is None
    assert case.changes == [True, False]
    assert case.recorder.said("NodeShutdown") == [
        "Shutdown manager detected shutdown event",
        "Shutdown manager detected shutdown cancellation",
    ]


async def test_whoever_does_not_end_keeps_the_next_waiting_for_its_time_only(tmp_path: Path) -> None:
    order: list[str] = []
    stuck, high = Worker(order, "stuck"), Worker(order, "high", 5000)
    case = Case(tmp_path, stuck, high)
    case.manager.begin()
    ending = asyncio.ensure_future(case.manager.end_pods())
    await stuck.told_to.wait()
    begun = asyncio.get_running_loop().time()
    await high.told_to.wait()
    assert asyncio.get_running_loop().time() - begun == pytest.approx(20)
    high.over.set()
    await ending


async def test_without_a_time_for_it_pods_are_left_alone(tmp_path: Path) -> None:
    case = Case(tmp_path, Worker([], "x"), periods=())
    case.manager.begin()
    assert not case.manager.shutting_down
    assert case.changes == []


def test_the_status_says_who_ended_the_pod() -> None:
    record = PodRecord(pods.pod(), started_at="2026-01-01T00:00:00Z")
    record.end = End("Terminated", "m", 5, "m")
    record.reason, record.message, record.phase = "Terminated", "m", "Failed"
    status = compute(record, pods.view())
    assert (status["phase"], status["reason"], status["message"]) == ("Failed", "Terminated", "m")
    [found] = [each for each in status["conditions"] if each["type"] == "DisruptionTarget"]
    assert (found["status"], found["reason"], found["message"]) == ("True", "TerminationByKubelet", "m")
    record.end = End("Evicted", "m", 1)
    assert "DisruptionTarget" not in {each["type"] for each in compute(record, pods.view())["conditions"]}
