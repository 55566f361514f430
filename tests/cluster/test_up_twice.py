"""Two `wellhead up` of one name at the same time: one waits for the other, and both have their cluster."""

from __future__ import annotations

import os
import subprocess

from tests.cluster.lab import BIN, Lab
from tests.patience import PATIENCE
from wellhead.lab import processes


def test_two_at_once_make_one_cluster() -> None:
    lab = Lab(f"test-{os.getpid()}-twice")
    command = [str(BIN / "wellhead"), "up", "--name", lab.name, "--timeout", str(3 * PATIENCE)]
    options = ("--nodes", "1", "--ip-family", "ipv4")
    both: list[subprocess.Popen[str]] = []
    try:
        both += [
            subprocess.Popen(
                [*command, *options], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
            )
            for _ in range(2)
        ]
        said = [each.communicate(timeout=8 * PATIENCE)[0] for each in both]
        assert [each.returncode for each in both] == [0, 0], "".join(said)
        found = [each.component for each in processes.find(lab.name)]
        assert found.count(processes.SUPERVISOR) == 1
        assert len(lab.get("nodes")["items"]) == 1
    finally:
        for each in both:
            each.kill()  # which has no effect on one that has ended
            each.wait()
        lab.wellhead("down")
