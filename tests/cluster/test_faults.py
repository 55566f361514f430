"""Any component may be killed at any time: connections go on, and what is asked for afterwards happens.

A small part of `make test-faults`, which kills each one twenty times under a heavier load.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from tests.cluster.lab import EXTERNAL_IP, Lab, eventually
from tests.faults.frontends import Frontends, frontends
from tests.faults.kills import kill_under_load
from tests.faults.victims import COMPONENTS, Victim
from tests.faults.writes import killed_under_writes

# Node-3's are as node-1's.
VICTIMS = [each for each in COMPONENTS if not each.loses and each.machine != "node-3"]


def answers(lab: Lab, url: str) -> bool:
    return lab.curl("client", url) is not None


def container_ids(lab: Lab, namespace: str) -> list[str]:
    pods = lab.get("pods", namespace=namespace)["items"]
    return sorted(each["status"]["containerStatuses"][0]["containerID"] for each in pods)


@pytest.fixture(scope="module")
def found(lab: Lab, namespace: str) -> Iterator[Frontends]:
    with frontends(lab, namespace) as found:
        yield found


@pytest.mark.parametrize(
    "victim", [each for each in COMPONENTS if not each.loses and each.machine != "node-3"], ids=str
)
def test_a_killed_component_comes_back_and_disturbs_nothing(
    lab: Lab, namespace: str, found: Frontends, victim: Victim
) -> None:
    containers = container_ids(lab, namespace)
    asked = kill_under_load(lab, found, victim, kills=1, rate=60, each=80)
    assert asked.lost.total() == 0, asked.words
    assert all(asked.count[kind] > 5 for kind in (*found.outside, *found.inside)), asked.count
    # It does its work again: a new pod comes up, a new Service leads to it.
    name = f"after-{victim}".replace("/", "-").replace(" ", "-")
    lab.run_pod(name, "node-1", namespace)
    port = lab.expose(name, name, namespace, type="NodePort")["spec"]["ports"][0]["nodePort"]
    eventually(partial(answers, lab, f"{EXTERNAL_IP['node-1']}:{port}"), True)
    lab.kubectl("delete", "pod,service", name, "-n", namespace)
    assert container_ids(lab, namespace) == containers


def test_what_the_api_server_acknowledged_survives_its_death(lab: Lab, namespace: str) -> None:
    kill = partial(Victim("control-plane", "apiserver").kill, lab)
    done = asyncio.run(killed_under_writes(Path(lab.kubeconfig), namespace, 5, kill, lambda _: None))
    assert done.wrong == 0, done
    assert (done.kills, done.acknowledged > 100) == (5, True)
