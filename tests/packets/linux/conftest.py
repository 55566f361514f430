"""A network namespace."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.packets.proxy.world import Host


@pytest.fixture
def host() -> Iterator[Host]:
    found = Host()
    try:
        yield found
    finally:
        found.close()
