"""A real supervisor of small components: `python fake_supervisor.py NAME ROOT LISTEN-FD LOCK-FD PADDING`.

components.json in the cluster's directory lists them: [machine, name, argv, inherits]. One that is called
"secluded" sees of the clusters' files a directory alone.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
from collections.abc import Sequence
from pathlib import Path

from wellhead.lab import edge, supervise, topology
from wellhead.lab.addresses import IPV4, IPV6
from wellhead.lab.cluster import Cluster, ClusterSpec
from wellhead.lab.components import INHERITED, Component
from wellhead.lab.design import Design
from wellhead.lab.seclusion import Belongings
from wellhead.lab.supervisor import Supervisor


def run_component(argv: Sequence[str]) -> None:
    """What a component does is its first argument."""
    what = argv[0]
    if what == "sleep":
        signal.pause()
    elif what == "crash":
        sys.exit("as it was told to")
    elif what == "ignore-sigterm":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        while True:
            signal.pause()
    elif what == "serve":
        with socket.socket(fileno=INHERITED) as server:
            server.setblocking(True)
            while True:
                connection, _ = server.accept()
                connection.sendall(str(os.stat("/proc/self/ns/net").st_ino).encode())
                connection.close()
    elif what == "describe":
        print(
            json.dumps(
                {
                    "descriptors": sorted(int(name) for name in os.listdir("/proc/self/fd"))[:-1],
                    "environment": dict(os.environ),
                    "parent": os.getppid(),
                    "hostname": socket.gethostname(),
                    "interfaces": sorted(os.listdir("/sys/class/net")),
                    "inherited": os.readlink(f"/proc/self/fd/{INHERITED}"),
                }
            ),
            flush=True,
        )
        signal.pause()


def design(cluster: Cluster, spec: ClusterSpec) -> Design:
    listed = json.loads((cluster.directory / "components.json").read_text())
    kept = cluster.directory / "kept"
    kept.mkdir(exist_ok=True)
    belongings = Belongings(cluster.root, directories=(kept,))
    components = tuple(
        Component(machine, name, tuple(argv), inherits, belongings if name == "secluded" else None)
        for machine, name, argv, inherits in listed
    )
    picture = topology.build(spec.nodes, (IPV4, IPV6))

    def delete_files_of(machine: str) -> None:
        (cluster.directory / f"deleted-{machine}").touch()

    rules = edge.ruleset(spec.nodes, picture.plans)
    return Design(picture, components, rules, lambda: None, delete_files_of)


if __name__ == "__main__":
    cluster = Cluster(sys.argv[1], Path(sys.argv[2]))
    supervise.prepare_process(cluster)
    lock = supervise.hold_lock(cluster, int(sys.argv[4]))
    if lock is None:
        sys.exit(3)
    with lock:
        listener = socket.socket(fileno=int(sys.argv[3])) if int(sys.argv[3]) >= 0 else None
        Supervisor(cluster, design, run_component, listener).run()
