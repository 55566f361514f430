"""A line that shows how far something has come: on a terminal only, and gone when it is done."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

Report = Callable[[str, int, int], None]
"""Takes what is being done, how much of it is done, and how much there is (0: nobody knows)."""


@contextmanager
def progress(doing: str, console: Console | None = None) -> Iterator[Report]:
    """Show `doing`, and after it what is reported meanwhile. Elsewhere than on a terminal it is quiet.

    On standard error, so that what a command prints can be read by others.
    """
    # Rich takes a tenth of the time that starting a cluster takes: not for --help.
    from rich.console import Console
    from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    console = console or Console(stderr=True)
    if not console.is_terminal:
        yield lambda what, done, total: None
        return
    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(20), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as shown:
        task = shown.add_task(doing, total=None)

        def report(what: str, done: int, total: int) -> None:
            shown.update(task, description=f"{doing}: {what}", completed=done, total=total or None)

        yield report
