"""What the tests of the controller share."""

from __future__ import annotations

import pytest

from tests.unit.cloud.controller_world import World
from wellhead.cloud import health


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    world = World()
    monkeypatch.setattr(health, "ask", world.ask)
    return world
