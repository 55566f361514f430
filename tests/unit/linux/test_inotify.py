"""Hearing of changes in directories."""

from __future__ import annotations

import ctypes
import errno
import os
from pathlib import Path

import pytest

from tests.patience import reached
from wellhead.linux import inotify, sysctls
from wellhead.linux.facts import Key
from wellhead.linux.inotify import IN_CREATE, Inotify, UsedUp


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


async def test_writes_to_settings_are_heard_by_the_same_instance(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = sysctls.key("net/a"), sysctls.key("net/b")
    (tmp_path / "sys/net").mkdir(parents=True)
    for name in "ab":
        (tmp_path / "sys/net" / name).write_text("0")
    monkeypatch.setattr(sysctls, "file_of", lambda fact: tmp_path / "sys" / str(fact[1]))
    before, heard = _instances(), list[Key]()
    shared, writes = Inotify(), sysctls.Writes(heard.append)
    assert _instances() == before + 1
    writes.listen("mine", [first, sysctls.key("net/missing"), ("link", "eth0", "up")])
    writes.listen("yours", [second])
    (tmp_path / "sys/net/b").write_text("1")
    await reached(lambda: second in heard)
    writes.forget("yours")
    (tmp_path / "sys/net/a").write_text("1")
    await reached(lambda: first in heard)
    writes.close()
    shared.close()
    assert _instances() == before


def test_who_has_none_left_is_told_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "max_user_instances").write_text("128\n")
    (tmp_path / "max_user_watches").write_text("8192\n")
    monkeypatch.setattr(inotify, "_LIMITS", tmp_path)

    class Refusing:
        def inotify_init1(self, *_: object) -> int:
            ctypes.set_errno(errno.EMFILE)
            return -1

        def inotify_add_watch(self, *_: object) -> int:
            ctypes.set_errno(errno.ENOSPC)
            return -1

    monkeypatch.setattr(inotify, "libc", Refusing())
    with pytest.raises(UsedUp, match=r"all 128 that fs\.inotify\.max_user_instances allows: end some "):
        inotify.open_instance()
    with pytest.raises(UsedUp, match=r"/etc: .*`sysctl fs\.inotify\.max_user_watches=32768`"):
        inotify.add_watch(3, Path("/etc"), IN_CREATE)
