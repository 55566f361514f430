"""The supervisor's program: `python -m wellhead.lab.supervise NAME ROOT LISTEN-FD LOCK-FD PADDING`.

`up` starts it, or its predecessor's guardian does. LISTEN-FD is the API server's listening socket, or -1 when
an API server that runs has it. LOCK-FD holds the supervisor's lock, or is -1 when it is to be taken.
"""

from __future__ import annotations

import fcntl
import gc
import logging
import os
import socket
import sys
from pathlib import Path
from typing import TextIO

from wellhead import component
from wellhead.lab import processes, title
from wellhead.lab.cluster import Cluster, LabError
from wellhead.lab.design import design
from wellhead.lab.supervisor import Supervisor
from wellhead.linux import signals


def hold_lock(cluster: Cluster, inherited: int = -1) -> TextIO | None:
    """Become the one supervisor of this cluster; None if there is one. Closing the file lets go.

    A guardian has taken the lock already, and passes on the open file that holds it.
    """
    if inherited >= 0:
        os.set_inheritable(inherited, False)
        return os.fdopen(inherited, "a")
    cluster.logs.mkdir(mode=0o700, parents=True, exist_ok=True)
    file = cluster.open_lock()
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        return None
    return file


def prepare_process(cluster: Cluster) -> None:
    """Make this process fit for supervising: its title, log, and the collector's manners."""
    os.umask(0o022)
    signals.keep_to_ourselves()
    os.chdir("/")
    os.environ.pop(title.PADDING_VARIABLE, None)
    marks = {processes.CLUSTER: cluster.name, processes.COMPONENT: processes.SUPERVISOR}
    title.rename(["wellhead", "supervisor", cluster.name], marks)
    gc.disable()  # a collection would write to, and so unshare, the pages of all children
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)-7s %(name)s: %(message)s")
    component.set_levels("info")
    logging.raiseExceptions = False  # a full disk must not end the supervisor


def main(name: str, root: str, listen_fd: str, lock_fd: str) -> int:
    """Supervise; returns the exit status: 1 after an error, 3 if the cluster has a supervisor."""
    cluster = Cluster(name, Path(root))
    prepare_process(cluster)
    lock = hold_lock(cluster, int(lock_fd))
    if lock is None:
        return 3
    with lock:
        listener = socket.socket(fileno=int(listen_fd)) if int(listen_fd) >= 0 else None
        try:
            Supervisor(cluster, design, api_listener=listener).run()
        except (LabError, ValueError) as error:
            print(error, file=sys.stderr)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:5]))
