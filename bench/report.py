"""What the measurements amount to: a table, and bench-results.json."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from rich.console import Console
from rich.table import Table

from bench.measure import Result, machine, number
from bench.proxy.growth import Point
from bench.proxy.targets import Compared, compare

_RESULTS = Path("bench-results.json")


def make_console() -> Console:
    """Wide enough for the tables also where output goes to a file."""
    console = Console()
    return console if console.is_terminal else Console(width=140)


def report(console: Console, results: Sequence[Result], points: Sequence[Point] = ()) -> None:
    """Print the machine and tables, and write all of it to bench-results.json."""
    where = machine()
    console.print("; ".join(f"{name}: {value}" for name, value in where.items()))
    alone = [row for row in results if not row.case]
    if alone:
        table = Table("what", "value", "unit", "how")
        for row in alone:
            table.add_row(row.name, number(row.value), row.unit, row.method)
        console.print(table)
    compared = [row for row in results if row.case]
    if compared:
        console.print(_by_case(compared))
    if points:
        console.print(_growth(points))
    targets = compare(results)
    if targets:
        console.print(_targets(targets))
    found = {
        "machine": where,
        "results": [row.as_json() for row in results],
        "growth": [asdict(each) for each in points],
        "targets": [each.as_json() for each in targets],
    }
    _RESULTS.write_text(json.dumps(found, indent=2))
    console.print(f"written to {_RESULTS}")


def _by_case(results: Sequence[Result]) -> Table:
    cases = list(dict.fromkeys(row.case for row in results))
    table = Table("what", *cases, "unit", "how")
    for name in dict.fromkeys(row.name for row in results):
        rows = {row.case: row for row in results if row.name == name}
        values = (number(rows[case].value) if case in rows else "" for case in cases)
        first = next(iter(rows.values()))
        table.add_row(name, *values, first.unit, first.method)
    return table


def _growth(points: Sequence[Point]) -> Table:
    table = Table("mode", "Services", "first sync, objects at hand", "one change")
    for each in points:
        row = f"{number(each.first_sync)} s", f"{number(1000 * each.change)} ms"
        table.add_row(each.mode, f"{each.services:,}", *row)
    return table


def _targets(targets: Sequence[Compared]) -> Table:
    table = Table("what", "kube-proxy nftables", "kube-proxy iptables", "wanted", "here", "unit", "")
    for each in targets:
        target, result = each.target, each.result
        others = target.kube_proxy_nftables, target.kube_proxy_iptables
        table.add_row(target.what, *others, target.wanted, number(result.value), result.unit, each.verdict)
    return table
