"""Bringing a cluster up, as `wellhead up` does, and down again."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor

from wellhead.lab import prerequisites, shutdown, startup, teardown
from wellhead.lab.cluster import Cluster, LabError, NoCluster
from wellhead.lab.startup import Started, Wishes
from wellhead.lab.topology import node_name

Report = Callable[[str, int, int], None]
"""Takes what is being done, how much of it is done, and how much there is (0: nobody knows)."""


def silent(what: str, done: int, total: int) -> None:
    """Reports nothing."""


@contextlib.contextmanager
def turn(cluster: Cluster, say: Callable[[str], None] = lambda text: None) -> Iterator[bool]:
    """One at a time brings a cluster up, from the beginning until it is ready; whether it is a new one.

    Who has to wait says so, and for which process. Raises LabError: the disk is full, or the like.
    """
    held = cluster.turn(lambda pid: say(_waits(cluster.name, pid)))
    with contextlib.ExitStack() as stack:
        try:
            is_new = stack.enter_context(held)
        except OSError as error:
            raise LabError(f"{error.filename or cluster.directory}: {error.strerror}") from error
        yield is_new


def _waits(name: str, pid: str) -> str:
    process = f" (process {pid})" if pid else ""
    return f"Somebody else{process} is bringing cluster {name} up: waiting for that to end first."


def begin(cluster: Cluster, wishes: Wishes, report: Report = silent) -> Started:
    """Have a supervisor bring it about, and nodes that are to go end their pods first.

    Raises LabError: something is missing on this machine, or the wishes can't be fulfilled.
    """
    prerequisites.check_all()
    old = cluster.read_spec()
    if old is not None and wishes.nodes is not None and wishes.nodes < old.nodes:
        end_pods(cluster, map(node_name, range(wishes.nodes + 1, old.nodes + 1)), report)
    return startup.start(cluster, wishes)


def wait(cluster: Cluster, started: Started, timeout: float, report: Report = silent) -> None:
    """Wait until everything runs. Raises NotReady, which is a LabError: what was started goes on."""
    # Only now: loading the client takes about as long as the supervisor needs to make the machines.
    from wellhead.lab import readiness

    def tell(at: readiness.Progress) -> None:
        components = f"{at.components}/{at.components_total} components"
        nodes = f"{at.nodes}/{at.nodes_total} nodes Ready"
        report(f"{components}, {nodes}", at.components + at.nodes, at.components_total + at.nodes_total)

    waiting = readiness.wait(cluster, started, timeout, tell)
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        asyncio.run(waiting)
        return
    with ThreadPoolExecutor(1) as elsewhere:  # a notebook, or a test, has a loop in this thread
        elsewhere.submit(asyncio.run, waiting).result()


def remove(cluster: Cluster, *, now: bool = False, report: Report = silent) -> tuple[bool, str]:
    """Remove every trace of it: whether there was anything, and a remark.

    Unless `now`, nodes end their pods before, where their configuration says so. Raises LabError.
    """
    prerequisites.check_host()
    remark = "" if now else end_pods(cluster, None, report)
    return teardown.remove(cluster, report), remark


def end_pods(cluster: Cluster, nodes: Iterable[str] | None, report: Report = silent) -> str:
    """Have these nodes (None: all) end their pods; says who wasn't done in time.

    Nothing where there is no shutdownGracePeriod.
    """
    spec = cluster.read_spec()
    if spec is None or not spec.settings:
        return ""
    from wellhead.node import configuration  # what most clusters don't need takes its time to load

    try:
        periods = configuration.read(cluster.settings_file(spec.settings)).shutdown
    except configuration.ConfigurationError:
        return ""  # the agents can't have read it either
    if not periods:
        return ""
    seconds = float(sum(each.shutdown_grace_period_seconds for each in periods))
    late = shutdown.end_pods(cluster, nodes, seconds, report)
    return f"not done with their pods within {seconds:.0f} s: {', '.join(late)}" if late else ""


def must_run(cluster: Cluster) -> None:
    """Raises LabError: there is no such cluster."""
    if cluster.read_spec() is None:
        raise NoCluster(cluster.name)
