"""A whole control plane per test, or per module whose tests don't meet in it: each costs half a second."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

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


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared(pki: Pki, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    """One for all tests of a module: each has names of its own, and is marked with `sharing`."""
    async with make_world(pki, tmp_path_factory.mktemp("shared")) as world:
        yield world
