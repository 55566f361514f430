"""The supervisor's program: `python -m wellhead.lab.supervise NAME ROOT LISTEN-FD PADDING`, started by `up`.

LISTEN-FD is the API server's listening socket, or -1 when an API server that runs has it.
"""

from __future__ import annotations

import socket
import sys
from pathlib import Path

from wellhead.lab import supervisor
from wellhead.lab.cluster import Cluster, LabError
from wellhead.lab.design import design


def main(name: str, root: str, listen_fd: str) -> int:
    """Supervise; returns the exit status: 1 after an error, 3 if the cluster has a supervisor."""
    cluster = Cluster(name, Path(root))
    supervisor.prepare_process(cluster)
    lock = supervisor.hold_lock(cluster)
    if lock is None:
        return 3
    with lock:
        listener = socket.socket(fileno=int(listen_fd)) if int(listen_fd) >= 0 else None
        try:
            supervisor.Supervisor(cluster, design, api_listener=listener).run()
        except (LabError, ValueError) as error:
            print(error, file=sys.stderr)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:4]))
