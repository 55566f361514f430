"""Which users of the node a pod has."""

from __future__ import annotations

import pytest

from wellhead.node.pods.user_ranges import NoUsersLeft, UserRanges


def test_each_pod_has_a_range_and_no_node_has_anothers() -> None:
    here, there = UserRanges(1), UserRanges(2)
    mine = {here.allocate() for _ in range(128)}
    others = {there.allocate() for _ in range(128)}
    assert len(mine | others) == 256
    assert all(first % 65536 == 0 and 0 < first <= 2**32 - 65536 for first in mine | others)
    with pytest.raises(NoUsersLeft):
        here.allocate()


def test_every_node_has_some() -> None:
    assert {0 < UserRanges(node).allocate() <= 2**32 - 65536 for node in (0, 510, 511, 2**112)} == {True}


def test_a_range_is_used_again_when_its_pod_is_gone() -> None:
    ranges = UserRanges()
    first = ranges.allocate()
    ranges.take(first + 65536)
    assert ranges.allocate() == first + 2 * 65536
    ranges.release(first)
    assert ranges.allocate() == first
