"""Text of others in logs, events and terminals acts on none of them."""

from __future__ import annotations

import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wellhead.component import setup_logging
from wellhead.text import printable, quoted


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain", "plain"),
        ("häßlich, 日本, 🙂", "häßlich, 日本, 🙂"),
        ("a\nb\tc", "a\\nb\\tc"),
        ("\x1b[2Jgone", "\\x1b[2Jgone"),
        ("a\0b\x7f\x9b", "a\\x00b\\x7f\\x9b"),
        ("\u202egnp.exe", "\\u202egnp.exe"),
        ("\ud800", "\\ud800"),
        ("a\u2028b", "a\\u2028b"),
    ],
)
def test_what_acts_and_is_not_seen_is_spelt_out(text: str, shown: str) -> None:
    assert printable(text) == shown


def test_lines_and_tabs_may_stay() -> None:
    assert printable("a\n\tb\r\x1b", lines=True) == "a\n\tb\\r\\x1b"


@given(st.text())
def test_nothing_is_left_that_a_terminal_obeys(text: str) -> None:
    shown = printable(text)
    shown.encode()  # no half of a character
    assert not any(ord(char) < 0x20 or 0x7F <= ord(char) < 0xA0 for char in shown)
    assert printable(shown) == shown


def test_a_record_is_a_line_and_its_traceback_follows(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logging.getLogger(), "handlers", [])
    setup_logging("info", "text")
    try:
        raise ValueError("evil\x1b[2J")
    except ValueError:
        logging.getLogger("x").exception("said %s", "one\n2026 ERROR forged\x1b[2J")
    first, *traceback = capsys.readouterr().err.splitlines()
    assert first.endswith("x: said one\\n2026 ERROR forged\\x1b[2J")
    assert traceback[0].startswith("Traceback")
    assert traceback[-1] == "ValueError: evil\\x1b[2J"


@pytest.mark.parametrize(
    ("text", "as_go_has_it"),
    [
        ("plain", '"plain"'),
        ('a"b\\c', '"a\\"b\\\\c"'),
        ("a\nb\r\t\x00\x1b[31m\x7f", '"a\\nb\\r\\t\\x00\\x1b[31m\\x7f"'),
        ("é漢🎉", '"é漢🎉"'),
        ("\x80\u2028\u202e\ufeff", '"\\u0080\\u2028\\u202e\\ufeff"'),
        ("\U000e0001", '"\\U000e0001"'),
    ],
)
def test_quoted_is_percent_q(text: str, as_go_has_it: str) -> None:
    assert quoted(text) == as_go_has_it
