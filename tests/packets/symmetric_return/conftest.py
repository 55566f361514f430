"""One world for all tests of a module, with the nodes' link and without."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.packets.symmetric_return.world import World
from wellhead.proxy.symmetric_return.settings import ReturnSettings


@pytest.fixture(scope="module", params=["link", "tunnel"])
def built(request: pytest.FixtureRequest) -> Iterator[World]:
    found = World(routed=request.param == "tunnel")
    try:
        yield found
    finally:
        found.close()


@pytest.fixture(scope="module")
def world(built: World) -> World:
    """With return paths in force, which the tests leave as they are."""
    return in_force(built)


@pytest.fixture
def new_world(built: World) -> World:
    """With return paths in force that were made anew."""
    return in_force(built)


def in_force(world: World) -> World:
    """Have return paths made anew."""
    world.configure(ReturnSettings(path="tunnel" if world.routed else "auto"))
    world.converge()
    return world
