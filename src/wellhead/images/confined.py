"""A program that reads what strangers made: `-m wellhead.images.confined DIRECTORY LIMIT PARENT NETWORK -- …`

It sees every file system read-only but DIRECTORY, writes no file beyond LIMIT bytes, and dies with PARENT:
whatever an archive talks it into happens in DIRECTORY, which is thrown away. NETWORK is the descriptor of the
network namespace that it is in, or -1 for one of its own with nothing in it.
"""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import sys
from pathlib import Path

from wellhead.linux import mounts, namespaces
from wellhead.linux.syscalls import checked, libc

_MOUNT_SETATTR = 442  # the number on every architecture
_AT_FDCWD, _AT_RECURSIVE = -100, 0x8000
_RDONLY, _NOSUID, _NODEV = 1, 2, 4
_PR_SET_PDEATHSIG = 1


class _Attributes(ctypes.Structure):
    _fields_ = tuple((name, ctypes.c_uint64) for name in ("set", "clear", "propagation", "userns_fd"))


def command(directory: Path, limit: int, program: list[str], network: int = -1) -> list[str]:
    """The command line that runs a program so confined. `network` must be passed on to it."""
    confined = [sys.executable, "-m", __name__, str(directory), str(limit), str(os.getpid()), str(network)]
    return [*confined, "--", *program]


def main() -> None:
    """Confine this process, then become the program. Raises OSError."""
    directory, limit, parent, network, _, *program = sys.argv[1:]
    checked(libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0), "prctl")
    if os.getppid() != int(parent):
        sys.exit("whoever started this is gone")
    if int(network) < 0:
        namespaces.unshare(namespaces.CLONE_NEWNET)
    else:
        namespaces.setns(int(network), namespaces.CLONE_NEWNET)
        os.close(int(network))
    namespaces.unshare(namespaces.CLONE_NEWNS)
    mounts.make_private()
    mounts.mount(directory, directory, flags=mounts.MS_BIND)
    _set_attributes("/", _Attributes(set=_RDONLY), _AT_RECURSIVE)
    _set_attributes(directory, _Attributes(set=_NOSUID | _NODEV, clear=_RDONLY), 0)
    _, most = resource.getrlimit(resource.RLIMIT_FSIZE)
    bound = int(limit) if most == resource.RLIM_INFINITY else min(int(limit), most)
    resource.setrlimit(resource.RLIMIT_FSIZE, (bound, bound))
    os.umask(0o022)
    os.chdir(directory)
    os.execvp(program[0], program)  # noqa: S606 the program is ours


def _set_attributes(path: str, attributes: _Attributes, flags: int) -> None:
    size = ctypes.c_size_t(ctypes.sizeof(attributes))
    call = (_MOUNT_SETATTR, _AT_FDCWD, os.fsencode(path), flags, ctypes.byref(attributes), size)
    checked(libc.syscall(*call), "mount_setattr", path)


if __name__ == "__main__":
    main()
