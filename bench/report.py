"""What the measurements amount to: a table, and bench-results.json."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from bench.measure import Result, machine

_RESULTS = Path("bench-results.json")


def report(console: Console, results: Sequence[Result]) -> None:
    """Print the machine and a table, and write both to bench-results.json."""
    where = machine()
    console.print("; ".join(f"{name}: {value}" for name, value in where.items()))
    alone = [row for row in results if not row.case]
    if alone:
        table = Table("what", "value", "unit", "how")
        for row in alone:
            table.add_row(row.name, _number(row.value), row.unit, row.method)
        console.print(table)
    compared = [row for row in results if row.case]
    if compared:
        console.print(_by_case(compared))
    _RESULTS.write_text(
        json.dumps({"machine": where, "results": [row.as_json() for row in results]}, indent=2)
    )
    console.print(f"written to {_RESULTS}")


def _by_case(results: Sequence[Result]) -> Table:
    cases = list(dict.fromkeys(row.case for row in results))
    table = Table("what", *cases, "unit", "how")
    for name in dict.fromkeys(row.name for row in results):
        rows = {row.case: row for row in results if row.name == name}
        values = (_number(rows[case].value) if case in rows else "" for case in cases)
        first = next(iter(rows.values()))
        table.add_row(name, *values, first.unit, first.method)
    return table


def _number(value: float) -> str:
    """Three significant digits, but all before the point."""
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.3g}"
