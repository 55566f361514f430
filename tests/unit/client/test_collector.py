"""The garbage collector rests while blocks ask for it, and not longer."""

from __future__ import annotations

import gc

import pytest

from wellhead.client.collector import lasting, uncollected


def test_it_rests_until_the_last_of_overlapping_blocks_ends() -> None:
    assert gc.isenabled()
    with uncollected():
        with uncollected():
            assert not gc.isenabled()
        assert not gc.isenabled()
    assert gc.isenabled()


def test_it_goes_on_after_a_failure() -> None:
    with pytest.raises(RuntimeError), uncollected():
        raise RuntimeError
    assert gc.isenabled()


def test_what_lasts_is_never_looked_at() -> None:
    try:
        with lasting():
            made: list[list[int]] = [[] for _ in range(10)]
        looked_at = {id(each) for each in gc.get_objects()}
        assert not looked_at & {id(each) for each in made}
    finally:
        gc.unfreeze()
