"""Measure an API server with a thousand hollow nodes: prints a table, writes bench-results.json."""

from __future__ import annotations

import click

from bench.hollow.measure import NODES, measure
from bench.report import make_console, report


@click.command("bench.hollow")
@click.option("--nodes", default=NODES, show_default=True, help="How many; a multiple of four.")
def main(nodes: int) -> None:
    """Measure an API server with hollow nodes. Takes one to two minutes with a thousand."""
    console = make_console()
    with console.status("hollow nodes") as status:
        rows = measure(status.update, nodes)
    report(console, {f"{nodes:,} hollow nodes": rows})


if __name__ == "__main__":
    main()
