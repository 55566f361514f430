"""Clusters of this directory's own, which end with the test whatever happens."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from wellhead.lab import processes, teardown
from wellhead.lab.cluster import Cluster

_HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if _HERE in item.path.parents:
            item.add_marker(pytest.mark.cluster)


@pytest.fixture
def new_cluster(tmp_path: Path) -> Iterator[Callable[[str], Cluster]]:
    """Makes clusters by name, with their files in a temporary directory."""
    if os.geteuid() != 0:
        pytest.skip("needs root")
    made: list[Cluster] = []

    def make(name: str) -> Cluster:
        cluster = Cluster(f"{name}-{os.getpid()}", tmp_path)
        cluster.make_directories()
        made.append(cluster)
        return cluster

    yield make
    for cluster in made:
        teardown.remove(cluster)
        assert processes.find(cluster.name) == []


@pytest.fixture
def cluster(new_cluster: Callable[[str], Cluster]) -> Cluster:
    """One cluster."""
    return new_cluster("labtest")


@pytest.fixture
def untouched_host() -> Iterator[None]:
    """The host's interfaces, addresses, routes, rules, mounts and sysctls are the same after the test."""

    def look() -> list[str]:
        commands = ("ip -o link", "ip -o addr", "ip route show table all", "ip rule", "nft list ruleset")
        answers = [
            subprocess.run(each.split(), capture_output=True, text=True, check=True).stdout
            for each in commands
        ]
        answers.append(Path("/proc/self/mountinfo").read_text())
        sysctls = sorted(Path("/proc/sys/net/ipv4/conf").glob("*/rp_filter"))
        sysctls += [Path("/proc/sys/net/ipv4/ip_forward"), Path("/proc/sys/kernel/hostname")]
        return [*answers, *(f"{path} {path.read_text()}" for path in sysctls)]

    before = look()
    yield
    assert look() == before
