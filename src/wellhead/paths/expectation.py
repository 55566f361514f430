"""Whether clients keep their addresses, over every way: for CI."""

from __future__ import annotations

from dataclasses import dataclass

from wellhead.paths.rendering.words import sees, target, why
from wellhead.paths.way import Disposition, Outcome, Report, SeenAs, Way


@dataclass(frozen=True)
class Verdict:
    """A way on which a client's address is lost, or may be."""

    way: Way
    outcome: Outcome
    lost: bool
    """False: it is UNKNOWN."""

    def __str__(self) -> str:
        what = "LOST" if self.lost else "UNKNOWN"
        return (
            f"{what}  {self.way.client} → {target(self.way)} {self.way.protocol}: "
            f"{sees(self.outcome)}; {why(self.outcome)}"
        )


def verdicts(report: Report) -> list[Verdict]:
    """Every way that doesn't keep its client's address.

    Clients outside are searched, or those that were asked for. A connection that nobody receives loses no
    address: it isn't counted. A node's own addresses are all its own.
    """
    found = []
    asked = report.ways[0].client if report.ways else ""
    for way in report.ways:
        if asked == "outside" and way.client.startswith(("pod", "node")):
            continue
        lost: dict[bool, Outcome] = {}
        for each in way.outcomes:
            if each.disposition is Disposition.UNKNOWN or (
                each.disposition is Disposition.DELIVERED and each.seen_as is SeenAs.UNKNOWN
            ):
                lost.setdefault(False, each)
            elif each.disposition is Disposition.DELIVERED and not _kept(way, each):
                lost.setdefault(True, each)
        if lost:
            bad = True in lost
            found.append(Verdict(way, lost[bad], bad))
    return found


def _kept(way: Way, outcome: Outcome) -> bool:
    if outcome.seen_as is SeenAs.CLIENT:
        return True
    return way.client.startswith("node/") and outcome.source_owner == way.client_node
