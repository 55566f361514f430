"""One authority a session, one server a test, unless a module's tests share one."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.integration.apiserver.cluster import Cluster, User, serve
from tests.integration.apiserver.pki import Pki
from wellhead.apiserver import server


@pytest.fixture(scope="session")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Pki:
    pki = Pki(tmp_path_factory.mktemp("pki"))
    pki.issue("server", "kube-apiserver", server=True)
    pki.issue("agent", "system:node:node-1", "system:nodes", server=True)
    pki.issue("admin", "kubernetes-admin", "system:masters")
    pki.issue("nobody", "nobody")
    pki.issue("node-1", "system:node:node-1", "system:nodes")
    pki.issue("kube-proxy", "system:kube-proxy", "wellhead.dev/node:node-1")
    pki.issue("kube-controller-manager", "wellhead:controller-manager")
    pki.issue("kube-scheduler", "wellhead:scheduler")
    pki.issue("wellhead-image-puller", "wellhead:image-puller")
    for component in (
        "cloud-controller-manager",
        "node-network",
        "coredns",
    ):
        pki.issue(component, f"system:{component}")
    return pki


@pytest.fixture
def calm(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """No request of the test reached the server's last resort."""
    yield
    # The server counts them, too: but its metrics cost more than what most tests ask.
    said = [each for each in caplog.get_records("call") if each.name == server.__name__]
    assert [each for each in said if each.levelno >= logging.ERROR] == [], "it reached the last resort"


@pytest.fixture
async def cluster(pki: Pki, tmp_path: Path, calm: None) -> AsyncIterator[Cluster]:
    async with serve(pki, tmp_path) as cluster:
        yield cluster


@pytest.fixture
async def admin(cluster: Cluster) -> User:
    return await cluster.user()
