"""One world for all tests of the directory; each test programs it anew."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.packets.proxy.world import Host
from tests.packets.proxy_nftables.world import NftablesWorld


@pytest.fixture(scope="module")
def world() -> Iterator[NftablesWorld]:
    found = NftablesWorld()
    try:
        yield found
    finally:
        found.close()


@pytest.fixture
def host() -> Iterator[Host]:
    """A network namespace with nothing in it."""
    found = Host()
    try:
        yield found
    finally:
        found.close()
