"""What the eviction manager does: whom it ends, in what order, with what words, and whom it refuses."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.patience import pass_time
from tests.unit.node import pods
from tests.unit.node.world import Recorder, World
from wellhead.node import configuration
from wellhead.node.configuration import Eviction
from wellhead.node.eviction import manager as manager_module
from wellhead.node.eviction.manager import EvictionManager
from wellhead.node.eviction.ranking import Used
from wellhead.node.eviction.thresholds import MEMORY, Observation, parse
from wellhead.node.pods.record import End

GIB = 1 << 30


class Worker:
    """A pod that ends as soon as it is told."""

    def __init__(self, directory: Path, uid: str, **spec: Any) -> None:
        pod = pods.pod(**spec)
        pod["metadata"] |= {"uid": uid, "name": uid}
        self.uid = uid
        self.world = World(directory / uid, pod)
        self.state = self.world.state
        self.state.record.started_at = "2026-01-01T00:00:00Z"
        self.counts, self.ending = True, False
        self.ended: End | None = None

    async def end(self, end: End) -> None:
        self.ended, self.ending = end, True

    async def gone(self) -> None:
        pass


class Case:
    def __init__(self, monkeypatch: pytest.MonkeyPatch, *workers: Worker, **fields: Any) -> None:
        self.available = 5 * GIB
        self.recorder = Recorder()
        recorder: Any = self.recorder
        fields.setdefault("thresholds", parse({MEMORY: "100Mi"}, {}, {}, {}))
        config = Eviction(transition=0, **fields)
        listed: Any = list(workers)
        self.manager = EvictionManager("node-1", (Path(), Path()), config, recorder, lambda: listed)
        self.used: dict[str, Used] = {}
        monkeypatch.setattr(
            manager_module, "observe", lambda *_: {MEMORY: Observation(self.available, 10 * GIB)}
        )
        monkeypatch.setattr(manager_module, "_used", lambda *_: self.used)


async def test_one_pod_goes_at_a_time_while_memory_is_short(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small, large = Worker(tmp_path, "small"), Worker(tmp_path, "large")
    system = Worker(tmp_path, "system", priority=2_000_001_000)
    case = Case(monkeypatch, small, large, system)
    case.used = {"small": Used(memory=1), "large": Used(memory=GIB), "system": Used(memory=9 * GIB)}
    changes: list[frozenset[str]] = []
    case.manager.changed = lambda: changes.append(case.manager.conditions)
    assert not await case.manager.look()
    case.available = 1 << 20
    assert await case.manager.look()
    assert (small.ending, large.ending, system.ending) == (False, True, False)
    assert large.ended is not None
    assert large.ended.reason == "Evicted"
    assert large.ended.disruption == large.ended.message
    assert large.ended.message.startswith("The node was low on resource: memory. Threshold quantity: 100Mi")
    assert large.ended.grace == 1
    assert await case.manager.look()
    assert small.ending
    assert not await case.manager.look()
    assert not system.ending
    case.available = 5 * GIB
    await pass_time(10)
    await case.manager.look()
    assert changes == [{"MemoryPressure"}, frozenset()]
    assert case.recorder.said("NodeHasSufficientMemory") == [
        "Node node-1 status is now: NodeHasSufficientMemory"
    ]
    assert case.recorder.said("EvictionThresholdMet") == ["Attempting to reclaim memory"] * 3


async def test_a_soft_threshold_leaves_pods_their_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    patient = Worker(tmp_path, "patient", terminationGracePeriodSeconds=50)
    document: dict[str, Any] = {"apiVersion": configuration.API_VERSION, "kind": configuration.KIND}
    document["evictionHard"] = {}
    document |= {
        "evictionSoft": {MEMORY: "1Gi"},
        "evictionSoftGracePeriod": {MEMORY: "1ns"},
        "evictionMaxPodGracePeriod": 40,
    }
    soft = configuration.parse(document).eviction.thresholds
    case = Case(monkeypatch, patient, thresholds=soft, longest_grace=40)
    case.available = 1 << 20
    await case.manager.look()
    await pass_time(10)
    assert await case.manager.look()
    assert patient.ended is not None
    assert patient.ended.grace == 40


async def test_who_would_be_the_next_to_go_is_not_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    case = Case(monkeypatch)
    best_effort = pods.pod()
    asks = {"resources": {"requests": {"memory": "1Mi"}}}
    burstable = pods.pod(pods.container("main", **asks))
    system = pods.pod(priority=2_000_000_000)
    taint = {"key": "node.kubernetes.io/memory-pressure", "operator": "Exists", "effect": "NoSchedule"}
    tolerant = pods.pod(tolerations=[taint])
    assert case.manager.refusal(best_effort) is None
    case.available = 1 << 20
    await case.manager.look()
    refused = case.manager.refusal(best_effort)
    assert refused is not None
    assert (refused.reason, refused.message) == ("Evicted", "The node had condition: [MemoryPressure]. ")
    for taken in (burstable, system, tolerant):
        assert case.manager.refusal(taken) is None


async def test_who_takes_more_of_the_disk_than_it_may_goes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    limited = [{"name": "v", "emptyDir": {"sizeLimit": "64Ki"}}]
    over, within = (Worker(tmp_path, uid, volumes=limited) for uid in ("over", "within"))
    free = Worker(tmp_path, "free", volumes=[{"name": "v", "emptyDir": {}}])
    for worker, kibibytes in ((over, 128), (within, 8), (free, 512)):
        place = worker.state.volumes.path(worker.state.pod["spec"]["volumes"][0])
        place.mkdir(parents=True)
        (place / "f").write_bytes(b"x" * (kibibytes << 10))
    case = Case(monkeypatch, over, within, free)
    assert await case.manager.look_at_pods()
    assert (over.ending, within.ending, free.ending) == (True, False, False)
    assert over.ended == End("Evicted", 'Usage of EmptyDir volume "v" exceeds the limit "64Ki". ', 1.0)
    assert case.manager.evictions == {"emptydirfs.limit": 1}


async def test_where_nobody_has_a_limit_nobody_is_looked_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    case = Case(monkeypatch, Worker(tmp_path, "free"))
    assert not await case.manager.look_at_pods()
