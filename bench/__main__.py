"""Run the measurements, print a table, write bench-results.json."""

from __future__ import annotations

import asyncio

from bench import cluster
from bench.measure import Result
from bench.proxy import growth
from bench.proxy.measure import DEFAULT_SERVICES, measure
from bench.report import make_console, report


def main() -> None:
    console = make_console()
    results: list[Result] = []
    with console.status("starting a cluster a few times"), cluster.cluster() as up:
        results.append(up)
        results += cluster.memory()
        results += asyncio.run(cluster.api())
    with console.status("the service proxy") as status:
        results += measure(DEFAULT_SERVICES, "nftables", doing=status.update)
        points = growth.measure(status.update)
    report(console, results, points)


if __name__ == "__main__":
    main()
