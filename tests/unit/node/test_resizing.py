"""Resources of a running pod: limits as the kernel takes them, what restarts, what can't be had."""

from __future__ import annotations

import asyncio
import errno
from pathlib import Path
from typing import Any

import pytest

from tests.patience import pass_time
from tests.unit.node.world import World
from wellhead.api.meta import Obj
from wellhead.node.pods import resizing, room
from wellhead.node.pods.status import compute
from wellhead.node.pods.whole import Whole
from wellhead.node.runtime.cgroups import Cgroups, Limits


@pytest.mark.parametrize(
    ("resources", "limits"),
    [
        ({}, None),
        ({"limits": {"ephemeral-storage": "1Gi"}}, None),
        ({"requests": {"cpu": "100m"}}, Limits(None, None, 102)),
        ({"limits": {"cpu": "1", "memory": "1Mi"}}, Limits(1 << 20, 1000, 1024)),
        ({"limits": {"cpu": "500m"}, "requests": {"cpu": "0"}}, Limits(None, 500, 2)),
    ],
)
def test_limits_are_the_kubelets(resources: Obj, limits: Limits | None) -> None:
    assert Limits.of(resources) == limits


def test_a_quota_is_never_less_than_the_kernel_takes() -> None:
    assert Limits(cpu=1).quota == 1000
    assert Limits(cpu=1500).quota == 150_000


@pytest.mark.parametrize("unified", [True, False])
def test_the_kernels_files(tmp_path: Path, unified: bool) -> None:
    roots = {"": tmp_path} if unified else {each: tmp_path / each for each in ("cpu", "memory")}
    for root in roots.values():
        root.mkdir(exist_ok=True)
    cgroups = Cgroups(roots, unified)
    made = cgroups.make("x", Limits(1 << 20, 500, 1024))
    assert set(made) == set(roots)
    names = ("cpu.max", "memory.max") if unified else ("cpu.cfs_quota_us", "memory.limit_in_bytes")
    read = [(made[""] if unified else made[name.partition(".")[0]]) / name for name in names]
    assert [path.read_text() for path in read] == ["50000 100000" if unified else "50000", str(1 << 20)]
    assert not cgroups.killed("x")
    events = "memory.events" if unified else "memory.oom_control"
    ((made[""] if unified else made["memory"]) / events).write_text("oom 2\noom_kill 1\n")
    assert cgroups.killed("x")
    assert cgroups.left() == {"x"}


def test_memory_in_use_is_not_taken_back_by_killing(tmp_path: Path) -> None:
    cgroups = Cgroups({"": tmp_path}, True)
    made = cgroups.make("x", Limits(1 << 20))
    (made[""] / "memory.current").write_text("900000\n")
    cgroups.apply("x", Limits(900_000))
    with pytest.raises(OSError, match="900000 bytes of memory are in use, more than 899999"):
        cgroups.apply("x", Limits(899_999))
    assert (made[""] / "memory.max").read_text() == "900000"


def container(policy: str = "NotRequired", **requests: str) -> Obj:
    policies = [{"resourceName": "memory", "restartPolicy": policy}]
    return {"name": "main", "image": "busybox", "resizePolicy": policies, "resources": {"requests": requests}}


def pod(one: Obj, version: str = "1") -> Obj:
    metadata = {"name": "p", "namespace": "n", "uid": "u", "resourceVersion": version}
    return {"metadata": metadata, "spec": {"containers": [one], "restartPolicy": "Always"}}


def test_what_changes_and_what_restarts_for_it() -> None:
    old, new = container(cpu="1", memory="1Mi"), container(cpu="2", memory="1024Ki")
    assert resizing.changed(old["resources"], new["resources"]) == {"cpu"}
    assert not resizing.must_restart(container("RestartContainer"), {"cpu"})
    assert resizing.must_restart(container("RestartContainer"), {"memory"})


def test_what_the_node_never_has_is_said() -> None:
    assert not resizing.beyond(pod(container(cpu="1")), {"cpu": 2000})
    assert "requested: 3000, capacity: 2000" in resizing.beyond(pod(container(cpu="3")), {"cpu": 2000})


@pytest.mark.parametrize("policy", ["NotRequired", "RestartContainer"])
async def test_a_running_container_is_resized_in_place_or_anew(tmp_path: Path, policy: str) -> None:
    first = container(policy, memory="1Mi") | {"command": ["x"]}
    world = World(tmp_path, pod(first))
    supervisor = world.supervise()
    record = world.state.record.of("main")
    await world.until(lambda: record.current is not None and record.current.running)
    resized = pod(container(policy, memory="2Mi") | {"command": ["x"]}, "2")
    world.state.record.pod = resized
    world.state.record.allocated = room.asked(resized)
    supervisor.update(resized)
    await world.until(
        lambda: (
            record.resources == {"requests": {"memory": "2Mi"}}
            and record.current is not None
            and record.current.running
        )
    )
    restarts = record.current.number if record.current else -1
    assert restarts == (0 if policy == "NotRequired" else 1)
    assert len(world.runtime.resized) == (1 if policy == "NotRequired" else 0)
    [status] = compute(world.state.record, world.state.view)["containerStatuses"]
    assert status["resources"] == {"requests": {"memory": "2Mi"}}
    assert status["allocatedResources"] == {"memory": "2Mi"}
    world.task.cancel()


async def test_who_is_killed_for_want_of_memory_is_said_to_be(tmp_path: Path) -> None:
    world = World(tmp_path, pod(container(memory="1Mi") | {"command": ["x"]}))
    world.supervise()
    record = world.state.record.of("main")
    await world.until(lambda: record.current is not None and record.current.running)
    world.runtime.hungry.add(world.runtime.created[-1].id)
    world.runtime.end(137)
    found: Any = record
    await world.until(lambda: found.current.reason == "OOMKilled")
    world.task.cancel()


@pytest.mark.parametrize("of", ["a container", "the pod"])
async def test_a_resize_that_fails_after_one_that_went_well_is_tried_again_soon(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, of: str
) -> None:
    world = World(tmp_path, pod(container(memory="1Mi")))
    tried: list[float] = []

    async def resize(*_: object) -> None:
        tried.append(asyncio.get_running_loop().time())
        if len(tried) not in (9, 11):
            raise OSError(errno.EBUSY, "too much is in use")

    supervisor = world.supervise()
    await world.until(lambda: world.runs(0))
    if of == "a container":
        monkeypatch.setattr(world.runtime, "resize", resize)
    else:
        monkeypatch.setattr(Whole, "_apply", resize)
    whole = Whole(world.state)
    running = asyncio.ensure_future(whole.run()) if of == "the pod" else None

    async def ask(memory: str, tries: int) -> None:
        resized = pod(container(memory=memory), memory)
        world.state.record.pod = resized
        world.state.record.allocated = room.asked(resized)
        whole.update()
        if of == "a container":
            supervisor.update(resized)
        while len(tried) < tries:
            await pass_time(1)

    await ask("2Mi", 9)
    await ask("3Mi", 11)
    assert tried[8] - tried[7] > 20.0
    assert tried[10] - tried[9] < 5.0
    if running is not None:
        running.cancel()
    supervisor.stop(0.0)
    await world.task
