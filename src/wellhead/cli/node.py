"""`wellhead node`: several components of a node in one process."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import click

from wellhead import component

AND = "+"
"""What is between two components' command lines."""


@click.command(
    "node",
    short_help="Run several components of a node in one process.",
    context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False},
)
@click.argument("lines", metavar="COMPONENT …", nargs=-1, required=True, type=click.UNPROCESSED)
def command(lines: tuple[str, ...]) -> None:
    """Run components in one process, which takes less than half of the memory: their command lines, with a +
    in between.

    \b
        wellhead node node-agent --node-name node-1 … + proxy --hostname-override node-1 … + policy …

    They end together: if one fails, the others end in good order, for all to be started again.
    """
    from wellhead.cli.main import main

    component.run_together(
        "node",
        (partial(main, list(each), prog_name="wellhead", standalone_mode=False) for each in split(lines)),
    )


def split(lines: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    """The command line of each component."""
    begin = 0
    for end, word in enumerate((*lines, AND)):
        if word == AND:
            yield lines[begin:end]
            begin = end + 1
