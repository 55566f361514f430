"""Hearing of changes in directories."""

from __future__ import annotations

import os
from pathlib import Path

from tests.patience import reached
from wellhead.linux.inotify import IN_CREATE, Inotify


def _instances() -> int:
    links = [f"/proc/self/fd/{each}" for each in os.listdir("/proc/self/fd")]
    return sum(os.readlink(each) == "anon_inode:inotify" for each in links if os.path.islink(each))


async def test_all_share_one_instance_and_hear_of_their_own_directories(tmp_path: Path) -> None:
    before, heard = _instances(), list[str]()
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    first, second = Inotify(), Inotify()
    assert _instances() == before + 1
    with (
        first.watch(tmp_path / "a", IN_CREATE, lambda: heard.append("a")),
        second.watch(tmp_path / "b", IN_CREATE, lambda: heard.append("b")),
    ):
        (tmp_path / "b/new").touch()
        await reached(lambda: heard == ["b"])
        first.close()
        (tmp_path / "a/new").touch()
        await reached(lambda: heard == ["b", "a"])
    second.close()
    assert _instances() == before
