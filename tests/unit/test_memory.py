"""When free memory is given back."""

from __future__ import annotations

import asyncio
import gc
import weakref

import pytest

from wellhead import memory
from wellhead.memory import AFTER_CHANGES, Tidy


@pytest.fixture
def trims(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    done: list[int] = []
    monkeypatch.setattr(memory, "trim", lambda: done.append(1))
    monkeypatch.setattr(memory, "AFTER_SECONDS", 0.0)
    return done


async def _turns() -> None:
    for _ in range(3):
        await asyncio.sleep(0)


async def test_it_is_after_many_changes_and_once(trims: list[int]) -> None:
    tidy = Tidy()
    for _ in range(AFTER_CHANGES - 1):
        tidy.changed()
    await _turns()
    assert not trims
    for _ in range(AFTER_CHANGES):
        tidy.changed()
    await _turns()
    assert len(trims) == 1
    for _ in range(AFTER_CHANGES):
        tidy.changed()
    await _turns()
    assert len(trims) == 2


async def test_what_refers_to_itself_goes_as_well_if_asked(trims: list[int]) -> None:
    class Cycle:
        def __init__(self) -> None:
            self.itself = self

    gc.disable()
    try:
        for cycles in (False, True):
            alive = weakref.ref(Cycle())
            Tidy(1, cycles=cycles).changed()
            await _turns()
            assert (alive() is None) is cycles
    finally:
        gc.enable()
    assert len(trims) == 2
