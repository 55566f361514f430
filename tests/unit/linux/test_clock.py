"""Who waits for a time of day hears of the clock being set."""

from __future__ import annotations

import asyncio
import errno
import os

import pytest

from wellhead.linux import clock, syscalls


async def test_a_setting_is_heard_and_the_timer_armed_again(monkeypatch: pytest.MonkeyPatch) -> None:
    reading, writing = os.pipe()
    heard = asyncio.Event()
    armed: list[int] = []

    def arm(*_: object) -> int:
        armed.append(1)
        return 0

    def read(fd: int, size: int) -> bytes:
        os.readv(fd, [bytearray(size)])
        raise OSError(errno.ECANCELED, "the clock was set")

    # Nobody sets this machine's clock for a test: a pipe stands in for the kernel's timer.
    monkeypatch.setattr(syscalls.libc, "timerfd_create", lambda *_: reading, raising=False)
    monkeypatch.setattr(syscalls.libc, "timerfd_settime", arm, raising=False)
    monkeypatch.setattr(os, "read", read)
    with clock.hearing_of_settings(heard.set):
        os.write(writing, bytes(8))
        await heard.wait()
        assert len(armed) == 2
    os.close(writing)
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(reading)


async def test_the_kernel_takes_the_timer() -> None:
    with clock.hearing_of_settings(lambda: None):
        pass
