"""What a container leaves running that shares its process namespace with others.

Elsewhere the kernel ends everything with a container's first process. Here nothing does: what is left is
found by the mount namespace, which no other container has. Source: kill(2), namespaces(7); containerd does
the same for sandboxes whose processes are shared.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
from pathlib import Path

from wellhead.linux import namespaces, proc

_FILE = "mounts"
_ROUNDS = 64  # a process may be forking while it is being looked for
_SETTLES = 0.005  # seconds that the killed get


def note(bundle: Path, pid: int) -> None:
    """Remember whose processes are the container's, while its first one is there. Raises OSError."""
    found = namespaces.identity(f"/proc/{pid}/ns/mnt")
    (bundle / _FILE).write_text("" if found is None else " ".join(map(str, found)))


def end(bundle: Path) -> None:
    """Kill all that is left, if the container is one of which something can be. Blocks."""
    path = bundle / _FILE
    try:
        mine = path.read_text().split()
    except OSError:
        return
    for _ in range(_ROUNDS if mine else 0):
        if not (left := _processes(mine)):
            break
        for pid in left:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(_SETTLES)
    path.unlink(missing_ok=True)


def _processes(mounts: list[str]) -> list[int]:
    found = []
    for pid in proc.pids():
        identity = namespaces.identity(f"/proc/{pid}/ns/mnt")
        if identity is not None and [str(each) for each in identity] == mounts:
            found.append(pid)
    return found
