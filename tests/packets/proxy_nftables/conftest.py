"""One world for all tests of the directory; each test programs it anew."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.packets.proxy_nftables.world import NftablesWorld


@pytest.fixture(scope="module")
def world() -> Iterator[NftablesWorld]:
    found = NftablesWorld()
    try:
        yield found
    finally:
        found.close()
