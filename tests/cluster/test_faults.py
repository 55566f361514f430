"""Any component may be killed at any time: connections go on, and what is asked for afterwards happens."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from functools import partial

import pytest

from tests.cluster.lab import EXTERNAL_IP, Lab, eventually, pid_of
from tests.cluster.load import crowd
from tests.patience import until

_VICTIMS = [
    ("control-plane", "apiserver"),
    ("control-plane", "controller-manager"),
    ("control-plane", "scheduler"),
    ("node-1", "node-agent"),
    ("node-1", "proxy"),
    ("cloud", "cloud"),
]


def answers(lab: Lab, url: str) -> bool:
    return lab.curl("client", url) is not None


def container_ids(lab: Lab, namespace: str) -> list[str]:
    pods = lab.get("pods", "-n", namespace)["items"]
    return sorted(each["status"]["containerStatuses"][0]["containerID"] for each in pods)


@pytest.fixture(scope="module")
def urls(lab: Lab, namespace: str) -> Iterator[list[str]]:
    """The node port and the VIP of a Service whose server is on node-1; both answer."""
    lab.run_pod("server", "node-1", namespace)
    service = lab.expose("server", "server", namespace, type="LoadBalancer")
    address = "jsonpath={.status.loadBalancer.ingress[0].ip}"
    lab.kubectl("wait", f"--for={address}", "service/server", "-n", namespace, "--timeout=60s")
    vip = lab.kubectl("get", "service", "server", "-n", namespace, "-o", address)
    urls = [f"{EXTERNAL_IP['node-1']}:{service['spec']['ports'][0]['nodePort']}", vip]
    for url in urls:
        eventually(partial(answers, lab, url), True)
    yield urls
    lab.kubectl("delete", "service", "server", "-n", namespace)


@pytest.mark.parametrize(("machine", "component"), _VICTIMS)
def test_a_killed_component_comes_back_and_disturbs_nothing(
    lab: Lab, namespace: str, urls: list[str], machine: str, component: str
) -> None:
    before, containers = pid_of(lab, machine, component), container_ids(lab, namespace)
    with crowd(lab) as clients:
        clients.ask(*(f"http://{url}/" for url in urls), every=0.02)
        os.kill(before, signal.SIGKILL)
        eventually(lambda: pid_of(lab, machine, component) not in (0, before), True)
        eventually(lambda: "Ready" in lab.kubectl("get", "nodes", check=False), True)
        asked_before = clients.asked()["count"]
        until(lambda: clients.asked()["count"], lambda count: count > asked_before + 50)
        asked = clients.asked()
    print(f"{asked['count']} requests, {asked['late']} late")
    assert (asked["failures"], asked["count"] > 20) == ([], True)
    # It does its work again: a new pod comes up, a new Service leads to it.
    name = f"after-{component}"
    lab.run_pod(name, "node-1", namespace)
    port = lab.expose(name, name, namespace, type="NodePort")["spec"]["ports"][0]["nodePort"]
    eventually(partial(answers, lab, f"{EXTERNAL_IP['node-1']}:{port}"), True)
    lab.kubectl("delete", "pod,service", name, "-n", namespace)
    assert container_ids(lab, namespace) == containers


def test_an_acknowledged_write_survives_a_killed_api_server(lab: Lab, namespace: str) -> None:
    for number in range(5):
        lab.kubectl("create", "configmap", f"kept-{number}", "-n", namespace)
        os.kill(pid_of(lab, "control-plane", "apiserver"), signal.SIGKILL)
        read = ("get", "configmap", f"kept-{number}", "-n", namespace, "-o", "name")
        eventually(partial(lab.kubectl, *read, check=False), f"configmap/kept-{number}\n")
