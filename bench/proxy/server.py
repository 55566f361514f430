"""The server in the pod: accepts TCP connections, and closes them. `python -m bench.proxy.server`."""

from __future__ import annotations

import os
import socket

from bench.proxy.network import POD_PORT

_BACKLOG = 4096


def main() -> None:
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})  # see `connections`
    with socket.create_server(("", POD_PORT), backlog=_BACKLOG) as listener:
        print("ready", flush=True)
        while True:
            connection, _ = listener.accept()
            connection.close()


if __name__ == "__main__":
    main()
