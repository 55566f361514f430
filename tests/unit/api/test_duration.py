"""Durations as Go reads and writes them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wellhead.api.duration import Duration


@pytest.mark.parametrize(
    ("text", "seconds", "printed"),
    [
        ("0", 0, "0s"),
        ("30s", 30, "30s"),
        ("1m30s", 90, "1m30s"),
        ("1.5h", 5400, "1h30m0s"),
        ("24h", 86400, "24h0m0s"),
        ("500ms", 0.5, "500ms"),
        (".5s", 0.5, "500ms"),
        ("1.25s", 1.25, "1.25s"),
        ("250us", 0.00025, "250µs"),
        ("10ns", 1e-8, "10ns"),
        ("-2s", -2, "-2s"),
    ],
)
def test_durations_are_gos(text: str, seconds: float, printed: str) -> None:
    found = Duration.parse(text)
    assert found.seconds == pytest.approx(seconds)
    assert str(found) == printed
    assert Duration.parse(str(found)) == found


@pytest.mark.parametrize("text", ["", "30", "1 s", "1d", "s", "1m30", "one", "1..5s", "5 minutes"])
def test_what_go_does_not_read_is_no_duration(text: str) -> None:
    with pytest.raises(ValueError, match="is not a duration"):
        Duration.parse(text)


@pytest.mark.parametrize("text", ["9223372037s", "2562047h48m", "1e9s", "9" * 20 + "h", "1_0s", "infs"])
def test_what_go_can_not_count_is_no_duration(text: str) -> None:
    with pytest.raises(ValueError, match="is not a duration"):
        Duration.parse(text)


@given(st.integers(0, 10**15))
def test_what_is_written_is_read_as_the_same(microseconds: int) -> None:
    written = str(Duration(microseconds / 1e6))
    assert Duration.parse(written).seconds == pytest.approx(microseconds / 1e6, rel=1e-9)
