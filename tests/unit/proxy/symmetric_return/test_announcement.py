"""Announcements that say less."""

from __future__ import annotations

import pytest

from tests.unit.proxy.symmetric_return.nodes import end
from wellhead.proxy.symmetric_return.announcement import Announcement, only_loses

FOUR, SIX = {"10.240.0.12": "02:00:00:00:00:02"}, {"fd00::12": "02:00:00:00:00:02"}
ALL = Announcement(1, FOUR | SIX, end(2))


@pytest.mark.parametrize(
    ("after", "expected"),
    [
        (None, True),
        (Announcement(1, FOUR, end(2)), True),
        (Announcement(1, FOUR | SIX), True),
        (Announcement(1, FOUR), True),
        (Announcement(1), True),
        (ALL, False),
        (Announcement(1, {"10.240.0.22": "02:00:00:00:00:02"} | SIX, end(2)), False),
        (Announcement(1, FOUR, end(3)), False),
    ],
)
def test_mere_loss_is_told_from_change(after: Announcement | None, expected: bool) -> None:
    assert only_loses(ALL, after) is expected
