"""No file is made, changed, removed or searched for on the agent's event loop: that may take a disk's time.

Python itself tells (sys.addaudithook) what is done, and the hook where.
"""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.node import pods
from tests.unit.node.world import world
from wellhead.linux.inotify import Inotify
from wellhead.node.runtime import execs
from wellhead.node.runtime.containers import Runtime
from wellhead.node.server.log_files import Follower, Options, read

_FILE_WORK = {
    "open",
    "os.chmod",
    "os.chown",
    "os.link",
    "os.listdir",
    "os.mkdir",
    "os.remove",
    "os.rename",
    "os.rmdir",
    "os.scandir",
    "os.symlink",
    "os.truncate",
    "shutil.rmtree",
    "tempfile.mkdtemp",
    "tempfile.mkstemp",
}
_NO_DISK = ("/proc/", "/dev/")
_seen: list[str] | None = None


def _audit(event: str, arguments: tuple[object, ...]) -> None:
    if _seen is None or event not in _FILE_WORK or asyncio._get_running_loop() is None:
        return
    if not (isinstance(arguments[0], str) and arguments[0].startswith(_NO_DISK)):
        _seen.append(f"{event} {arguments[0]}")


@pytest.fixture
def on_the_loop() -> Iterator[list[str]]:
    """What was done with files on an event loop since the fixture was made."""
    global _seen
    if not hasattr(sys, "_wellhead_audited"):
        sys.addaudithook(_audit)
        sys._wellhead_audited = True  # type: ignore[attr-defined]
    _seen = []
    yield _seen
    _seen = None


async def test_the_hook_notices(on_the_loop: list[str], tmp_path: Path) -> None:
    (tmp_path / "x").write_text("x")
    assert on_the_loop == [f"open {tmp_path}/x"]
    await asyncio.to_thread((tmp_path / "y").write_text, "x")
    assert len(on_the_loop) == 1


async def test_a_containers_life(tmp_path: Path, on_the_loop: list[str]) -> None:
    main = pods.container("main", volumeMounts=[{"name": "v", "mountPath": "/v"}])
    here = world(tmp_path, main, volumes=[{"name": "v", "emptyDir": {}}])
    on_the_loop.clear()
    await here.state.volumes.prepare(here.state.pod)
    supervisor = here.supervise()
    await here.until(lambda: here.runs(0))
    here.runtime.end(None)
    await here.until(lambda: here.runs(1))
    supervisor.stop(5.0)
    await here.task
    await here.state.volumes.remove()
    assert here.runtime.signals == [signal.SIGTERM]
    assert on_the_loop == []


async def test_a_command_in_a_container(tmp_path: Path, on_the_loop: list[str]) -> None:
    crun = tmp_path / "crun"
    crun.write_text(
        '#!/bin/sh\nwhile [ "$1" != --pid-file ]; do shift; done\necho $$ > "$2"; echo said; exit 3\n'
    )
    crun.chmod(0o755)
    bundle = tmp_path / "bundle"
    bundle.mkdir()
    (bundle / "config.json").write_text('{"process": {"env": []}}')
    runtime = Runtime(tmp_path / "run")
    runtime._crun = str(crun)
    on_the_loop.clear()
    result = await execs.run(runtime, "id", bundle, ("true",))
    assert (result.code, result.output) == (3, "said\n")
    # Its number, which crun has just written.
    assert {each for each in on_the_loop if not each.endswith("/pid")} == set()
    assert [path.name for path in bundle.iterdir()] == ["config.json"]


async def test_a_log_that_is_read(tmp_path: Path, on_the_loop: list[str]) -> None:
    (tmp_path / "0.log").write_text("2026-01-01T00:00:00Z stdout F x\n" * 10)
    inotify = Inotify()
    on_the_loop.clear()
    follower = Follower(tmp_path / "0.log", lambda: True)
    text = b"".join([piece async for piece in read(follower, Options(tail=3, follow=True), inotify)])
    assert text == b"x\n" * 3
    inotify.close()
    assert on_the_loop == []
