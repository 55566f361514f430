"""Health looks at the work: what `status`, the Node and the endpoints say when something is broken."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import pytest

from tests import forks
from tests.cluster.lab import Lab, eventually, pid_of
from tests.patience import PATIENCE, until
from wellhead.ports import HEALTH

_MACHINES = {"node-agent": "node-1", "policy": "node-1", "proxy": "node-1", "cloud": "cloud"}


def _condition(lab: Lab, kind: str) -> tuple[str, str]:
    [found] = [each for each in lab.get("node", "node-1")["status"]["conditions"] if each["type"] == kind]
    return found["status"], found["message"]


def _problems(lab: Lab) -> list[str]:
    found = json.loads(forks.run("status", "--name", lab.name, "-o", "json", seconds=PATIENCE).stdout)
    return [str(each) for each in found["problems"]]


@pytest.mark.parametrize("endpoint", ["healthz", "livez"])
@pytest.mark.parametrize("component", sorted(HEALTH))
def test_every_component_that_works_says_so(lab: Lab, component: str, endpoint: str) -> None:
    machine = _MACHINES.get(component, "control-plane")
    url = f"http://127.0.0.1:{HEALTH[component]}/{endpoint}"
    eventually(lambda: lab.on(machine, "curl", "-sS", "-o/dev/null", "-w%{http_code}", url), "200")


def test_a_node_whose_disk_takes_no_write_is_not_ready_and_says_why_until_it_does(lab: Lab) -> None:
    eventually(lambda: _condition(lab, "Ready")[0], "True")
    in_the_way = Path(f"/var/lib/wellhead/{lab.name}/nodes/node-1/.writable")
    in_the_way.mkdir()
    try:
        eventually(lambda: _condition(lab, "Ready")[0], "False")
        assert "the disk takes no write for " in _condition(lab, "Ready")[1]
        assert "Is a directory" in _condition(lab, "Ready")[1]
        eventually(lambda: _condition(lab, "DiskPressure")[0], "True")
        problem = "node-agent on node-1 is not healthy: disk failed"
        eventually(lambda: any(problem in each for each in _problems(lab)), True)
    finally:
        in_the_way.rmdir()
    eventually(lambda: _condition(lab, "Ready")[0], "True")
    eventually(lambda: _condition(lab, "DiskPressure")[0], "False")
    eventually(lambda: _problems(lab), [])


def test_a_component_that_hangs_is_not_healthy_though_it_runs(lab: Lab) -> None:
    eventually(lambda: [each for each in _problems(lab) if "scheduler" in each], [])
    scheduler = until(lambda: pid_of(lab, "control-plane", "scheduler"))
    os.kill(scheduler, signal.SIGSTOP)
    try:
        expected = "scheduler on control-plane is not healthy: its /healthz doesn't answer: timed out"
        eventually(lambda: _problems(lab), [expected])
    finally:
        os.kill(scheduler, signal.SIGCONT)
    eventually(lambda: _problems(lab), [])
