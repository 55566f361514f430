"""Programs that are started from the event loop."""

from __future__ import annotations

import asyncio
import errno
import os
import signal
from pathlib import Path

import pytest

from tests.patience import reached
from wellhead.linux import programs


def _descriptors() -> set[str]:
    return set(os.listdir("/proc/self/fd"))


async def test_its_exit_code_and_what_it_said_on_both_streams() -> None:
    done = await programs.run("sh", "-c", "echo out; echo err >&2; exit 3")
    assert done == (3, b"out\n", b"err\n")


async def test_more_than_a_pipe_holds_comes_whole() -> None:
    done = await programs.run("head", "-c", "1000000", "/dev/zero")
    assert done.output == bytes(1_000_000)


async def test_a_signal_that_ended_it_is_a_negative_code() -> None:
    assert (await programs.run("sh", "-c", "kill -TERM $$")).code == -signal.SIGTERM


async def test_without_input_it_reads_the_end() -> None:
    assert (await programs.run("cat")).output == b""


async def test_a_missing_program_is_an_error_and_leaves_no_descriptor() -> None:
    before = _descriptors()
    with pytest.raises(FileNotFoundError):
        await programs.run("/there/is/none")
    assert _descriptors() == before


async def test_one_that_cannot_be_watched_is_not_left_running(monkeypatch: pytest.MonkeyPatch) -> None:
    before, started = _descriptors(), list[int]()

    def none_left(pid: int) -> int:
        started.append(pid)
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr(os, "pidfd_open", none_left)
    with pytest.raises(OSError, match="Too many open files"):
        await programs.run("sleep", "600")
    assert str(started[0]) not in os.listdir("/proc")
    assert _descriptors() == before


async def test_a_cancelled_one_is_gone_and_leaves_no_descriptor(tmp_path: Path) -> None:
    before, said = _descriptors(), tmp_path / "pid"
    task = asyncio.create_task(programs.run("sh", "-c", f"echo $$ >{said}; exec sleep 600"))
    await reached(lambda: said.exists() and said.read_text().endswith("\n"))
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert said.read_text().strip() not in os.listdir("/proc")
    assert _descriptors() == before


async def test_killing_one_that_has_ended_is_no_error() -> None:
    program = programs.start("true")
    assert await program.wait() == 0
    program.kill()


async def test_one_that_nobody_waits_for_is_reaped() -> None:
    program = programs.start("true")
    await reached(lambda: str(program.pid) not in os.listdir("/proc"))
    assert program.ended
