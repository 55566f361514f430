"""A way as a Mermaid sequence diagram."""

from __future__ import annotations

from wellhead.paths.rendering.hops import hops
from wellhead.paths.rendering.words import sees
from wellhead.paths.way import Outcome, Way


def mermaid(way: Way, outcome: Outcome) -> str:
    """The text of a diagram, as Markdown pages take it in a ```mermaid block."""
    places, packets = hops(way, outcome)
    names = {id(each): f"p{index}" for index, each in enumerate(places)}
    lines = ["sequenceDiagram"]
    lines += [f"    participant {names[id(each)]} as {_plain(each.name)}" for each in places]
    for hop in packets:
        lines += [
            f"    Note over {names[id(hop.from_)]}: {_plain(each)}"
            for each in _once(hop.from_.rewrites, lines, names[id(hop.from_)])
        ]
        lines.append(
            f"    {names[id(hop.from_)]}->>{names[id(hop.to)]}: "
            f"{_plain(hop.source)} → {_plain(hop.destination)}"
        )
    last = places[-1]
    closing = last.rewrites[-1] if last.rewrites and last.kind != "endpoint" else f"sees {sees(outcome)}"
    lines.append(f"    Note over {names[id(last)]}: {_plain(closing)}")
    return "\n".join(lines) + "\n"


def _once(rewrites: list[str], lines: list[str], name: str) -> list[str]:
    return [each for each in rewrites if f"    Note over {name}: {_plain(each)}" not in lines]


def _plain(text: str) -> str:
    return text.replace(";", ",").replace("#", "").replace("\n", " ")
