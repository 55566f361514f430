"""What a machine sees of the clusters' files: what its own components' command lines name, and nothing else.

Machines share the host's files. A pod that mounts /var/lib from its node must not find the administrator's
key there, nor another node's. So over the directory of all clusters lies a file system of the machine's own,
with copies of the keys and kubeconfigs that its components read, and the directories that they keep state in.
Who may mount on a machine (a privileged pod) can look beneath; that one is root on the host anyway.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from wellhead.linux import mounts
from wellhead.linux.files import write_if_different

_SOURCE = "wellhead"
# Where /run is the machine's own.
_LOCK = Path("/run/wellhead.lock")
_STAGE = Path("/run/wellhead")


@dataclass(frozen=True)
class Belongings:
    """What of the directory `root` a component needs: files that it reads, directories that it writes to."""

    root: Path
    files: tuple[Path, ...] = ()
    directories: tuple[Path, ...] = ()


def of_command_line(root: Path, argv: Iterable[str], directories: Iterable[Path]) -> Belongings:
    """All that the command line names below `root` and that isn't in one of the directories."""
    kept = tuple(directories)
    paths = [Path(each) for each in argv if each.startswith(f"{root}/")]
    files = tuple(path for path in paths if not any(path.is_relative_to(directory) for directory in kept))
    return Belongings(root, files, kept)


def read(belongings: Belongings) -> dict[Path, bytes]:
    """The files' content, as the host has it. Raises OSError."""
    return {path: path.read_bytes() for path in belongings.files}


def seclude(belongings: Belongings, files: dict[Path, bytes]) -> None:
    """Leave this machine (it has been joined) with these files and directories below the root.

    Its components call it one after the other, each with its own; the directories are those of all. Raises
    OSError.
    """
    with _alone():
        if not _is_secluded(belongings):
            _uncover(belongings.root)
            _cover(belongings.root, belongings.directories)
        for path, content in files.items():
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            write_if_different(path, content)


def _is_secluded(belongings: Belongings) -> bool:
    there = mounts.mounts()
    above = [each.source for each in there if each.target == str(belongings.root)]
    targets = {each.target for each in there}
    return above[-1:] == [_SOURCE] and all(str(directory) in targets for directory in belongings.directories)


def _uncover(root: Path) -> None:
    """Take away what is left of ours, and what somebody has put above it, with all that is mounted below."""
    sources = [each.source for each in mounts.mounts() if each.target == str(root)]
    for _ in sources[sources.index(_SOURCE) :] if _SOURCE in sources else ():
        mounts.umount(root, mounts.MNT_DETACH)


def _cover(root: Path, directories: Iterable[Path]) -> None:
    """Build it aside, where the directories can still be reached, and move it into place in one step."""
    _STAGE.mkdir(mode=0o700, exist_ok=True)
    flags = mounts.MS_NOSUID | mounts.MS_NODEV | mounts.MS_NOEXEC
    with contextlib.suppress(OSError):
        mounts.umount(_STAGE, mounts.MNT_DETACH)  # of one that was killed in the middle
    mounts.mount(_SOURCE, _STAGE, "tmpfs", flags, "mode=700")
    for directory in directories:
        place = _STAGE / directory.relative_to(root)
        place.mkdir(mode=0o700, parents=True)
        mounts.mount(directory, place, flags=mounts.MS_BIND | mounts.MS_REC)
    mounts.mount(_STAGE, root, flags=mounts.MS_MOVE)


@contextlib.contextmanager
def _alone() -> Iterator[None]:
    """Without another component of this machine that does the same."""
    descriptor = os.open(_LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
