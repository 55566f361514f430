"""Progress is shown to people, and to nobody else."""

from __future__ import annotations

import io

from rich.console import Console

from wellhead.cli.progress import progress


def shown(*, terminal: bool) -> str:
    output = io.StringIO()
    console = Console(file=output, force_terminal=terminal, width=80)
    with progress("Removing it", console) as report:
        report("23 processes", 1, 24)
        report("files", 0, 0)
    return output.getvalue()


def test_a_terminal_shows_what_is_done_and_keeps_nothing_of_it() -> None:
    text = shown(terminal=True)
    assert "Removing it" in text
    assert text.endswith("\x1b[2K")  # the line is erased


def test_elsewhere_it_is_quiet() -> None:
    assert shown(terminal=False) == ""
