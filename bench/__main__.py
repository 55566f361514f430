"""Run the measurements, print tables, write bench-results.json."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

from rich.console import Console
from rich.table import Table

from bench import cluster
from bench.measure import Result, machine

_RESULTS = Path("bench-results.json")


def main() -> None:
    console = Console()
    where = machine()
    console.print("; ".join(f"{name}: {value}" for name, value in where.items()))
    results: list[Result] = []
    with console.status("starting a cluster a few times"), cluster.cluster() as up:
        results.append(up)
        results += cluster.memory()
        results += asyncio.run(cluster.api())
    table = Table("what", "value", "unit", "how")
    for row in results:
        table.add_row(
            row.name, f"{row.value:,.1f}" if row.value < 1000 else f"{row.value:,.0f}", row.unit, row.method
        )
    console.print(table)
    _RESULTS.write_text(
        json.dumps({"machine": where, "results": [row.as_json() for row in results]}, indent=2)
    )
    console.print(f"written to {_RESULTS}")


if __name__ == "__main__":
    main()
