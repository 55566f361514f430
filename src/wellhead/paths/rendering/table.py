"""Every way in a table: client, address, family, and what the server sees."""

from __future__ import annotations

from collections.abc import Sequence

from wellhead.paths.rendering.words import reason_codes, sees_all, target
from wellhead.paths.way import Way

HEADS = ("CLIENT", "DIALS", "ADDRESS", "THE SERVER SEES", "BECAUSE")
_WIDEST = 72


def rows(ways: Sequence[Way]) -> list[tuple[str, ...]]:
    """A row for each client and answer; addresses of one kind that answer alike share it."""
    merged: dict[tuple[str, ...], list[str]] = {}
    for way in ways:
        kind = way.frontend if way.family == "IPv4" else f"{way.frontend} {way.family}"
        because = ",".join(reason_codes(way.outcomes)[:3])
        key = (way.client, kind, sees_all(way.outcomes), because)
        shown = target(way) + ("/UDP" if way.protocol == "UDP" else "/SCTP" if way.protocol == "SCTP" else "")
        merged.setdefault(key, []).append(shown)
        if way.alike:
            merged[key].append(f"and {len(way.alike)} like it")
    return [
        (client, kind, _joined(addresses), answer, because)
        for (client, kind, answer, because), addresses in merged.items()
    ]


def _joined(addresses: list[str]) -> str:
    shown = ", ".join(addresses[:3])
    return shown if len(addresses) <= 3 else f"{shown} … ({len(addresses)})"


def text_table(ways: Sequence[Way], *, wide: bool = False) -> str:
    """Columns for a terminal; what is too long is cut unless `wide`."""
    found = [HEADS, *rows(ways)]
    if not wide:
        found = [tuple(_cut(cell) for cell in row) for row in found]
    widths = [max(len(row[column]) for row in found) for column in range(len(HEADS))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in found
    )


def _cut(cell: str) -> str:
    return cell if len(cell) <= _WIDEST else f"{cell[: _WIDEST - 1]}…"


def markdown_table(ways: Sequence[Way]) -> str:
    found = rows(ways)
    lines = ["| client | dials | address | the server sees | because |", "|---|---|---|---|---|"]
    lines += ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in found]
    return "\n".join(lines)
