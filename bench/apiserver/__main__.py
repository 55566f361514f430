"""Measure the API server alone: prints a table, writes bench-results.json."""

from __future__ import annotations

import click

from bench.apiserver.measure import measure
from bench.report import make_console, report


@click.command("bench.apiserver")
def main() -> None:
    """Measure the API server with objects in memory, in SQLite and in etcd. Takes one minute."""
    console = make_console()
    with console.status("the API server") as status:
        rows = measure(status.update)
    report(console, {"The API server": rows})


if __name__ == "__main__":
    main()
