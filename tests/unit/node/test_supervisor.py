"""How one container is kept: what its end means for the next run."""

from __future__ import annotations

from pathlib import Path

from tests.unit.node import pods
from tests.unit.node.world import world


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
