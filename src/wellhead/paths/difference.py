"""What a change does to whom: the ways of two worlds, compared."""

from __future__ import annotations

import msgspec

from wellhead.paths.rendering.words import sees_all, target
from wellhead.paths.way import Report, Way


class Difference(msgspec.Struct, frozen=True):
    """A way whose answer is another one; empty where the way isn't there."""

    client: str
    address: str
    service: str
    before: str
    after: str

    def __str__(self) -> str:
        start = f"{self.client} → {self.address}" + (f" ({self.service})" if self.service else "")
        if not self.before:
            return f"+ {start}: {self.after}"
        if not self.after:
            return f"- {start}: {self.before}"
        return f"~ {start}: {self.before}  ⇒  {self.after}"


def differences(before: Report | None, after: Report | None) -> list[Difference]:
    """Every way that is new, gone or answered otherwise, in the order of the ways."""
    old, new = _by_key(before), _by_key(after)
    found = []
    for key in dict.fromkeys((*old, *new)):
        was, now = (sees_all(each.outcomes) if each else "" for each in (old.get(key), new.get(key)))
        if was != now:
            way = old.get(key) or new[key]
            found.append(Difference(way.client, f"{target(way)}/{way.protocol}", way.service, was, now))
    return found


def _by_key(report: Report | None) -> dict[tuple[object, ...], Way]:
    ways = report.ways if report is not None else ()
    return {(each.client, each.address, each.port, each.protocol, each.frontend): each for each in ways}
