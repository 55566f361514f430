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


def test_pods_by_pods_is_as_policies_say(lab: Lab, namespace: str) -> None:
    lab.run_pod("server", "node-1", namespace)
    lab.run_pod("client", "node-2", namespace, image="busybox")
    allowed = {"from": [{"podSelector": {"matchLabels": {"kubernetes.io/metadata.name": "nobody"}}}]}
    lab.apply(
        {
            "apiVersion": "networking.k8s.io/v1",
            "kind": "NetworkPolicy",
            "metadata": {"name": "nobody", "namespace": namespace},
            "spec": {"podSelector": {}, "ingress": [allowed], "policyTypes": ["Ingress"]},
        }
    )
    asked = ("matrix", "--policies", "-n", namespace, "--port", "8080", "-4", "-o", "json")
    found: Obj = json.loads(lab.wellhead(*asked, timeout=9 * PATIENCE, check=False))
    said = {(row["client"], row["policy"]): (row["verdict"], row["seen"]) for row in found["rows"]}
    server, client = f"{namespace}/server", f"{namespace}/client"
    dropped = ("agreed", "dropped")
    assert said[server, client] == dropped
    assert said[client, server] == dropped
    assert said[client, client] == ("untried", "")
