"""`wellhead matrix`: every cell is as `wellhead explain` says, in both proxy modes, and nothing stays."""

from __future__ import annotations

import json

from tests.cluster.lab import Lab, Obj
from tests.patience import PATIENCE


def test_every_cell_is_as_predicted_and_nothing_stays(lab_of_each_mode: Lab) -> None:
    lab = lab_of_each_mode
    found: Obj = json.loads(lab.wellhead("matrix", "-o", "json", timeout=9 * PATIENCE, check=False))
    wrong = [(row["dialled"], row["policy"], row["client"], row["said"]) for row in found["rows"]
             if row["verdict"] in ("differs", "unknown")]  # fmt: skip
    assert wrong == []
    verdicts = [row["verdict"] for row in found["rows"]]
    assert (verdicts.count("agreed"), verdicts.count("untried")) == (188, 4)
    assert all(row["said"] for row in found["rows"] if row["verdict"] == "untried")
    lab.kubectl("wait", "--for=delete", "namespace", "-l", "wellhead.dev/matrix", "--timeout=60s")
