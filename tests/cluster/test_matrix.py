"""`wellhead matrix`: every cell is as `wellhead explain` says, and nothing stays.

In one proxy mode: `test_source_ip_matrix.py` asks for the cells in each, `test_fidelity.py` for predictions.
"""

from __future__ import annotations

import json

from tests.cluster.lab import Lab, Obj
from tests.patience import PATIENCE


def test_every_cell_is_as_predicted_and_nothing_stays(lab: Lab) -> None:
    found: Obj = json.loads(lab.wellhead("matrix", "-o", "json", timeout=9 * PATIENCE, check=False))
    wrong = [(row["dialled"], row["policy"], row["client"], row["said"]) for row in found["rows"]
             if row["verdict"] in ("differs", "unknown")]  # fmt: skip
    assert wrong == []
    verdicts = [row["verdict"] for row in found["rows"]]
    assert (verdicts.count("agreed"), verdicts.count("untried")) == (188, 4)
    assert all(row["said"] for row in found["rows"] if row["verdict"] == "untried")
    lab.kubectl("wait", "--for=delete", "namespace", "-l", "wellhead.dev/matrix", "--timeout=60s")
