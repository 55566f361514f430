"""Who gets the resources that running pods ask for, and who waits."""

from __future__ import annotations

from typing import Any

import msgspec

from tests.unit.node import pods
from wellhead.node.pods import resizing, room, status
from wellhead.node.pods.allocation import Allocations
from wellhead.node.pods.record import PodRecord, Resize

NODE = {"cpu": 2000, "memory": 1 << 30, "pods": 110}


class Worker:
    """A pod of a node that asks for `cpu` from the start, and for `wanted` now."""

    def __init__(self, name: str, cpu: str, **spec: Any) -> None:
        self.uid = name
        self.counts = True
        self.state = self
        self.record = PodRecord(self._asking(cpu, 1, spec), containers={"main": pods.running()})
        self.record.allocated = room.asked(self.pod)
        self.record.of("main").resources = dict(self.record.allocated["main"])
        self.view = pods.view()
        self.granted: list[str] = []
        self._spec = spec

    def _asking(self, cpu: str, generation: int, spec: Any) -> dict[str, Any]:
        one = pods.container("main", resources={"requests": {"cpu": cpu}})
        made = pods.pod(one, **spec)
        return made | {"metadata": {**made["metadata"], "uid": self.uid, "generation": generation}}

    @property
    def pod(self) -> dict[str, Any]:
        return self.record.pod

    def ask(self, cpu: str) -> None:
        self.record.pod = self._asking(cpu, self.pod["metadata"]["generation"] + 1, self._spec)

    def grant(self) -> None:
        self.record.allocated, self.record.pending = room.asked(self.pod), None

    def put_off(self, pending: Resize | None) -> None:
        self.record.pending = pending

    async def note(self) -> None:
        pass

    def got(self) -> tuple[str, Resize | None]:
        return self.has, self.record.pending

    @property
    def has(self) -> str:
        return str(self.record.allocated["main"]["requests"]["cpu"])


class Node:
    """Their node."""

    def __init__(self, *workers: Worker) -> None:
        self.workers = workers
        self.saved = 0
        self.allocations = Allocations(NODE, self._others, self._save)

    def _others(self, besides: str) -> list[dict[str, Any]]:
        return [
            room.granted(each.pod, each.record.allocated)
            for each in self.workers
            if each.counts and each.uid != besides
        ]

    def _save(self, work: Any) -> None:
        work.close()
        self.saved += 1

    def ask(self, worker: Any, cpu: str) -> None:
        worker.ask(cpu)
        self.allocations.changed(worker)


def test_what_there_is_room_for_is_granted_at_once() -> None:
    one = Worker("one", "500m")
    node = Node(one)
    node.ask(one, "2")
    assert (one.got(), node.saved) == (("2", None), 1)


def test_what_there_is_no_room_for_waits_until_somebody_goes_or_shrinks() -> None:
    one, two = Worker("one", "500m"), Worker("two", "1")
    node = Node(one, two)
    node.ask(one, "1500m")
    message = "Node didn't have enough resource: cpu, requested: 1500, used: 1000, capacity: 2000"
    assert one.got() == ("500m", Resize(2, "Deferred", message))
    node.ask(two, "500m")
    assert one.got() == ("1500m", None)
    node.ask(two, "1")
    assert two.record.pending is not None
    one.counts = False
    gone: Any = one
    node.allocations.forget(gone)
    assert two.has == "1"


def test_what_the_node_never_has_is_not_waited_for() -> None:
    one = Worker("one", "500m")
    node = Node(one)
    node.ask(one, "3")
    message = "Node didn't have enough capacity: cpu, requested: 3000, capacity: 2000"
    assert one.record.pending == Resize(2, "Infeasible", message)
    node.ask(one, "500m")  # taken back
    assert one.got() == ("500m", None)


def test_the_higher_priority_comes_first_and_who_wants_less_before_all() -> None:
    low, high = Worker("low", "500m"), Worker("high", "500m", priority=10)
    shrinking = Worker("shrinking", "1")
    node = Node(low, high, shrinking)
    node.ask(low, "1")
    node.ask(high, "1")
    assert low.record.pending is not None
    assert high.record.pending is not None
    node.ask(shrinking, "500m")  # room for one of them
    assert (low.has, high.has) == ("500m", "1")


def test_conditions_say_what_is_waited_for_and_what_is_under_way() -> None:
    one = Worker("one", "500m")
    record = one.record
    record.pending = Resize(2, "Deferred", "why")
    record.allocated = {"main": {"requests": {"cpu": "1"}}}
    assert resizing.under_way(record)
    record.progress = Resize(2)
    found = {each["type"]: each for each in status.compute(record, pods.view())["conditions"]}
    pending, progress = found["PodResizePending"], found["PodResizeInProgress"]
    assert [pending[key] for key in ("reason", "message", "observedGeneration")] == ["Deferred", "why", 2]
    assert (progress["status"], progress["observedGeneration"]) == ("True", 2)
    [container] = status.compute(record, pods.view())["containerStatuses"]
    assert container["allocatedResources"] == {"cpu": "1"}
    assert container["resources"] == {"requests": {"cpu": "500m"}}
    record.pod = record.pod | {"status": {"conditions": list(found.values())}}
    record.pending = record.progress = None
    over = [
        each["type"]
        for each in status.compute(record, pods.view())["conditions"]
        if each.get("$patch") == "delete"
    ]
    assert over == ["PodResizePending", "PodResizeInProgress"]


def test_a_resize_that_fails_is_told_once_for_each_reason() -> None:
    record = Worker("one", "500m").record
    assert resizing.fail(record, "too much is in use")
    assert not resizing.fail(record, "too much is in use")
    assert record.progress == Resize(1, "Error", "too much is in use")


def test_events_say_what_was_asked_for() -> None:
    text = resizing.summary(Worker("one", "500m").pod, "Deferred", "why")
    words, _, said = text.partition(": ")
    assert words == "Pod resize Deferred"
    assert msgspec.json.decode(said) == {
        "containers": [{"name": "main", "resources": {"requests": {"cpu": "500m"}}}],
        "generation": 1,
        "error": "why",
    }
