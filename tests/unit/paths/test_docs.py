"""The documentation says what the program says."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from click.testing import CliRunner

from wellhead.cli.explain import command
from wellhead.paths.codes import Code

ROOT = Path(__file__).parents[3]
EXPLAIN, QUESTIONS = ROOT / "docs" / "explain.md", ROOT / "docs" / "questions.md"


def test_every_code_is_documented_and_every_documented_code_is_one() -> None:
    rows = dict(re.findall(r"^\| `(\w+)` \| (.*) \|$", EXPLAIN.read_text(), re.MULTILINE))
    assert rows == {each.value: each.meaning for each in Code}


def test_every_code_is_used() -> None:
    source = "".join(each.read_text() for each in (ROOT / "src" / "wellhead").rglob("*.py"))
    assert {each.name for each in Code} <= set(re.findall(r"Code\.([A-Z0-9_]+)", source))


def _examples() -> list[tuple[str, list[str]]]:
    found = []
    for page in (EXPLAIN, QUESTIONS):
        pattern = r"^    \$ (wellhead explain .*)\n((?:(?:    (?!\$).*)?\n)+)"
        for block in re.findall(pattern, page.read_text(), re.MULTILINE):
            said = [line.removeprefix("    ") for line in block[1].rstrip().split("\n")]
            found.append((block[0], said))
    return found


@pytest.mark.parametrize(("line", "said"), _examples())
def test_what_the_pages_show_is_what_it_says(
    line: str, said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    done = CliRunner().invoke(command, shlex.split(line)[2:], catch_exceptions=False)
    assert done.exit_code == 0
    assert done.output.split("\n")[: len(said)] == said
