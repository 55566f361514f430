"""How one container is kept: what its end means for the next run."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path
from typing import Any

import pytest

from tests.patience import reached
from tests.unit.node import pods
from tests.unit.node.world import World, add_image, world
from wellhead.node.pods import restarting


async def test_what_a_keepers_death_costs_is_a_restart_without_a_delay(tmp_path: Path) -> None:
    here = world(tmp_path, pods.container("main"))
    supervisor = here.supervise()
    for number in range(4):
        await here.until(lambda: here.runs(number))  # noqa: B023 asked here
        here.runtime.end(None)
    await here.until(lambda: here.runs(4))
    assert here.main.delay == 0.0
    assert here.recorder.said("BackOff") == []
    assert len(here.recorder.said("KeeperLost")) == 4
    last = here.main.last
    assert last is not None
    assert (last.exit_code, last.reason, last.lost) == (137, "ContainerStatusUnknown", True)
    here.runtime.end(3)  # its own
    await here.until(lambda: here.runs(5))
    last = here.main.last
    assert last is not None
    assert (last.exit_code, last.lost) == (3, False)
    assert here.main.delay == 10.0
    here.runtime.end(3)
    await here.until(lambda: "main" in here.state.view.waiting)
    assert here.state.view.waiting["main"].reason == "CrashLoopBackOff"
    supervisor.stop(0.0)
    await here.task


async def test_a_pod_that_is_never_restarted_fails_with_its_keeper(tmp_path: Path) -> None:
    here = world(tmp_path, pods.container("main"), restartPolicy="Never")
    here.supervise()
    await here.until(lambda: here.runs(0))
    here.runtime.end(None)
    assert not await here.task
    current = here.main.current
    assert current is not None
    assert "its own exit code is not known" in current.message


async def test_a_sidecar_gets_its_signal_in_its_turn(tmp_path: Path) -> None:
    here = world(tmp_path, pods.container("main"))
    supervisor = here.supervise()
    await here.until(lambda: here.runs(0))
    supervisor.stop(1e6, in_turn=True)
    supervisor.stop(1e6, in_turn=True)
    await reached(lambda: bool(here.recorder.said("Killing")))
    assert here.runtime.signals == []
    supervisor.take_turn()
    await here.task
    assert here.runtime.signals == [signal.SIGTERM]


async def test_a_turn_that_does_not_come_in_time_is_not_waited_for(tmp_path: Path) -> None:
    here = world(tmp_path, pods.container("main"))
    supervisor = here.supervise()
    await here.until(lambda: here.runs(0))
    supervisor.stop(0.0, in_turn=True)
    await here.task
    assert here.runtime.signals == [signal.SIGTERM]


def _with_image(here: World, name: str) -> dict[str, Any]:
    """The pod as it is after somebody has changed its container's image."""
    pod = here.state.pod
    container = {**pod["spec"]["containers"][0], "image": name}
    changed = {**pod, "spec": {**pod["spec"], "containers": [container]}}
    here.state.record.pod = changed
    return changed


@pytest.mark.parametrize("policy", ["Always", "Never"])
async def test_another_image_is_another_run_whatever_the_policy(tmp_path: Path, policy: str) -> None:
    here = world(tmp_path, pods.container("main"), restartPolicy=policy)
    add_image(tmp_path / "images", "busybox:2")
    supervisor = here.supervise()
    await here.until(lambda: here.runs(0))
    supervisor.update(here.state.pod)  # the same
    supervisor.update(_with_image(here, "busybox:2"))
    await here.until(lambda: here.runs(1))
    assert here.recorder.said("Killing") == ["Container main definition changed, will be restarted"]
    assert here.runtime.signals == [signal.SIGTERM]
    assert here.main.current is not None
    assert here.main.current.image == "busybox:2"
    assert here.main.delay == 0.0
    supervisor.stop(5.0)
    await here.task


async def test_an_image_that_changed_while_no_agent_ran_is_noticed(tmp_path: Path) -> None:
    here = world(tmp_path, pods.container("main"))
    add_image(tmp_path / "images", "busybox:2")
    here.supervise()
    await here.until(lambda: here.runs(0))
    here.task.cancel()
    await asyncio.gather(here.task, return_exceptions=True)
    _with_image(here, "busybox:2")
    supervisor = here.supervise()
    await here.until(lambda: here.runs(1))
    supervisor.stop(5.0)
    await here.task


async def test_an_image_that_can_be_had_ends_the_wait_for_one_that_cannot(tmp_path: Path) -> None:
    here = world(tmp_path, pods.container("main", image="nosuch"))
    supervisor = here.supervise()
    for _ in range(3):  # until the pauses are long
        await here.until(lambda: "main" in here.state.view.waiting)
        await asyncio.sleep(0)
    supervisor.update(_with_image(here, "busybox"))
    await here.until(lambda: here.runs(0))
    supervisor.stop(5.0)
    await here.task


