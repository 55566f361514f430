"""The document itself: the whole walk, on a cluster of its own."""

from __future__ import annotations

import json
import os
import subprocess

from tests.cluster.lab import BIN
from tests.patience import PATIENCE


def test_the_whole_walk_goes_as_the_tutorial_says() -> None:
    command = [str(BIN / "wellhead"), "tutorial", "--name", f"walk-{os.getpid()}", "-o", "json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=10 * PATIENCE, check=False)
    report = json.loads(done.stdout)
    wrong = [
        (step["command"], step["output"], step["differences"]) for step in report["steps"] if not step["ok"]
    ]
    last = report["steps"][-1]["command"]
    assert (wrong, report["problem"], done.returncode) == ([], "", 0), f"after {last}"
    assert len(report["steps"]) > 35
