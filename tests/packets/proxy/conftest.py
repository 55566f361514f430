"""One world for each variant of iptables, shared by the tests of a module."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.packets.proxy.world import World


@pytest.fixture(scope="module", params=["nft", "legacy"])
def world(request: pytest.FixtureRequest) -> Iterator[World]:
    found = World(request.param)
    try:
        yield found
    finally:
        found.close()