async def test_an_image_that_works_ends_the_back_off_of_one_that_does_not(tmp_path: Path) -> None:
    here = world(tmp_path, pods.container("main"))
    add_image(tmp_path / "images", "busybox:2")
    supervisor = here.supervise()
    for number in range(2):
        await here.until(lambda: here.runs(number))  # noqa: B023 asked here
        here.runtime.end(1)
    await here.until(lambda: "main" in here.state.view.waiting)
    supervisor.update(_with_image(here, "busybox:2"))
    await here.until(lambda: here.runs(2))
    supervisor.stop(5.0)
    await here.task


async def test_a_step_of_initialization_is_left_to_finish(tmp_path: Path) -> None:
    here = world(tmp_path, pods.container("main"))
    supervisor = here.supervise(init=True)
    await here.until(lambda: here.runs(0))
    supervisor.update(_with_image(here, "busybox:2"))
    here.runtime.end(0)
    assert await here.task
    assert here.runtime.signals == []


async def test_a_rule_about_an_exit_code_says_what_the_policy_does_not(tmp_path: Path) -> None:
    rules = [
        {"action": "Restart", "exitCodes": {"operator": "In", "values": [42]}},
        {"action": "RestartAllContainers", "exitCodes": {"operator": "NotIn", "values": [0, 1]}},
    ]
    main = pods.container("main", restartPolicy="Never", restartPolicyRules=rules)
    here = world(tmp_path, main, restartPolicy="Never")
    here.supervise()
    await here.until(lambda: here.runs(0))
    here.runtime.end(42)
    await here.until(lambda: here.runs(1))
    here.runtime.end(5)
    assert not await here.task
    assert here.main.current is not None
    assert here.main.current.number == 1


async def test_a_variable_of_a_kind_that_is_not_known_is_said_to_be_so(tmp_path: Path) -> None:
    source = {"newestKeyRef": {"volumeName": "v", "path": "p", "key": "k"}}
    here = world(tmp_path, pods.container("main", env=[{"name": "A", "valueFrom": source}]))
    supervisor = here.supervise()
    await here.until(lambda: "main" in here.state.view.waiting)
    assert here.state.view.waiting["main"].reason == "CreateContainerConfigError"
    text = "Error: valueFrom.newestKeyRef is not supported by the wellhead node agent"
    assert here.recorder.said("Unsupported") == [text]
    supervisor.stop(0.0)
    await here.task


@pytest.mark.parametrize(
    ("said", "sent"),
    [
        ("", signal.SIGQUIT),
        ("SIGUSR1", signal.SIGUSR1),
        ("SIGRTMIN+3", signal.SIGRTMIN + 3),
        ("--all", signal.SIGTERM),
        ("9 x", signal.SIGTERM),
    ],
)
async def test_a_container_is_told_to_stop_by_a_signal_and_nothing_else(
    tmp_path: Path, said: str, sent: int
) -> None:
    main = pods.container("main", lifecycle={"stopSignal": said})
    here = world(tmp_path, main)
    add_image(tmp_path / "images", "busybox", stop_signal="SIGQUIT")
    here.runtime.obeys.add(sent)
    supervisor = here.supervise()
    await here.until(lambda: here.runs(0))
    supervisor.stop(5.0)
    await here.task
    assert here.runtime.signals == [sent]


async def test_what_a_pod_asks_for_acts_on_nobodys_terminal(tmp_path: Path) -> None:
    here = world(tmp_path, pods.container("main", image="evil\x1b[2J"))
    supervisor = here.supervise()
    await here.until(lambda: "main" in here.state.view.waiting)
    message = here.state.view.waiting["main"].message
    assert "evil\\x1b[2J" in message
    assert message.isprintable()
    supervisor.stop(0.0)
    await here.task


def _rule(action: str, *codes: int) -> dict[str, Any]:
    return {"action": action, "exitCodes": {"operator": "In", "values": list(codes)}}


async def test_an_exit_may_restart_all_and_then_this_one_waits_for_it(tmp_path: Path) -> None:
    rules = [_rule("Restart", 7), _rule("RestartAllContainers", 7, 42)]
    here = world(
        tmp_path,
        pods.container("main", restartPolicy="Never", restartPolicyRules=rules),
    )
    asked: list[bool] = []
    here.state.restart_all = lambda: asked.append(True)
    here.supervise()
    await here.until(lambda: here.runs(0))
    here.runtime.end(7)  # the first rule that is about it
    await here.until(lambda: here.runs(1))
    here.runtime.end(42)
    assert not await here.task
    assert asked == [True]
    assert here.main.current is not None
    restarting.mark(here.main.current)
    asked.clear()
    here.supervise()
    await here.until(lambda: here.runs(2))
    here.runtime.end(1)  # no rule is about that
    assert not await here.task
    assert asked == []


async def test_who_is_ended_so_that_all_start_anew_gets_neither_hook_nor_time(tmp_path: Path) -> None:
    hook = {"preStop": {"exec": {"command": ["never"]}}}
    here = world(tmp_path, pods.container("main", lifecycle=hook), terminationGracePeriodSeconds=600)
    supervisor = here.supervise()
    await here.until(lambda: here.runs(0))
    supervisor.kill()
    assert not await here.task
    assert here.runtime.signals == [signal.SIGKILL]
    assert here.recorder.said("FailedPreStopHook") == []
