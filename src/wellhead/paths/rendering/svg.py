"""A way as an SVG: a lane for each place, an arrow for each packet."""

from __future__ import annotations

from html import escape

from wellhead.paths.rendering.hops import hops
from wellhead.paths.rendering.words import sees, target
from wellhead.paths.way import Outcome, Way

_LANE, _ROW, _TOP = 220, 46, 64


def svg(way: Way, outcome: Outcome) -> str:
    """A picture that needs nothing but itself."""
    places, packets = hops(way, outcome)
    column = {id(each): _LANE // 2 + index * _LANE for index, each in enumerate(places)}
    rows: list[str] = []
    y, shown = _TOP + 30, set[str]()

    def notes(place: object, name_rewrites: list[str]) -> None:
        nonlocal y
        for each in name_rewrites:
            key = f"{id(place)}{each}"
            if key not in shown:
                shown.add(key)
                rows.append(f'<text class="rewrite" x="{column[id(place)]}" y="{y}">{escape(each)}</text>')
                y += 22

    for hop in packets:
        notes(hop.from_, hop.from_.rewrites)
        start, end = column[id(hop.from_)], column[id(hop.to)]
        middle = (start + end) // 2
        label = escape(f"{hop.source} → {hop.destination}")
        rows.append(f'<line x1="{start}" y1="{y + 14}" x2="{end}" y2="{y + 14}" marker-end="url(#arrow)"/>')
        rows.append(f'<text x="{middle}" y="{y + 6}">{label}</text>')
        y += _ROW
    last = places[-1]
    notes(last, last.rewrites)
    rows.append(
        f'<text class="sees" x="{column[id(last)]}" y="{y + 8}">{escape(f"sees {sees(outcome)}")}</text>'
    )
    height, width = y + 40, len(places) * _LANE
    lanes = "".join(
        f'<line class="lane" x1="{column[id(each)]}" y1="{_TOP}" x2="{column[id(each)]}" y2="{height - 20}"/>'
        f'<text class="place" x="{column[id(each)]}" y="{_TOP - 14}">{escape(each.name)}</text>'
        for each in places
    )
    title = escape(f"{way.client} → {target(way)}")
    size = f'viewBox="0 0 {width} {height}" width="{width}" height="{height}"'
    return f"""<svg xmlns="http://www.w3.org/2000/svg" {size}>
<title>{title}</title>
<style>text {{ font: 12px sans-serif; text-anchor: middle; fill: #222 }} .place {{ font-weight: bold }}
.rewrite {{ fill: #a3330b }} .sees {{ font-weight: bold; fill: #0b5a2a }} line {{ stroke: #222 }}
.lane {{ stroke: #bbb; stroke-dasharray: 3 4 }}</style>
<defs><marker id="arrow" markerWidth="9" markerHeight="8" refX="8" refY="4" orient="auto">
<path d="M0,0 L9,4 L0,8 z"/></marker></defs>
<rect width="100%" height="100%" fill="white"/>
<text x="{width // 2}" y="22" class="place">{title}</text>
{lanes}
{chr(10).join(rows)}
</svg>
"""
