from __future__ import annotations

import os
import signal
import subprocess
import uuid
from collections.abc import Callable, Iterator

import pytest

from tests.patience import PATIENCE
from wellhead.lab import processes

Start = Callable[..., subprocess.Popen[bytes]]


@pytest.fixture
def start() -> Iterator[Start]:
    """Starts a process with these variables, which runs when this returns."""
    started = []

    def make(program: str = "echo; exec sleep 100", **variables: str) -> subprocess.Popen[bytes]:
        environment = {"PATH": os.environ["PATH"], **variables}
        process = subprocess.Popen(["sh", "-c", program], env=environment, stdout=subprocess.PIPE)
        started.append(process)
        assert process.stdout is not None
        process.stdout.readline()
        return process

    yield make
    for process in started:
        process.kill()
        process.communicate()


@pytest.fixture
def cluster() -> str:
    return f"t-{uuid.uuid4().hex[:8]}"


def test_a_process_is_known_by_its_environment(start: Start, cluster: str) -> None:
    component = start(WELLHEAD_CLUSTER=cluster, WELLHEAD_MACHINE="node-1", WELLHEAD_COMPONENT="proxy")
    guest = start(WELLHEAD_CLUSTER=cluster, WELLHEAD_MACHINE="client")
    start(WELLHEAD_CLUSTER=f"{cluster}-other", WELLHEAD_MACHINE="client")
    start(WELLHEAD_NAME=cluster)
    found = {process.pid: (process.machine, process.component) for process in processes.find(cluster)}
    assert found == {component.pid: ("node-1", "proxy"), guest.pid: ("client", "")}


def test_a_cluster_alone_makes_nobody_a_part_of_it(start: Start, cluster: str) -> None:
    start(WELLHEAD_CLUSTER=cluster)  # exported by hand, say
    assert processes.find(cluster) == []


def test_ending_waits_and_returns_who_did_not(start: Start, cluster: str) -> None:
    obedient = start(WELLHEAD_CLUSTER=cluster, WELLHEAD_COMPONENT="a")
    stubborn = start(
        "trap '' TERM; echo; sleep 100 & wait; wait", WELLHEAD_CLUSTER=cluster, WELLHEAD_COMPONENT="b"
    )
    found = [process for process in processes.find(cluster) if process.pid in (obedient.pid, stubborn.pid)]
    assert len(found) == 2
    obeys = [process for process in found if process.pid == obedient.pid]
    assert processes.end(obeys, signal.SIGTERM, timeout=PATIENCE) == []
    assert obedient.wait(PATIENCE) == -signal.SIGTERM
    left = processes.end(found, signal.SIGTERM, timeout=0.1)  # it never ends, however long it is waited for
    assert [process.pid for process in left] == [stubborn.pid]
    assert processes.end(processes.find(cluster)) == []


def test_a_zombie_is_gone(start: Start, cluster: str) -> None:
    process = start(WELLHEAD_CLUSTER=cluster, WELLHEAD_COMPONENT="a")
    (found,) = processes.find(cluster)
    assert found.age >= 0
    process.kill()
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    assert processes.find(cluster) == []
    assert processes.hold(found) is None
    assert processes.end([found]) == []


def test_the_caller_is_never_ended() -> None:
    me = processes.Process(os.getpid(), "c", "m", "", False, 0.0)
    assert processes.end([me]) == []
