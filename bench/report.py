"""What the measurements amount to: a table for each subject, fit for a terminal, and bench-results.json."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from bench.apiserver import targets as apiserver
from bench.measure import Result, machine, number
from bench.proxy import targets as proxy
from bench.proxy.growth import Point
from bench.targets import Compared, compare

WIDTH = 80
_RESULTS = Path("bench-results.json")


def make_console() -> Console:
    """As wide as the tables need, wherever output goes."""
    return Console(width=WIDTH)


def report(console: Console, subjects: Mapping[str, Sequence[Result]], points: Sequence[Point] = ()) -> None:
    """Print the machine and a table for each subject, and write all of it to bench-results.json."""
    where = machine()
    results = [row for rows in subjects.values() for row in rows]
    targets = compare(proxy.TARGETS, results)
    show(console, where, subjects, points, targets)
    served = compare(apiserver.TARGETS, results)
    if served:
        console.print(served_table(served))
    found = {
        "machine": where,
        "results": [{**row.as_json(), "subject": name} for name, rows in subjects.items() for row in rows],
        "growth": [asdict(each) for each in points],
        "targets": [*(each.as_json() for each in targets), *(each.as_json() for each in served)],
    }
    _RESULTS.write_text(json.dumps(found, indent=2))
    console.print(f"written to {_RESULTS}")


def show(
    console: Console,
    where: Mapping[str, str],
    subjects: Mapping[str, Sequence[Result]],
    points: Sequence[Point],
    targets: Sequence[Compared[proxy.Target]],
) -> None:
    """Print all of it."""
    console.print("; ".join(f"{name}: {value}" for name, value in where.items()), highlight=False)
    for subject, results in subjects.items():
        console.print(_measured(subject, results))
        console.print(Padding("\n".join(_notes(results)), (0, 0, 1, 2)), style="dim", highlight=False)
    if points:
        console.print(_growth(points))
    if targets:
        console.print(_targets(targets))


def _table(title: str, first: str, *columns: str) -> Table:
    """What is measured on the left, values right-aligned beside it."""
    table = Table(
        box=SIMPLE_HEAD,
        title=Text(title),
        title_justify="left",
        title_style="bold",
        padding=(0, 1, 0, 0),
        pad_edge=False,
    )
    table.add_column(first)
    for each in columns:
        table.add_column(each, justify="right", no_wrap=False)
    return table


def _measured(subject: str, results: Sequence[Result]) -> Table:
    """Rows by what is measured and columns by case; the other way round where there are more cases."""
    cells = {(row.name, row.case): row for row in results}
    names, cases = ({row.name: row.unit for row in results}), list(dict.fromkeys(row.case for row in results))
    if len(cases) > len(names):
        heads = (f"{name} {unit}".strip().replace(" ", "\n") for name, unit in names.items())
        table = _table(subject, "", *heads)
        table.columns[0].no_wrap = True
        for case in cases:
            table.add_row(case, *(_value(cells.get((name, case))) for name in names))
        return table
    table = _table(subject, "", *(case or "value" for case in cases), "unit")
    table.columns[-1].justify = "left"
    for name, unit in names.items():
        table.add_row(name, *(_value(cells.get((name, case))) for case in cases), unit)
    return table


def _value(row: Result | None) -> str:
    return "" if row is None else number(row.value)


def _notes(results: Iterable[Result]) -> list[str]:
    """How each was got; what was got alike, together."""
    names: dict[str, dict[str, None]] = {}
    for row in results:
        names.setdefault(row.method, {})[row.name] = None
    return [f"{', '.join(of)}: {method}." for method, of in names.items() if method]


def _growth(points: Sequence[Point]) -> Table:
    table = _table("How it grows", "mode", "Services", "first sync,\nobjects at hand", "one change")
    for each in points:
        row = f"{number(each.first_sync)} s", f"{number(1000 * each.change)} ms"
        table.add_row(each.mode, f"{each.services:,}", *row)
    return table


def served_table(targets: Sequence[Compared[apiserver.Target]]) -> Table:
    """What the API server had to reach, upstream's figures in brackets."""
    table = _table("The API server beside [kube-apiserver 1.36 and etcd]", "", "wanted", "here", "unit", "")
    table.columns[0].no_wrap = True
    for each in targets:
        theirs = f" [{each.target.upstream}]" if each.target.upstream else ""
        here = Text(f"{number(each.result.value)}{theirs}")
        table.add_row(each.target.what, each.target.wanted, here, each.result.unit, each.verdict)
    for column in table.columns[-2:]:
        column.justify = "left"
    return table


def _targets(targets: Sequence[Compared[proxy.Target]]) -> Table:
    table = _table(
        "Beside kube-proxy 1.36.2", "", "its\nnftables", "its\niptables", "wanted", "here", "unit", ""
    )
    for each in targets:
        target, result = each.target, each.result
        others = (
            "?" if cell == "not measured" else cell
            for cell in (target.kube_proxy_nftables, target.kube_proxy_iptables)
        )
        table.add_row(target.what, *others, target.wanted, number(result.value), result.unit, each.verdict)
    for column in table.columns[-2:]:
        column.justify = "left"
    return table
