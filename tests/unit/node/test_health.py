"""Whether the agent can do its work, and what the Node says of it."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, cast

import pytest

from tests.patience import pass_time
from wellhead.api.meta import Obj
from wellhead.health import Check
from wellhead.images.store import ImageStore
from wellhead.node.health import DISK, RUNTIME, NodeHealth, write
from wellhead.node.network.restoring import Restoring
from wellhead.node.node_status import NodeFacts, conditions
from wellhead.node.runtime.commands import CommandFailed


class _Machine:
    """A disk and a runtime that can be broken."""

    def __init__(self, *network: Check) -> None:
        self.disk: OSError | None = None
        self.runtime: CommandFailed | None = None
        self.hangs = asyncio.Event()
        self.hangs.set()
        self.changes = 0
        self.health = NodeHealth({DISK: self._write, RUNTIME: self._list}, network, self._changed)

    async def _write(self) -> None:
        await self.hangs.wait()
        if self.disk is not None:
            raise self.disk

    async def _list(self) -> None:
        if self.runtime is not None:
            raise self.runtime

    def _changed(self) -> None:
        self.changes += 1

    def conditions(self) -> dict[str, Obj]:
        facts = NodeFacts(
            name="node-1",
            internal_ips=(),
            external_ips=(),
            pod_cidrs=(),
            kubelet_port=10250,
            images=cast(ImageStore, None),
            root=Path("/"),
            ready=self.health.ready,
            disk=lambda: self.health.problems().get(DISK, ""),
        )
        return {each["type"]: each for each in conditions(facts, {})}


@contextlib.asynccontextmanager
async def _running(work: Any) -> AsyncIterator[None]:
    task = asyncio.ensure_future(work.run())
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def test_a_node_that_can_work_is_ready() -> None:
    machine = _Machine()
    async with _running(machine.health):
        await pass_time(600)
        assert machine.conditions()["Ready"]["status"] == "True"
        assert machine.conditions()["DiskPressure"]["status"] == "False"
        assert machine.changes == 0


async def test_a_full_disk_makes_it_not_ready_and_says_why_until_there_is_room() -> None:
    machine = _Machine()
    async with _running(machine.health):
        await pass_time(30)
        machine.disk = OSError("No space left on device")
        await pass_time(50)
        found = await asyncio.to_thread(machine.conditions)  # where the status is made
        assert (found["Ready"]["status"], found["Ready"]["reason"]) == ("False", "KubeletNotReady")
        assert found["Ready"]["message"].endswith(": No space left on device")
        assert found["DiskPressure"]["status"] == "True"
        assert machine.changes == 1
        machine.disk = None
        await pass_time(20)
        assert machine.conditions()["Ready"]["status"] == "True"
        assert machine.conditions()["DiskPressure"]["status"] == "False"
        assert machine.changes == 2


async def test_a_single_failure_says_nothing() -> None:
    machine = _Machine()
    async with _running(machine.health):
        machine.runtime = CommandFailed("crun", 1, "try again")
        await pass_time(15)
        machine.runtime = None
        await pass_time(60)
        assert machine.changes == 0


async def test_a_disk_that_hangs_is_as_bad_as_a_full_one_and_no_second_attempt_waits() -> None:
    machine = _Machine()
    async with _running(machine.health):
        await pass_time(5)
        machine.hangs.clear()
        await pass_time(60)
        ready, message = machine.health.ready()
        assert not ready
        assert message.startswith("the disk takes no write for ")
        await pass_time(300)
        [stuck] = [each for each in machine.health.checks() if each.mortal and each.name == "disk-busy"]
        assert stuck.problem(asyncio.get_running_loop().time())
        machine.hangs.set()
        await pass_time(15)
        assert machine.health.ready()[0]


async def test_rules_that_cannot_be_put_back_make_it_not_ready() -> None:
    broken = True

    async def restore() -> str:
        if broken:
            raise OSError("nft refuses")
        return ""

    rules = Restoring("rules", restore, lambda _: None)
    machine = _Machine(*rules.checks())
    async with _running(rules), _running(machine.health):
        rules.disturbed()
        await pass_time(60)
        ready, message = machine.health.ready()
        assert not ready
        assert message.startswith("rules are not as they should be for ")
        assert message.endswith(": nft refuses")
        broken = False
        await pass_time(20)
        assert machine.health.ready()[0]


async def test_a_directory_that_takes_writes_keeps_nothing_of_them(tmp_path: Path) -> None:
    await write(tmp_path)
    assert os.listdir(tmp_path) == []
    with pytest.raises(OSError, match="No such file"):
        await write(tmp_path / "gone")
