"""Plots with logarithmic axes, as SVG. Enough for a few lines; no reason for a plotting library."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape

_WIDTH, _HEIGHT = 720, 400
_LEFT, _RIGHT, _TOP, _BOTTOM = 70, 20, 40, 90
_COLOURS = ("#0b6e4f", "#c8553d", "#5b5f97", "#8d99ae")
_PREFIXES = {-6: "1 µ", -5: "10 µ", -4: "100 µ", -3: "1 m", -2: "10 m", -1: "100 m"}


@dataclass(frozen=True)
class Line:
    """Points that belong together, in ascending order of x. All numbers are above 0."""

    name: str
    points: tuple[tuple[float, float], ...]


def plot(title: str, lines: Sequence[Line]) -> str:
    """The plot as an SVG document."""
    xs = [x for line in lines for x, _ in line.points]
    ys = [y for line in lines for _, y in line.points]
    left, right = math.log10(min(xs)), math.log10(max(xs)) + 0.05
    bottom, top = math.floor(math.log10(min(ys))), math.ceil(math.log10(max(ys)))

    def at(x: float, y: float) -> tuple[float, float]:
        across = (math.log10(x) - left) / (right - left)
        up = (math.log10(y) - bottom) / (top - bottom)
        return _LEFT + across * (_WIDTH - _LEFT - _RIGHT), _HEIGHT - _BOTTOM - up * (_HEIGHT - _TOP - _BOTTOM)

    def parts() -> Iterator[str]:
        size = f'viewBox="0 0 {_WIDTH} {_HEIGHT}"'
        yield f'<svg xmlns="http://www.w3.org/2000/svg" {size} font-family="sans-serif" font-size="12">'
        yield f'<rect width="{_WIDTH}" height="{_HEIGHT}" fill="white"/>'
        yield f'<text x="{_LEFT}" y="24" font-size="15">{escape(title)}</text>'
        for power in range(bottom, top + 1):
            x, y = at(10**left, 10.0**power)
            label = _PREFIXES.get(power, f"{10.0**power:g} ") + "s"
            yield f'<path d="M{x:.1f} {y:.1f}H{_WIDTH - _RIGHT}" stroke="#ddd"/>'
            yield f'<text x="{x - 8:.1f}" y="{y + 4:.1f}" text-anchor="end">{label}</text>'
        for number in sorted(set(xs)):
            x, y = at(number, 10.0**bottom)
            yield f'<path d="M{x:.1f} {y:.1f}V{_TOP}" stroke="#eee"/>'
            yield f'<text x="{x:.1f}" y="{y + 18:.1f}" text-anchor="middle">{number:,.0f}</text>'
        for index, (line, colour) in enumerate(zip(lines, _COLOURS, strict=False)):
            places = [at(x, y) for x, y in line.points]
            joined = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
            yield f'<polyline points="{joined}" fill="none" stroke="{colour}" stroke-width="2"/>'
            yield from (f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4" fill="{colour}"/>' for x, y in places)
            x, y = _LEFT + index % 2 * 320, _HEIGHT - 44 + index // 2 * 22
            yield f'<circle cx="{x}" cy="{y - 4}" r="5" fill="{colour}"/>'
            yield f'<text x="{x + 12}" y="{y}">{escape(line.name)}</text>'
        yield "</svg>\n"

    return "\n".join(parts())
