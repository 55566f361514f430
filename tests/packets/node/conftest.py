"""A node's network for packets, and a small cluster for the agent as a whole."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import pytest

from tests.cluster.lab import Lab, eventually, kept_up
from tests.packets.node.cluster_pods import processes
from tests.packets.node.world import World


@pytest.fixture
def world() -> Iterator[World]:
    found = World()
    try:
        yield found
    finally:
        found.close()


@pytest.fixture(scope="session")
def cluster() -> Iterator[Lab]:
    """A cluster of one node, apart from the others: its agent gets killed, its machine rebooted."""
    # As under nohup, or in a shell's background: nothing of that may reach a container.
    before = {each: signal.signal(each, signal.SIG_IGN) for each in (signal.SIGHUP, signal.SIGQUIT)}
    try:
        with kept_up(Lab(f"node-test-{os.getpid()}"), "--nodes", "1") as lab:
            for signum in before:
                signal.signal(signum, before[signum])
            yield lab
    finally:
        for signum, handler in before.items():
            signal.signal(signum, handler)


@pytest.fixture(scope="module")
def lab(cluster: Lab) -> Iterator[Lab]:
    """The cluster of one node, without pods."""
    yield cluster
    _remove_pods(cluster)


@pytest.fixture
def no_pods_left(lab: Lab) -> Iterator[None]:
    """Each test begins without pods, and nothing of the earlier ones' may be left on the node."""
    yield
    _remove_pods(lab)


def _remove_pods(lab: Lab) -> None:
    lab.kubectl("delete", "pod", "--all", "--grace-period=1")
    eventually(lambda: processes(lab), [])
    eventually(lambda: "veth" in lab.on("node-1", "ip", "-br", "link").replace("eth0", ""), False)
    eventually(lambda: "/pods/" in lab.on("node-1", "mount"), False)
