"""docs/proxy-behaviour.md names, for each thing that the proxy does, the tests that hold it."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[3]


def test_every_test_that_the_document_names_is_there() -> None:
    text = (ROOT / "docs/proxy-behaviour.md").read_text()
    named = set(re.findall(r"`(test_\w+)`", text))
    written = {
        name
        for file in (ROOT / "tests").rglob("test_*.py")
        for name in re.findall(r"^(?:async )?def (test_\w+)", file.read_text(), re.MULTILINE)
    }
    assert len(named) > 70
    assert sorted(named - written) == []


def test_every_line_of_the_document_names_a_test() -> None:
    lines = (ROOT / "docs/proxy-behaviour.md").read_text().splitlines()
    rows = [each for each in lines if each.startswith("|") and each not in ("| | held by |", "|---|---|")]
    assert [each for each in rows if "`test_" not in each] == []
