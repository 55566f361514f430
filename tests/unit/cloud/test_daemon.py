"""A process that outlives its starter is found again, also if it wasn't ready when that was killed."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.patience import reached
from wellhead.cloud.daemon import Daemon

_PROGRAM = """
import os, pathlib, signal, socket, sys
directory = pathlib.Path(sys.argv[1])
os.mkfifo(directory / "gate")
(directory / "gate").read_text()
if os.fork() == 0:
    signal.pause()  # as HAProxy's worker: of the same environment
listener = socket.socket(socket.AF_UNIX)
listener.bind(str(directory / "new"))
listener.listen()
(directory / "new").rename(directory / "socket")
signal.pause()
"""


@pytest.fixture
async def started(tmp_path: Path) -> AsyncIterator[int]:
    """One that doesn't listen yet, and whose starter has forgotten it."""
    starter = Daemon("the daemon", tmp_path / "socket", lambda: None)
    await starter.start([sys.executable, "-c", _PROGRAM, os.fspath(tmp_path)])
    pid = starter.pid
    assert pid is not None
    starter.release()
    await reached((tmp_path / "gate").exists)
    try:
        yield pid
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(pid, signal.SIGKILL)
        with contextlib.suppress(ChildProcessError):
            await asyncio.to_thread(os.waitpid, pid, 0)


async def test_one_that_does_not_listen_yet_is_waited_for_and_found(tmp_path: Path, started: int) -> None:
    following = Daemon("the daemon", tmp_path / "socket", lambda: None)
    adopted = asyncio.ensure_future(following.adopt())
    await asyncio.to_thread((tmp_path / "gate").write_text, "go")
    assert await adopted
    assert following.pid == started
    following.release()


async def test_one_that_ends_instead_is_not_waited_for(tmp_path: Path, started: int) -> None:
    os.killpg(started, signal.SIGKILL)
    following = Daemon("the daemon", tmp_path / "socket", lambda: None)
    assert not await following.adopt()  # although nobody has reaped it


async def test_one_that_never_listens_is_ended(
    tmp_path: Path, started: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("wellhead.cloud.daemon._COMING_SECONDS", 0.1)
    following = Daemon("the daemon", tmp_path / "socket", lambda: None)
    assert not await following.adopt()
    _, status = await asyncio.to_thread(os.waitpid, started, 0)
    assert os.waitstatus_to_exitcode(status) == -signal.SIGKILL


async def test_one_with_another_socket_is_somebody_else(tmp_path: Path, started: int) -> None:
    other = Daemon("the daemon", tmp_path / "another", lambda: None)
    assert not await other.adopt()
    os.kill(started, 0)
