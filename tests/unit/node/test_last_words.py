"""What is told of a container that has ended in its own words."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.unit.node import pods
from tests.unit.node.world import world
from wellhead.node.pods import last_words

TIME = "2026-01-01T00:00:00.000000000+00:00"


def _said(directory: Path, code: int, log: list[str], **container: Any) -> str:
    here = world(directory, pods.container("main", **container))
    path = here.state.log("main", 0)
    path.parent.mkdir(parents=True)
    path.write_text("".join(f"{TIME} stdout {line}\n" for line in log))
    attempt = pods.ended(code).current
    assert attempt is not None
    return last_words.read(here.state, here.state.pod["spec"]["containers"][0], attempt)


@pytest.mark.parametrize(
    ("log", "message"),
    [
        (["F one", "F two"], "one\ntwo\n"),
        (["P DONE"], "DONE"),
        (
            ["P a line that ", "F goes on", "P and this is not over"],
            "a line that goes on\nand this is not over",
        ),
        ([], ""),
    ],
)
def test_of_a_failure_the_logs_end_if_the_policy_says_so(
    tmp_path: Path, log: list[str], message: str
) -> None:
    assert _said(tmp_path, 1, log, terminationMessagePolicy="FallbackToLogsOnError") == message


def test_elsewhere_the_log_says_nothing(tmp_path: Path) -> None:
    assert _said(tmp_path / "a", 0, ["F x"], terminationMessagePolicy="FallbackToLogsOnError") == ""
    assert _said(tmp_path / "b", 1, ["F x"], terminationMessagePolicy="File") == ""
