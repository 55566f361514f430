"""Where a page's objects come from, and what can be done there: a cluster of this machine, somebody else's,
files.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from wellhead.client.connection import Connection
from wellhead.page.values import Can, Client
from wellhead.paths.client import OUTSIDE

if TYPE_CHECKING:
    from wellhead.trace.session import Session

SENDS_NOTHING = Can(can=False, why="these are files: there is nothing to send to")


@dataclass(frozen=True)
class Source:
    """What a page is of."""

    title: str
    """`cluster wellhead`, `kubeconfig FILE`, `files a.yaml`."""
    client: Client
    send: Can
    connect: Callable[[], Connection] | None = None
    """Finds the API server; None where files are read."""
    watch: Callable[[], Session] | None = None
    """Watches packets; None where none can be sent."""
    files: tuple[str, ...] = ()
    kubeconfig: str | None = None
    """What kubectl is given; None: as it finds it."""
    cluster: str = ""
    """The name of a cluster of this machine."""
    proxy_mode: str = ""


def of_files(files: Sequence[str]) -> Source:
    return Source(
        title=f"files {' '.join(files)}",
        client=Client(name=OUTSIDE, asks=OUTSIDE),
        send=SENDS_NOTHING,
        files=tuple(files),
    )


def of_kubeconfig(kubeconfig: str | None) -> Source:
    """Any cluster. Packets are watched by helpers of deploy/trace, if there are any."""
    from wellhead.client.connection import connect

    def watch() -> Session:
        from wellhead.trace.nodes import watch_nodes

        return watch_nodes(kubeconfig)

    can = _can_send_elsewhere()
    return Source(
        title=f"kubeconfig {kubeconfig}" if kubeconfig else "the current kubeconfig",
        client=Client(name="outside", asks=OUTSIDE, sends="client" if can.can else ""),
        send=can,
        connect=lambda: connect(kubeconfig),
        watch=watch if can.can else None,
        kubeconfig=kubeconfig,
    )


def _can_send_elsewhere() -> Can:
    """Whether this process could send from here and watch; whether there are helpers is seen when it does."""
    if os.geteuid() != 0:
        return Can(
            can=False,
            why="packets are sent and watched as root, by helpers on the nodes: see `wellhead trace --help`",
        )
    try:
        import pyroute2  # noqa: F401

        import wellhead.page.sending  # noqa: F401
    except ModuleNotFoundError as error:
        return Can(can=False, why=f"sending needs the extra “components” ({error.name} is missing)")
    return Can(can=True)


def of_cluster(name: str) -> Source:
    """A cluster of this machine. Raises LabError: there is none, or this isn't the place to see it from."""
    from wellhead.client.connection import load
    from wellhead.lab import kubeconfigs, prerequisites, topology
    from wellhead.lab.cluster import Cluster, NoCluster
    from wellhead.page.values import Machine

    prerequisites.check_host()
    cluster = Cluster(name)
    spec = cluster.read_spec()
    if spec is None:
        raise NoCluster(name)
    kubeconfig = str(cluster.kubeconfig(kubeconfigs.HOST_ADMIN))

    def watch() -> Session:
        from wellhead.trace.here import watch_cluster

        return watch_cluster(cluster, payloads=True)

    plans = spec.plans
    machines = [
        Machine(name=topology.EDGE, addresses=tuple(str(each.edge) for each in plans)),
        Machine(name=topology.CLOUD, addresses=tuple(str(each.cloud) for each in plans)),
    ]
    for number in range(1, spec.control_planes + 1):
        machine = topology.CONTROL_PLANE if number == 1 else f"{topology.CONTROL_PLANE}-{number}"
        machines.append(
            Machine(name=machine, addresses=tuple(str(each.control_plane_of(number)) for each in plans))
        )
    return Source(
        title=f"cluster {name}",
        client=Client(
            name=topology.CLIENT,
            addresses=tuple(str(each.client) for each in plans),
            asks=str(plans[0].client),
            sends=topology.CLIENT,
            machines=tuple(machines),
        ),
        send=Can(can=True),
        connect=lambda: load(kubeconfig),
        watch=watch,
        kubeconfig=kubeconfig,
        cluster=name,
        proxy_mode=spec.proxy_mode,
    )
