"""Three control planes on an etcd: one of them dies while somebody writes."""

from __future__ import annotations

import json
import os
import signal
import threading
from collections.abc import Iterator

import pytest

from tests import forks
from tests.cluster.conftest import running
from tests.cluster.lab import Lab, eventually
from tests.patience import PATIENCE, until
from wellhead.lab.topology import control_plane_names

MACHINES = control_plane_names(3)


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    with running(Lab(f"test-{os.getpid()}-ha"), "--nodes", "1", "--control-planes", "3") as lab:
        yield lab


def _leader(lab: Lab, lease: str) -> str:
    """The machine where the leader of the Lease is."""
    holder: str = lab.get("lease", lease, "kube-system")["spec"].get("holderIdentity") or ""
    return holder.partition("_")[0]


def _servers(lab: Lab) -> list[str]:
    endpoints = lab.get("endpointslice", "kubernetes")["endpoints"]
    return sorted(address for endpoint in endpoints for address in endpoint["addresses"])


def test_what_was_acknowledged_stays_while_the_leader_dies(lab: Lab) -> None:
    eventually(lambda: _servers(lab), ["10.240.0.2", "10.240.0.4", "10.240.0.5"])
    until(lambda: _leader(lab, "kube-controller-manager") in MACHINES)
    written: list[str] = []
    done = threading.Event()

    def write() -> None:
        while not done.wait(0.5):  # a write costs three machines' work
            name = f"c{len(written)}"
            # A server that dies takes its connections along; the next try finds another.
            lab.kubectl("create", "configmap", name, check=False)
            if lab.kubectl("get", "configmap", name, "-o", "name", check=False):
                written.append(name)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        leader = _leader(lab, "kube-controller-manager")
        machines = json.loads(lab.wellhead("status", "-o", "json", check=False))["machines"]
        os.kill(next(each["pid"] for each in machines if each["name"] == leader), signal.SIGKILL)
        before = len(written)
        until(lambda: len(written) > before + 3)
        until(lambda: _leader(lab, "kube-controller-manager") not in ("", leader))
        lab.kubectl("create", "deployment", "after", "--image=busybox", "--", "sleep", "3600")
        lab.kubectl("rollout", "status", "deployment/after", "--timeout=60s")
        status = ("status", "--name", lab.name)
        until(lambda: forks.run(*status, seconds=PATIENCE).stdout.partition("\n")[0].endswith(": healthy"))
    finally:
        done.set()
        writer.join()
    there = {each["metadata"]["name"] for each in lab.get("configmaps")["items"]}
    assert set(written) <= there


def test_nobody_else_may_speak_to_etcd(lab: Lab) -> None:
    """Not a pod, not a node with its certificate: etcd's authority is its own."""
    pki = f"/var/lib/wellhead/{lab.name}/pki"

    def answer(machine: str, *identity: str) -> str:
        url = "https://10.240.0.2:2379/health"
        command = ("curl", "-sk", *identity, "-o", "/dev/null", "-w", "%{http_code}", url)
        return lab.on(machine, *command, check=False)

    def as_(name: str) -> tuple[str, ...]:
        return ("--cert", f"{pki}/{name}.crt", "--key", f"{pki}/{name}.key")

    assert answer("control-plane-2", *as_("etcd/apiserver-etcd-client")) == "200"
    assert answer("node-1") == "000"
    assert answer("node-1", *as_("node-1-server")) == "000"
