"""The last run as a page of the documentation, with its plots."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from bench.measure import Result, machine, number
from bench.proxy import growth
from bench.proxy.targets import TARGETS
from bench.targets import compare

_SECONDS_TO_MS = 1000


def write(results: Sequence[Result], points: Sequence[growth.Point], directory: Path) -> None:
    """proxy-measured.md, and the plots that it shows."""
    growth.write_plots(points, directory)
    (directory / "proxy-measured.md").write_text("\n".join(_lines(results, points)) + "\n")


def _lines(results: Sequence[Result], points: Sequence[growth.Point]) -> Iterator[str]:
    yield "# The service proxy, as last measured\n"
    yield "Written by `python -m bench.proxy --docs docs`. [performance.md](performance.md) says more.\n"
    yield "; ".join(f"{name}: {value}" for name, value in machine().items()) + ".\n"
    yield "## Beside kube-proxy 1.36.2\n"
    yield "10,000 Services with two endpoints each, where no other number is given.\n"
    yield "| | kube-proxy nftables | kube-proxy iptables | wanted | wellhead nftables | |"
    yield "|---|---:|---:|---:|---:|---|"
    for each in compare(TARGETS, results):
        target, unit = each.target, each.result.unit
        cells = (target.kube_proxy_nftables, target.kube_proxy_iptables, target.wanted)
        others = (f"{cell} {unit}" if cell not in ("", "not measured") else cell for cell in cells)
        here = f"{number(each.result.value)} {unit}"
        yield f"| {target.what} | {' | '.join(others)} | {here} | {each.verdict} |"
    yield "\n## How it grows\n"
    yield "One run of each; iptables mode with the legacy variant.\n"
    yield "| mode | Services | first sync, objects at hand | one change |"
    yield "|---|---:|---:|---:|"
    for point in points:
        change = f"{number(_SECONDS_TO_MS * point.change)} ms"
        yield f"| {point.mode} | {point.services:,} | {number(point.first_sync)} s | {change} |"
    yield "\n![First sync by number of Services](proxy-first-sync.svg)\n"
    yield "![One change by number of Services](proxy-change.svg)\n"
    yield "## Everything else\n"
    yield "| | with | value | how |"
    yield "|---|---|---:|---|"
    for row in results:
        yield f"| {row.name} | {row.case} | {number(row.value)} {row.unit} | {row.method} |"
