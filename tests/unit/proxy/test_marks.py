"""The division of mark bits."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wellhead.linux.numbers import RETURN_MARKS
from wellhead.proxy.marks import Marks, UnusableMask


def test_default_mask_leaves_room_for_4095_peers() -> None:
    marks = Marks()
    assert (marks.mask, marks.arrived, marks.preserve) == (RETURN_MARKS, 0x20000000, 0x10000000)
    assert (marks.index_mask, marks.last_index) == (0x0FFF0000, 4095)


@given(st.integers(6, 32), st.integers(0, 26))
def test_bits_of_any_mask_are_divided_without_overlap(width: int, shift: int) -> None:
    marks = Marks(0, ((1 << min(width, 32 - shift)) - 1) << shift)
    assert marks.arrived | marks.preserve | marks.index_mask == marks.mask
    assert marks.arrived & marks.preserve == marks.arrived & marks.index_mask == 0
    assert marks.preserve & marks.index_mask == 0
    for index in (1, marks.last_index):
        assert marks.of(index) & ~marks.index_mask == 0
        assert marks.index(marks.of(index) | ~marks.index_mask) == index


@pytest.mark.parametrize("mask", [0, 0x1F, -1, 1 << 32, 0x5000FF, 0x100000000])
def test_unusable_mask_is_refused(mask: int) -> None:
    with pytest.raises(UnusableMask):
        Marks(mask=mask)


def test_overlap_with_the_masquerade_mark_is_refused() -> None:
    with pytest.raises(UnusableMask, match="0x3fff0000 overlaps the masquerade mark, 0x20000"):
        Marks(masquerade=0x20000)


@pytest.mark.parametrize("index", [0, 4096, -1])
def test_number_without_room_is_refused(index: int) -> None:
    with pytest.raises(ValueError, match="not in 1…4095"):
        Marks().of(index)
