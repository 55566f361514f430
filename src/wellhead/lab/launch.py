"""Starting a supervisor's program, which `up` does first, and its guardian again when it has died."""

from __future__ import annotations

import fcntl
import os
import socket
import sys
from collections.abc import Sequence
from pathlib import Path

from wellhead.lab import logs, machines, processes, title
from wellhead.lab.cluster import Cluster
from wellhead.linux import signals

MODULE = "wellhead.lab.supervise"
_LISTENER, _LOCK = 3, 4  # the descriptors that it inherits
_NONE = "-1"


def program(cluster: Cluster) -> list[str]:
    """The command line of a cluster's supervisor, but for what it inherits."""
    # -P: else a file called, say, click.py where the user happens to be would be taken for the library.
    return [sys.executable, "-P", "-m", MODULE, cluster.name, str(cluster.root)]


def own_program() -> list[str]:
    """The same of the calling process, which is a supervisor."""
    return [sys.executable, *sys.orig_argv[1:-3]]


def start(
    cluster: Cluster, command: Sequence[str], listener: socket.socket | None, lock: int | None = None
) -> int:
    """Start it in a session of its own, with nothing of ours but these; returns its process number.

    `listener` is the API server's socket, `lock` the descriptor of a file that is locked (see `supervise`).
    Raises OSError.
    """
    output = logs.open_for_append(cluster.supervisor_log)
    null = os.open(os.devnull, os.O_RDONLY)
    passed = {_LISTENER: listener.fileno() if listener else None, _LOCK: lock}
    # Out of the way first: an original may be where the copy of another has to go.
    high = {number: _copy(fd) for number, fd in passed.items() if fd is not None}
    try:
        copies = {0: null, 1: output, 2: output, **high}
        numbers = [str(number) if number in high else _NONE for number in passed]
        scripts = str(Path(sys.executable).parent)
        environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("WELLHEAD_")},
            # Already in the environment it was started with, so that /proc shows it from the first moment.
            processes.CLUSTER: cluster.name,
            processes.COMPONENT: processes.SUPERVISOR,
            "PATH": f"{scripts}:{machines.SYSTEM_PATH}",
            title.PADDING_VARIABLE: title.PADDING,
        }
        return os.posix_spawn(
            sys.executable,
            [*command, *numbers, title.PADDING],
            environment,
            file_actions=[(os.POSIX_SPAWN_DUP2, fd, number) for number, fd in copies.items()],
            setsid=True,
            setsigmask=(),
            setsigdef=signals.DEFAULT,
        )
    finally:
        for fd in (null, output, *high.values()):
            os.close(fd)


def _copy(fd: int) -> int:
    return fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 16)
