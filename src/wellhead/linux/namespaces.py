"""Namespaces: leave the ones a thread is in, join others, keep one alive by a bind mount.

Sources: namespaces(7), unshare(2), setns(2). All of these act on the *calling thread*. A mount namespace can
be joined only by a thread that shares its root and working directory with no other (so, in a program with
threads, after `unshare(CLONE_FS)`); a pid namespace takes effect for children.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from wellhead.linux import mounts
from wellhead.linux.syscalls import checked, libc

T = TypeVar("T")

CLONE_FS = 0x00000200
CLONE_NEWNS = 0x00020000
CLONE_NEWCGROUP = 0x02000000
CLONE_NEWUTS = 0x04000000
CLONE_NEWIPC = 0x08000000
CLONE_NEWUSER = 0x10000000
CLONE_NEWPID = 0x20000000
CLONE_NEWNET = 0x40000000

KINDS = {
    "mnt": CLONE_NEWNS,
    "cgroup": CLONE_NEWCGROUP,
    "uts": CLONE_NEWUTS,
    "ipc": CLONE_NEWIPC,
    "user": CLONE_NEWUSER,
    "pid": CLONE_NEWPID,
    "net": CLONE_NEWNET,
}
"""The names under /proc/PID/ns and their CLONE_ flags."""

_NSFS_MAGIC = 0x6E736673


def unshare(flags: int) -> None:
    """Give the calling thread new namespaces of the kinds in `flags`."""
    checked(libc.unshare(flags), "unshare")


def setns(fd: int, flags: int = 0) -> None:
    """Join the namespace of `fd` (0: of any kind), or those of the process of a pidfd that `flags` names."""
    checked(libc.setns(fd, flags), "setns")


def join(pid: int, flags: int) -> None:
    """Join the namespaces of process `pid` that `flags` names, all in one step.

    Raises:
        ProcessLookupError: the process is gone.
    """
    fd = os.pidfd_open(pid)
    try:
        setns(fd, flags)
    finally:
        os.close(fd)


def sethostname(name: str) -> None:
    """Set the host name in the calling thread's UTS namespace."""
    encoded = name.encode()
    checked(libc.sethostname(encoded, len(encoded)), "sethostname")


def identity(path: str | Path) -> tuple[int, int] | None:
    """(device, inode) of the namespace at `path`; None if no namespace is there (any more)."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        info = os.fstat(fd)
        if not stat.S_ISREG(info.st_mode) or not mounts.is_filesystem(fd, _NSFS_MAGIC):
            return None
        return info.st_dev, info.st_ino
    finally:
        os.close(fd)


@contextmanager
def inside(path: str | Path, flags: int = 0) -> Iterator[None]:
    """Do something in another network, UTS, IPC or cgroup namespace, and come back.

    For a thread that nobody else needs meanwhile; not for code that awaits. A thread that can't come back
    ends the process, since everything it did afterwards would be in the wrong place.
    """
    kind = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        home = {
            name: os.open(f"/proc/thread-self/ns/{name}", os.O_RDONLY | os.O_CLOEXEC)
            for name in ("net", "uts", "ipc", "cgroup")
        }
        try:
            setns(kind, flags)
            try:
                yield
            finally:
                try:
                    for fd in home.values():
                        setns(fd)
                except OSError:
                    os.abort()
        finally:
            for fd in home.values():
                os.close(fd)
    finally:
        os.close(kind)


def in_new_thread(work: Callable[[], T]) -> T:
    """Run `work` in a thread of its own, which ends with it: what it unshares or joins ends too.

    Blocks until it is done; its exception is raised here.
    """
    results: list[T] = []
    errors: list[BaseException] = []

    def run() -> None:
        try:
            results.append(work())
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=run, name="namespace")
    thread.start()
    thread.join()
    if errors:
        raise errors[0]
    return results[0]


def pin(kinds: dict[str, Path], prepare: Callable[[], None] | None = None) -> None:
    """Make new namespaces and keep each alive by a bind mount at its path, without a process in them.

    `kinds` maps names of `KINDS` (net, uts, ipc or cgroup) to files that are created here; their directories
    exist. `prepare` is called inside the new namespaces first. After an error nothing is left mounted.
    """
    flags = 0
    for kind in kinds:
        flags |= KINDS[kind]

    def work() -> None:
        unshare(flags)
        if prepare is not None:
            prepare()
        done: list[Path] = []
        try:
            for kind, path in kinds.items():
                path.touch()
                mounts.mount(f"/proc/thread-self/ns/{kind}", path, flags=mounts.MS_BIND)
                done.append(path)
        except OSError:
            for path in done:
                mounts.umount(path, mounts.MNT_DETACH)
            raise

    in_new_thread(work)


IDS = 65536
"""How many users and groups a namespace of `pin_with_users` has."""


def pin_with_users(kinds: dict[str, Path], first: int, prepare: Callable[[], None] | None = None) -> None:
    """As `pin`, but with a new user namespace (`kinds` has it), to which the others belong.

    Its users and groups, from 0 on, are those from `first` on of the namespace that we are in. Blocks. Raises
    OSError: the kernel doesn't allow it.
    """
    # A process with threads can't make one for itself.
    options = [f"--{kind}" for kind in kinds]
    with subprocess.Popen(
        ["unshare", *options, "cat"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={"PATH": os.defpath, "LC_ALL": "C"},
    ) as holder:
        assert holder.stdin is not None
        assert holder.stdout is not None
        assert holder.stderr is not None
        try:
            with contextlib.suppress(BrokenPipeError):
                holder.stdin.write(b"\n")
                holder.stdin.flush()
            if not holder.stdout.readline():  # it says back what it hears once it is in them
                raise OSError(errno.EPERM, holder.stderr.read().decode().strip() or "unshare failed")
            for ids in ("uid_map", "gid_map"):
                Path(f"/proc/{holder.pid}/{ids}").write_text(f"0 {first} {IDS}\n")
            _pin_of(holder.pid, kinds, prepare)
        finally:
            holder.kill()


def _pin_of(pid: int, kinds: dict[str, Path], prepare: Callable[[], None] | None) -> None:
    done: list[Path] = []
    try:
        for kind, path in kinds.items():
            path.touch()
            mounts.mount(f"/proc/{pid}/ns/{kind}", path, flags=mounts.MS_BIND)
            done.append(path)
        if prepare is not None:
            with inside(kinds["uts"], CLONE_NEWUTS):
                prepare()
    except OSError:
        for path in done:
            mounts.umount(path, mounts.MNT_DETACH)
        raise
