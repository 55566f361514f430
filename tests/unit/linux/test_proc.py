"""Processes as /proc tells."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from wellhead.linux import proc


def test_a_process_is_seen_with_what_it_was_started_with_and_then_isn_t() -> None:
    command = [sys.executable, "-c", "input(1)", "an argument", "=", "last"]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, env={"A": "1=2", "B": ""}) as child:
        assert child.stdout is not None
        assert child.stdout.read(1) == b"1"  # until its program is loaded, it shows nothing
        assert child.pid in proc.pids()
        assert proc.arguments(child.pid) == command
        assert proc.environment(child.pid).items() >= {"A": "1=2", "B": ""}.items()
        assert proc.statistics(child.pid)[1] == str(os.getpid())
        child.communicate(b"\n")
    assert (proc.arguments(child.pid), proc.environment(child.pid)) == ([], {})
    assert (proc.statistics(child.pid), proc.proportional_memory(child.pid)) == ([], 0)


def test_a_name_may_look_like_more_fields(tmp_path: Path) -> None:
    (tmp_path / "7").mkdir()
    (tmp_path / "self").mkdir()
    (tmp_path / "7/stat").write_text("7 (a) S 1 (b\n) R 4 5")
    assert proc.pids(tmp_path) == [7]
    assert proc.statistics(7, tmp_path) == ["R", "4", "5"]


def test_a_number_is_that_of_the_whole_name(tmp_path: Path) -> None:
    (tmp_path / "meminfo").write_text("MemTotalHuge: 1 kB\nMemTotal:   2000 kB\n\n")
    assert proc.number(tmp_path / "meminfo", "MemTotal:") == 2000
    assert proc.number(tmp_path / "meminfo", "MemFree:") == proc.number(tmp_path / "none", "MemFree:") == 0
