"""Run the measurements, print a table, write bench-results.json."""

from __future__ import annotations

import asyncio

from rich.console import Console

from bench import cluster
from bench.measure import Result
from bench.proxy.measure import DEFAULT_SERVICES, measure
from bench.report import report


def main() -> None:
    console = Console()
    results: list[Result] = []
    with console.status("starting a cluster a few times"), cluster.cluster() as up:
        results.append(up)
        results += cluster.memory()
        results += asyncio.run(cluster.api())
    with console.status("the service proxy") as status:
        results += measure(DEFAULT_SERVICES, "nftables", doing=status.update)
    report(console, results)


if __name__ == "__main__":
    main()
