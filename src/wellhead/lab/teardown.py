"""What `wellhead down` does: end every process of a cluster, and delete its files.

It relies on no file and no process of the cluster being as they should be: what is found in /proc counts.
"""

from __future__ import annotations

import contextlib
import signal
import time
from collections.abc import Callable

from wellhead.lab import cgroups, processes
from wellhead.lab.cluster import Cluster, LabError, existing
from wellhead.linux import trees

Report = Callable[[str, int, int], None]

_TIMEOUT = 20.0
_SUPERVISOR_TIMEOUT = 3.0


def names() -> list[str]:
    """The clusters of which anything is left: a process or a file."""
    found = {cluster.name for cluster in existing()}
    return sorted(found | {process.cluster for process in processes.find()})


def remove(cluster: Cluster, report: Report = lambda what, done, total: None) -> bool:
    """Remove a cluster, whatever is left of it; returns whether there was anything.

    `report` is told what is done, how many processes have ended, and how many there were.
    Raises:
        LabError: a process doesn't end, or a file can't be deleted; says which.
    """
    with cluster.locked(create=False) as has_files:
        had_processes = _end_processes(cluster.name, report)
        if has_files or had_processes:
            cgroups.remove(cluster.name)
        if has_files:
            report("files", 0, 0)
            _delete_files(cluster)
    with contextlib.suppress(OSError):  # other clusters have theirs there
        cluster.root.rmdir()
    return has_files or had_processes


def _end_processes(name: str, report: Report) -> bool:
    """The supervisor first, for it would start again what ends; then machines, which take theirs along."""
    found_any, most = False, 0
    deadline = time.monotonic() + _TIMEOUT
    # Until nothing is found: a process that forks while it is looked for is found the next time.
    while found := processes.find(name):
        found_any = True
        most = max(most, len(found))
        report(f"{len(found)} processes", most - len(found), most)
        supervisors = [process for process in found if process.component == processes.SUPERVISOR]
        # It kills everything else, and reaps what is its own. If it can't, we do it without.
        processes.end(supervisors, signal.SIGUSR1, timeout=_SUPERVISOR_TIMEOUT)
        # A machine's first process ends after all others in the machine have. Those that were started from
        # outside are waited for by their parent there, which may be one that ends here too.
        left = processes.end(supervisors or found, timeout=max(0.1, deadline - time.monotonic()))
        if left and time.monotonic() >= deadline:
            what = ", ".join(f"{p.pid} ({p.component or 'first process'} on {p.machine})" for p in left)
            raise LabError(f"these processes of {name} don't end: {what}; try again, or look at them with ps")
    return found_any


def _delete_files(cluster: Cluster) -> None:
    # Ended processes may have been in the middle of making a file.
    for attempt in range(5):
        try:
            # A component that was run by hand outside of any machine may have mounted something here.
            trees.remove(cluster.directory)
            return
        except OSError as error:
            if attempt == 4:
                raise LabError(
                    f"can't delete {error.filename or cluster.directory}: {error.strerror}"
                ) from error
            time.sleep(0.05)
        else:
            return
