"""A whole control plane per test."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.integration.apiserver.pki import Pki
from tests.integration.controllers.world import World
from tests.integration.controllers.world import world as make_world


@pytest.fixture(scope="session")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Pki:
    pki = Pki(tmp_path_factory.mktemp("pki"))
    pki.issue("server", "kube-apiserver", server=True)
    pki.issue("admin", "kubernetes-admin", "system:masters")
    pki.issue("kube-controller-manager", "wellhead:controller-manager")
    pki.issue("kube-scheduler", "wellhead:scheduler")
    return pki


@pytest.fixture
async def world(pki: Pki, tmp_path: Path) -> AsyncIterator[World]:
    async with make_world(pki, tmp_path) as world:
        yield world
