"""The matrix as text, Markdown and HTML. Pure.

A table for each family and address: clients down, policies across.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape
from itertools import groupby

from wellhead.matrix.result import Matrix, Row, Verdict

_MARKS = {Verdict.AGREED: "✓", Verdict.DIFFERS: "✗", Verdict.UNTRIED: "·", Verdict.UNKNOWN: "?"}


def text(matrix: Matrix) -> Iterator[str]:
    """For a terminal, 80 columns wide."""
    for title, rows in _tables(matrix):
        policies, clients = _axes(rows)
        yield title
        first = max(len(client) for client in clients)
        widths = [max(16, len(policy)) for policy in policies]
        yield (
            f"  {'':{first}}  "
            + "  ".join(f"{policy:{width}}" for policy, width in zip(policies, widths, strict=True)).rstrip()
        )
        for client, cells in _lines(rows, policies, clients):
            shown = (f"{_cell(cell):{width}}" for cell, width in zip(cells, widths, strict=True))
            yield f"  {client:{first}}  {'  '.join(shown)}".rstrip()
        yield ""
    yield from _remarks(matrix)


def markdown(matrix: Matrix) -> Iterator[str]:
    """Tables as people paste them into issues."""
    for title, rows in _tables(matrix):
        policies, clients = _axes(rows)
        yield f"### {title}"
        yield ""
        yield "| client | " + " | ".join(policies) + " |"
        yield "|---" * (len(policies) + 1) + "|"
        for client, cells in _lines(rows, policies, clients):
            yield f"| {client} | " + " | ".join(_cell(cell) for cell in cells) + " |"
        yield ""
    yield from _remarks(matrix)


def html(matrix: Matrix) -> Iterator[str]:
    """A page of its own, without scripts."""
    yield "<!doctype html>"
    yield '<html lang="en"><meta charset="utf-8"><title>Source IP matrix</title>'
    yield "<style>body{font-family:sans-serif;margin:2em}table{border-collapse:collapse;margin:1em 0}"
    yield "td,th{border:1px solid #999;padding:.3em .6em;text-align:left}.differs{background:#fdd}"
    yield ".untried,.unknown{color:#666}</style>"
    yield "<h1>Which source IP does the server see?</h1>"
    yield f"<p>Cluster {escape(matrix.cluster)}, {escape(matrix.proxy)}</p>"
    for title, rows in _tables(matrix):
        policies, clients = _axes(rows)
        yield f"<h2>{escape(title)}</h2><table><tr><th>client</th>"
        yield "".join(f"<th>{escape(policy)}</th>" for policy in policies) + "</tr>"
        for client, cells in _lines(rows, policies, clients):
            yield f"<tr><th>{escape(client)}</th>" + "".join(map(_html_cell, cells)) + "</tr>"
        yield "</table>"
    yield "".join(f"<p>{escape(line)}</p>" for line in _remarks(matrix) if line)


def _html_cell(row: Row | None) -> str:
    kind = row.verdict if row is not None else "untried"
    hint = f' title="{escape(row.said)}"' if row is not None and row.said else ""
    return f'<td class="{kind}"{hint}>{escape(_cell(row))}</td>'


def _tables(matrix: Matrix) -> Iterator[tuple[str, list[Row]]]:
    for (family, dialled), rows in groupby(matrix.rows, key=lambda row: (row.family, row.dialled)):
        yield f"{dialled}, {family}", list(rows)


def _axes(rows: Sequence[Row]) -> tuple[list[str], list[str]]:
    return list(dict.fromkeys(row.policy for row in rows)), list(dict.fromkeys(row.client for row in rows))


def _lines(
    rows: Sequence[Row], policies: Sequence[str], clients: Sequence[str]
) -> Iterator[tuple[str, list[Row | None]]]:
    by_place = {(row.client, row.policy): row for row in rows}
    for client in clients:
        yield client, [by_place.get((client, policy)) for policy in policies]


def _cell(row: Row | None) -> str:
    if row is None:
        return ""
    return f"{_MARKS[row.verdict]} {row.seen}".rstrip()


def _remarks(matrix: Matrix) -> Iterator[str]:
    """What differs, what wasn't tried and why, and the sum."""
    for row in matrix.rows:
        if row.verdict is Verdict.DIFFERS:
            yield f"✗ {row.dialled}, {row.family}, {row.policy}, from {row.client}: {row.said}"
    reasons: dict[str, int] = {}
    for row in matrix.rows:
        if row.verdict in (Verdict.UNTRIED, Verdict.UNKNOWN):
            reasons[row.said] = reasons.get(row.said, 0) + 1
    yield from (f"· not tried, {count} cells: {reason}" for reason, count in reasons.items())
    counts = ", ".join(f"{matrix.count(verdict)} {verdict}" for verdict in Verdict)
    yield f"{len(matrix.rows)} cells: {counts}. {matrix.proxy}."
