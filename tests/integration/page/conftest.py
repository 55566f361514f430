"""API servers in this process, and what pages are made of."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.integration.apiserver.cluster import Cluster, serve
from tests.integration.apiserver.pki import Pki


@pytest.fixture(scope="session")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Pki:
    pki = Pki(tmp_path_factory.mktemp("pki"))
    pki.issue("server", "kube-apiserver", server=True)
    pki.issue("admin", "kubernetes-admin", "system:masters")
    pki.issue("nobody", "nobody")
    return pki


@pytest.fixture
async def cluster(pki: Pki, tmp_path: Path) -> AsyncIterator[Cluster]:
    async with serve(pki, tmp_path) as cluster:
        yield cluster
