"""`python -m bench.preserving --help`."""

from __future__ import annotations

import click

from bench.preserving.measure import measure
from bench.report import make_console, report
from wellhead.proxy.mode import MODES, ProxyMode


@click.command("bench.preserving")
@click.option(
    "--mode", type=click.Choice(MODES), default="nftables", show_default=True, help="The proxy's mode."
)
def main(mode: ProxyMode) -> None:
    """Measure what it costs to keep client addresses under policy Cluster. Takes a minute and a half."""
    console = make_console()
    with console.status(f"{mode} mode"):
        results = measure(mode)
    report(console, {f"Keeping client addresses, {mode} mode": results})


if __name__ == "__main__":
    main()
