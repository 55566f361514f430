"""Clusters of this directory's own, which end with the test whatever happens."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.packets.lab.supervised import Supervise, Supervised
from wellhead.lab import processes, teardown
from wellhead.lab.cluster import Cluster


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


# How a link, address, rule or mount of ours would show. Others may make and remove theirs meanwhile.
_OURS = re.compile(
    r"wellhead|labtest|\b(internet|nodes|node-\d|control-plane|cloud)\b"
    r"|10\.24[04]\.|198\.51\.100\.|192\.0\.2\.|203\.0\.113\.|fd00:10:|2001:db8:(51|113|192):"
    r"| /(proc|sys|sys/fs/cgroup|run) "
)


@pytest.fixture
def untouched_host() -> Iterator[None]:
    """Nothing of ours in the host's interfaces, addresses, routes, rules, mounts; sysctls as they were."""

    def visible() -> set[str]:
        commands = ("ip -o link", "ip -o addr", "ip route show table all", "ip rule", "nft list ruleset")
        lines = set(Path("/proc/self/mountinfo").read_text().splitlines())
        for each in commands:
            done = subprocess.run(each.split(), capture_output=True, text=True, check=True)
            lines |= set(done.stdout.splitlines())
        return {line for line in lines if _OURS.search(line)}

    def settings() -> dict[str, str]:
        paths = [f"/proc/sys/net/ipv4/conf/{which}/rp_filter" for which in ("all", "default", "lo")]
        paths += ["/proc/sys/net/ipv4/ip_forward", "/proc/sys/kernel/hostname"]
        return {path: Path(path).read_text() for path in paths}

    lines_before, settings_before = visible(), settings()
    yield
    assert visible() <= lines_before
    assert settings() == settings_before


@pytest.fixture
def supervise(cluster: Cluster) -> Iterator[Supervise]:
    made: list[Supervised] = []

    def make(*components: Any, nodes: int = 1) -> Supervised:
        made.append(Supervised(cluster, list(components), nodes))
        return made[-1]

    yield make
    for each in made:
        each.close()
