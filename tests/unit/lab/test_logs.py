from __future__ import annotations

import os
from pathlib import Path

from wellhead.lab import logs


def test_tail_returns_the_last_lines(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    path.write_text("".join(f"line {number}\n" for number in range(50_000)))
    assert logs.tail(path, 2) == ["line 49998", "line 49999"]
    assert logs.tail(tmp_path / "missing.log", 2) == []


def test_a_large_log_is_cut_while_its_writer_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    writer = logs.open_for_append(path)
    try:
        os.write(writer, b"before\n" * 100)
        logs.rotate(tmp_path, limit=100)
        os.write(writer, b"after\n")
    finally:
        os.close(writer)
    assert path.read_text() == "after\n"
    assert (tmp_path / "a.log.1").read_text() == "before\n" * 100


def test_a_small_log_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "a.log").write_text("short\n")
    logs.rotate(tmp_path, limit=100)
    assert [path.name for path in tmp_path.iterdir()] == ["a.log"]
